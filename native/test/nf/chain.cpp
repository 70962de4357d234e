#include "frames.hpp"

#include "nf/chain.hpp"
#include "nf/modern_functions.hpp"
#include "nf/paper_functions.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

using namespace reframer;
using frames::Flow;

namespace {

uint64_t seed()
{
	const char *given = std::getenv("REFRAMER_SEED");
	uint64_t s = given ? std::strtoull(given, nullptr, 0) : 1;
	MESSAGE("REFRAMER_SEED=" << s);
	return s;
}

// Traffic with runs, of TCP and UDP with and without checksum, VLANs, options, ICMP, and frames
// that no function may touch; some destinations are those of rules and routes.
std::vector<std::vector<uint8_t>> make_traffic(nf::Random &random, const nf::Config &config, size_t n)
{
	auto rules = nf::make_rules(config.nb_rules, config.deny_share, config.seed);
	auto routes = nf::make_routes(config.seed);
	std::vector<Flow> flows;
	for (int i = 0; i < 300; i++) {
		Flow f{};
		f.source = 0x0a000000u + random.below(5000);
		f.destination = 0x10000000u + random.below(0xb0000000u);
		if (i % 3 == 1)
			f.destination = rules[random.below(config.nb_rules)].value;
		if (i % 3 == 2)
			f.destination = routes[random.below(101)].value | random.below(200);
		f.source_port = static_cast<uint16_t>(random.below(65536));
		f.destination_port = static_cast<uint16_t>(random.below(65536));
		const uint8_t protocols[] = {6, 6, 17, 17, 1};
		f.protocol = protocols[random.below(5)];
		f.vlans = static_cast<uint8_t>(random.below(10) == 0 ? 1 + random.below(2) : 0);
		f.options = static_cast<uint8_t>(random.below(10) == 0 ? 1 + random.below(10) : 0);
		f.udp_checksum = random.below(4) != 0;
		f.ttl = static_cast<uint8_t>(random.below(30) == 0 ? 1 : 64);
		flows.push_back(f);
	}
	std::vector<std::vector<uint8_t>> traffic;
	while (traffic.size() < n) {
		const Flow &f = flows[random.below(static_cast<uint32_t>(flows.size()))];
		for (uint32_t run = 1 + random.below(4); run && traffic.size() < n; run--) {
			auto p = frames::build(f, random.below(1400), static_cast<uint8_t>(random.next()));
			uint32_t odd = random.below(100);
			if (odd == 0)
				frames::put16(&p[12], 0x86dd);
			else if (odd == 1)
				p.resize(random.below(34));
			else if (odd == 2 && !f.vlans)
				frames::put16(&p[20], 0x2000); // more fragments; its IP checksum is then wrong before us
			traffic.push_back(std::move(p));
		}
	}
	return traffic;
}

struct Outcome {
	std::vector<std::vector<uint8_t>> frames;
	std::vector<uint64_t> verdicts;
	uint64_t digest, counted;
	uint64_t match_all;

	bool operator==(const Outcome &) const = default;
};

enum class Runs { none, hashes, colliding };

Outcome run_chain(nf::Config config, nf::Form form, const std::vector<std::vector<uint8_t>> &traffic,
                  Runs kind, uint64_t burst_seed)
{
	nf::ChainFactory factory(config);
	auto chain = factory.make(form, 3);
	chain->add_idle_flows(100);
	frames::Pool pool(512);
	nf::Random random(burst_seed);
	Outcome out{};
	for (size_t at = 0; at < traffic.size();) {
		uint32_t n = std::min<uint32_t>(1 + random.below(400), static_cast<uint32_t>(traffic.size() - at));
		std::vector<nf::Mbuf *> packets, dropped(n);
		for (uint32_t i = 0; i < n; i++)
			packets.push_back(pool.load(i, traffic[at + i]));
		std::vector<reframer_run> runs;
		for (uint32_t i = 0; kind != Runs::none && i < n;) {
			// A run as the stage gives it: equal hash. Colliding ones mix flows.
			uint32_t count = std::min(1 + random.below(kind == Runs::colliding ? 50 : 3), n - i);
			runs.push_back({i, count, 0, 0});
			i += count;
		}
		uint32_t kept = chain->process(packets.data(), n, runs.empty() ? nullptr : runs.data(),
		                               static_cast<uint32_t>(runs.size()), dropped.data());
		for (uint32_t i = 0; i < kept; i++)
			out.frames.emplace_back(packets[i]->data(), packets[i]->data() + packets[i]->captured);
		for (uint32_t i = 0; i < n - kept; i++)
			CHECK(dropped[i]->verdict != nf::verdict_pass);
		at += n;
	}
	for (uint8_t v = 0; v < nf::nb_verdicts; v++)
		out.verdicts.push_back(chain->verdicts(v));
	out.digest = chain->table_digest();
	out.counted = chain->counted_packets();
	for (const auto &[name, value] : chain->counters())
		if (name == "firewallMatchAll")
			out.match_all = value;
	return out;
}

} // namespace

