#include "drive.hpp"

#include "nf/modern_functions.hpp"
#include "nf/packet_functions.hpp"
#include "nf/paper_functions.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>

using namespace reframer;
using frames::Flow;
using namespace drive;

namespace {

constexpr std::pair<nf::ChainKind, nf::Form> forms[] = {
	{nf::ChainKind::paper, nf::Form::packet},        {nf::ChainKind::paper, nf::Form::run},
	{nf::ChainKind::cached_rules, nf::Form::packet}, {nf::ChainKind::cached_rules, nf::Form::run},
	{nf::ChainKind::modern, nf::Form::packet},       {nf::ChainKind::modern, nf::Form::run}};

} // namespace

TEST_CASE("every form and kind of chain gives the same frames, drops and tables")
{
	nf::Random random{seed()};
	for (uint32_t rules : {1u, 1000u, 11745u}) {
		nf::Config config;
		config.nb_rules = rules;
		config.deny_share = 0.3;
		config.table_capacity = 1024;
		config.seed = random.next();
		auto traffic = make_traffic(random, config, 6000);
		config.kind = nf::ChainKind::paper;
		uint64_t bursts = random.next();
		Outcome reference = run_chain(config, nf::Form::packet, traffic, bursts);
		CHECK(reference.frames.size() > 3000);
		// Of a single rule it is a matter of chance whether it denies.
		const bool denies = std::ranges::any_of(
			nf::make_rules(rules, config.deny_share, config.seed), &nf::Prefix::deny);
		CHECK((reference.verdicts[nf::verdict_denied] > 0) == denies);
		CHECK(reference.verdicts[nf::verdict_ttl] > 0);
		CHECK(reference.verdicts[nf::verdict_not_ipv4] > 0);
		CHECK(reference.verdicts[nf::verdict_malformed] > 0);
		CHECK(reference.match_all > 0);
		CHECK(reference.counted == reference.verdicts[nf::verdict_pass] +
		                               reference.verdicts[nf::verdict_denied] +
		                               reference.verdicts[nf::verdict_ttl]);
		CHECK(reference.packet_rules > 0);
		CHECK(reference.checksum_errors > 0);
		CHECK(reference.unchecked > 0);
		for (nf::ChainKind kind :
		     {nf::ChainKind::paper, nf::ChainKind::cached_rules, nf::ChainKind::modern}) {
			config.kind = kind;
			for (nf::Form form : {nf::Form::packet, nf::Form::run}) {
				for (int cuts = 0; cuts < 3; cuts++) { // bursts of other sizes
					Outcome got = run_chain(config, form, traffic, random.next());
					CHECK(got.verdicts == reference.verdicts);
					CHECK(got.digest == reference.digest);
					CHECK(got.match_all == reference.match_all);
					CHECK((got.frames == reference.frames));
					if (kind != nf::ChainKind::paper)
						continue;
					CHECK(got.packet_rules == reference.packet_rules);
					CHECK(got.checksum_errors == reference.checksum_errors);
					CHECK(got.unchecked == reference.unchecked);
				}
			}
		}
	}
}