TEST_CASE("every form and kind of chain gives the same frames, drops and tables")
{
	nf::Random random(seed());
	for (uint32_t rules : {1u, 1000u, 11745u}) {
		nf::Config config;
		config.nb_rules = rules;
		config.deny_share = 0.3;
		config.table_capacity = 1024;
		config.seed = random.next();
		auto traffic = make_traffic(random, config, 6000);
		config.kind = nf::ChainKind::paper;
		uint64_t bursts = random.next();
		Outcome reference = run_chain(config, nf::Form::packet, traffic, Runs::none, bursts);
		CHECK(reference.frames.size() > 3000);
		CHECK(reference.verdicts[nf::verdict_denied] > 0);
		CHECK(reference.verdicts[nf::verdict_ttl] > 0);
		CHECK(reference.verdicts[nf::verdict_not_ipv4] > 0);
		CHECK(reference.verdicts[nf::verdict_malformed] > 0);
		CHECK(reference.match_all > 0);
		CHECK(reference.counted == reference.verdicts[nf::verdict_pass] +
		                               reference.verdicts[nf::verdict_denied] +
		                               reference.verdicts[nf::verdict_ttl]);
		for (nf::ChainKind kind : {nf::ChainKind::paper, nf::ChainKind::modern}) {
			config.kind = kind;
			for (nf::Form form : {nf::Form::packet, nf::Form::run}) {
				for (Runs runs : {Runs::none, Runs::hashes, Runs::colliding}) {
					Outcome got = run_chain(config, form, traffic, runs, random.next());
					CHECK(got.verdicts == reference.verdicts);
					CHECK(got.digest == reference.digest);
					CHECK(got.match_all == reference.match_all);
					CHECK((got.frames == reference.frames));
				}
			}
		}
	}
}

TEST_CASE("frames leave with right checksums, another source, one hop less")
{
	nf::Random random(seed());
	nf::Config config;
	config.table_capacity = 1024;
	for (nf::ChainKind kind : {nf::ChainKind::paper, nf::ChainKind::modern}) {
		config.kind = kind;
		nf::ChainFactory factory(config);
		auto chain = factory.make(nf::Form::packet, 0);
		frames::Pool pool(1);
		for (int i = 0; i < 2000; i++) {
			Flow f{};
			f.source = static_cast<uint32_t>(random.next());
			f.destination = static_cast<uint32_t>(random.next());
			f.source_port = static_cast<uint16_t>(random.next());
			f.destination_port = static_cast<uint16_t>(random.below(3));
			f.protocol = i & 1 ? 6 : 17;
			f.options = static_cast<uint8_t>(random.below(3));
			f.udp_checksum = i % 8 != 0;
			f.ttl = static_cast<uint8_t>(2 + random.below(254));
			size_t payload = random.below(64);
			auto frame = frames::build(f, payload, static_cast<uint8_t>(random.next()));
			nf::Mbuf *m = pool.load(0, frame), *dropped;
			uint32_t kept = chain->process(&m, 1, nullptr, 0, &dropped);
			if (chain->verdicts(nf::verdict_table_full)) {
				CHECK(i == 1024); // the table holds what it promises
				break;
			}
			REQUIRE(kept == 1);
			const uint8_t *ip = m->data() + 14;
			size_t header = 20 + 4u * f.options;
			CHECK(frames::sum(ip, header) == 0xffff);
			CHECK(ip[8] == f.ttl - 1);
			CHECK(ip[12] == 198);
			const uint8_t *l4 = ip + header;
			CHECK((l4[0] << 8 | l4[1]) >= 1024);
			if (f.protocol == 6 || f.udp_checksum)
				CHECK(frames::l4_sum(ip, header, (f.protocol == 6 ? 20 : 8) + payload) == 0xffff);
			else
				CHECK((l4[6] | l4[7]) == 0);
		}
	}
}

TEST_CASE("a UDP checksum that becomes zero is sent as all ones")
{
	nf::Config config;
	config.table_capacity = 1024;
	nf::ChainFactory factory(config);
	auto chain = factory.make(nf::Form::packet, 0);
	frames::Pool pool(1);
	Flow f{0x0a000001, 0x22000001, 1000, 2000, 17};
	// The first flow becomes 198.18.0.0:1024; payload that makes that packet's sum come to zero.
	Flow g = f;
	g.source = 0xc6120000;
	g.source_port = 1024;
	auto rewritten = frames::build(g, 2, 0);
	uint32_t check = static_cast<uint32_t>(rewritten[14 + 26] << 8 | rewritten[14 + 27]);
	auto frame = frames::build(f, 2, 0);
	uint8_t *payload = &frame[14 + 28], *field = &frame[14 + 26];
	frames::put16(payload, check); // adds its complement's complement: sum becomes 0xffff
	frames::put16(field, 0);
	frames::put16(field, ~frames::l4_sum(&frame[14], 20, 10));
	nf::Mbuf *m = pool.load(0, frame), *dropped;
	REQUIRE(chain->process(&m, 1, nullptr, 0, &dropped) == 1);
	CHECK(m->data()[14 + 26] == 0xff);
	CHECK(m->data()[14 + 27] == 0xff);
	CHECK(frames::l4_sum(m->data() + 14, 20, 10) == 0xffff);
}

TEST_CASE("trie and tuple space give what a linear walk gives")
{
	nf::Random random(seed());
	for (int round = 0; round < 5; round++) {
		uint64_t s = random.next();
		auto routes = nf::make_routes(s);
		auto rules = nf::make_rules(3000, 0.5, s);
		CHECK(routes.size() == 103);
		for (int i = 0; i < 3000; i++) { // nested prefixes, to make precedence matter
			nf::Prefix p = rules[random.below(3000)];
			p.mask <<= random.below(8);
			p.value &= p.mask;
			rules[random.below(3000)].value = p.value;
			rules[random.below(3000)] = p;
		}
		for (size_t i = 0; i < rules.size(); i++) {
			rules[i].result = static_cast<uint16_t>(i);
			rules[i].value &= rules[i].mask;
		}
		nf::modern::Trie trie(routes);
		nf::modern::RuleSet set(rules);
		auto linear = [](const std::vector<nf::Prefix> &list, uint32_t address) {
			for (const nf::Prefix &p : list)
				if (p.covers(address))
					return p.result;
			return uint16_t{0xffff};
		};
		for (int i = 0; i < 20000; i++) {
			uint32_t address = static_cast<uint32_t>(random.next());
			if (i % 2)
				address = rules[random.below(3000)].value + random.below(3);
			if (i % 4 == 0)
				address = routes[random.below(101)].value + random.below(70000);
			REQUIRE(trie.find(address) == linear(routes, address));
			REQUIRE(set.find(address) == linear(rules, address));
		}
	}
}

TEST_CASE("a full table drops only flows that it does not hold")
{
	for (nf::ChainKind kind : {nf::ChainKind::paper, nf::ChainKind::modern}) {
		nf::Config config;
		config.kind = kind;
		config.nb_rules = 10;
		config.table_capacity = 64;
		nf::ChainFactory factory(config);
		auto chain = factory.make(nf::Form::run, 0);
		frames::Pool pool(1);
		for (int round = 0; round < 2; round++) {
			for (uint16_t port = 1; port <= 80; port++) {
				nf::Mbuf *m = pool.load(0, frames::build({1, 2, port, 80, 6}, 10, 0)), *dropped;
				uint32_t kept = chain->process(&m, 1, nullptr, 0, &dropped);
				CHECK(kept == (port <= 64));
			}
		}
		CHECK(chain->verdicts(nf::verdict_table_full) == 32);
		CHECK(chain->counted_packets() == 128);
	}
}