TEST_CASE("frames leave with right checksums, another source, one hop less")
{
	nf::Random random{seed()};
	nf::Config config;
	config.table_capacity = 1024;
	for (auto [kind, form] : forms) {
		config.kind = kind;
		nf::ChainFactory factory(config);
		auto chain = factory.make(form, 0);
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
			uint32_t kept = chain->process({}, &m, 1, &dropped);
			if (chain->verdicts(nf::verdict_table_full)) {
				CHECK(i == 1024); // the table holds what it promises
				break;
			}
			REQUIRE(kept == 1);
			const uint8_t *ip = m->data() + 14;
			size_t header = 20 + 4u * f.options;
			CHECK(frames::sum(ip, header) == 0xffff);
			CHECK(ip[8] == f.ttl - 1);
			const auto hop = {static_cast<uint8_t>(m->next_hop >> 8),
			                  static_cast<uint8_t>(m->next_hop)};
			std::vector<uint8_t> link = {2, 0, 0, 1}, sender = {2, 0, 0, 0};
			link.insert(link.end(), hop);
			sender.insert(sender.end(), hop);
			link.insert(link.end(), sender.begin(), sender.end());
			CHECK(std::equal(link.begin(), link.end(), m->data()));
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

TEST_CASE("the paper chain checks the sums of each packet and walks its packet rules")
{
	nf::Random random{seed()};
	for (nf::Form form : {nf::Form::packet, nf::Form::run}) {
		nf::Config config;
		config.table_capacity = 1024;
		config.seed = random.next();
		const auto rules = nf::paper::make_packet_rules(config.nb_packet_rules, config.seed);
		CHECK(rules.size() == config.nb_packet_rules);
		nf::ChainFactory factory(config);
		auto chain = factory.make(form, 0);
		frames::Pool pool(32);
		uint64_t matched = 0, errors = 0, unchecked = 0;
		for (int burst = 0; burst < 60; burst++) {
			nf::Mbuf *packets[32], *dropped[32];
			Flow f{};
			for (uint32_t i = 0; i < 32; i++) {
				if (i == 0 || random.below(4) == 0)
					f = {0x0a000000u + random.below(500), 0x20000000u + random.below(500), 1000,
					     2000, static_cast<uint8_t>(random.below(2) ? 6 : 17)};
				f.udp_checksum = random.below(8) != 0;
				const size_t payload = 1 + random.below(1400);
				auto frame = frames::build(f, payload, static_cast<uint8_t>(random.next()));
				uint8_t *ip = &frame[14];
				const uint8_t odd[] = {0x01, 0x29, 0x03, 0x06, 0x3f, 0x28, 0x10, 0x18, 0x02};
				if (random.below(3) == 0)
					ip[1] = static_cast<uint8_t>(random.next());
				if (f.protocol == 6)
					ip[33] = odd[random.below(std::size(odd))];
				if (random.below(5) == 0)
					frame.back() ^= 0x40;
				const size_t l4_bytes = frame.size() - 34;
				if (f.protocol == 17 && !f.udp_checksum)
					unchecked++;
				else
					errors += frames::l4_sum(ip, 20, l4_bytes) != 0xffff;
				const uint32_t length = static_cast<uint32_t>(frame.size() - 14);
				const uint8_t flags = f.protocol == 6 ? ip[33] : 0;
				matched +=
					std::any_of(rules.begin(), rules.end(), [&](const nf::paper::PacketRule &r) {
						return length >= r.shortest && length <= r.longest &&
					           (ip[1] & r.tos_mask) == r.tos && (flags & r.flags_mask) == r.flags;
					});
				packets[i] = pool.load(i, frame);
			}
			CHECK(chain->process({}, packets, 32, dropped) == 32); // counted, not dropped
		}
		std::map<std::string, uint64_t> got;
		for (const auto &[name, value] : chain->counters())
			got[name] = value;
		CHECK(got["packetRulesMatched"] == matched);
		CHECK(got["checksumErrors"] == errors);
		CHECK(got["checksumUnchecked"] == unchecked);
		CHECK(matched > 100);
		CHECK(errors > 100);
	}
}

TEST_CASE("a UDP checksum that becomes zero is sent as all ones")
{
	for (auto [kind, form] : forms) {
		nf::Config config;
		config.kind = kind;
		config.table_capacity = 1024;
		nf::ChainFactory factory(config);
		auto chain = factory.make(form, 0);
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
		REQUIRE(chain->process({}, &m, 1, &dropped) == 1);
		CHECK(m->data()[14 + 26] == 0xff);
		CHECK(m->data()[14 + 27] == 0xff);
		CHECK(frames::l4_sum(m->data() + 14, 20, 10) == 0xffff);
	}
}

TEST_CASE("trie and tuple space give what a linear walk gives")
{
	nf::Random random{seed()};
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
				uint32_t kept = chain->process({}, &m, 1, &dropped);
				CHECK(kept == (port <= 64));
			}
		}
		CHECK(chain->verdicts(nf::verdict_table_full) == 32);
		CHECK(chain->counted_packets() == 128);
	}
}
