// Traffic for chains, and what a chain made of it.
#pragma once

#include "frames.hpp"

#include "nf/chain.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

namespace drive {

using namespace reframer;
using frames::Flow;
using frames::get16;
using frames::get32;

inline uint64_t seed()
{
	static const uint64_t seed = reframer::test::seed_for("nf", 1);
	return seed;
}

// Traffic with runs, of TCP and UDP with and without checksum, VLANs, options, ICMP, and frames
// that no function may touch; some destinations are those of rules and routes.
inline std::vector<std::vector<uint8_t>> make_traffic(nf::Random &random, const nf::Config &config,
                                                      size_t n)
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
			if (odd > 95 && f.protocol != 1)
				p = frames::build_error(f.destination, f.source, p, odd == 96 ? 28 : 600,
				                        odd == 97 ? 11 : 3);
			else if (odd == 95)
				p = frames::build_error(f.source, f.destination, p, 100);
			else if (odd == 0)
				frames::put16(&p[12], 0x86dd);
			else if (odd == 1)
				p.resize(random.below(34));
			else if (odd == 3 && p.size() > 40)
				p[14 + 4u * f.vlans + 8] = 1; // the last hop, within a run of others
			else if (odd == 4 && f.protocol == 6)
				p[14 + 4u * f.vlans + 20 + 4u * f.options + 13] = 0x29; // what no connection sends
			else if (odd == 5 && p.size() > 40)
				p[14 + 4u * f.vlans + 1] = 0xb8; // a class of service
			else if (odd == 2 && !f.vlans)
				frames::put16(&p[20],
				              0x2000); // more fragments; its IP checksum is then wrong before us
			traffic.push_back(std::move(p));
		}
	}
	return traffic;
}

struct Outcome {
	std::vector<std::vector<uint8_t>> frames;
	std::vector<uint64_t> verdicts;
	uint64_t digest = 0, counted = 0;
	uint64_t match_all = 0, dpi_matches = 0;
	// Of the paper chain's work on each packet.
	uint64_t packet_rules = 0, checksum_errors = 0, unchecked = 0;

	bool operator==(const Outcome &) const = default;
};

// Runs as a stage might give them, for these packets: of equal hashes, so that they hold packets of
// several flows, parts of a flow, or stand for the first packets only.
inline std::vector<reframer_run> make_runs(nf::Random &random, uint32_t n)
{
	std::vector<reframer_run> runs;
	const uint32_t longest = 1 + random.below(60), end = random.below(2) ? n : random.below(n + 1);
	for (uint32_t at = 0; at < end;) {
		const uint32_t count = std::min(1 + random.below(longest), end - at);
		runs.push_back({at, count, 0, 0});
		at += count;
	}
	return runs;
}

inline Outcome run_chain(const nf::Config &config, nf::Form form,
                         const std::vector<std::vector<uint8_t>> &traffic, uint64_t burst_seed)
{
	nf::ChainFactory factory(config);
	auto chain = factory.make(form, 3);
	chain->add_idle_flows(100);
	frames::Pool pool(512);
	nf::Random random{burst_seed};
	Outcome out{};
	for (size_t at = 0; at < traffic.size();) {
		uint32_t n =
			std::min<uint32_t>(1 + random.below(400), static_cast<uint32_t>(traffic.size() - at));
		std::vector<nf::Mbuf *> packets, dropped(n);
		for (uint32_t i = 0; i < n; i++)
			packets.push_back(pool.load(i, traffic[at + i]));
		uint32_t kept = chain->process(make_runs(random, n), packets.data(), n, dropped.data());
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
		else if (name == "dpiMatches")
			out.dpi_matches = value;
		else if (name == "packetRulesMatched")
			out.packet_rules = value;
		else if (name == "checksumErrors")
			out.checksum_errors = value;
		else if (name == "checksumUnchecked")
			out.unchecked = value;
	return out;
}

inline std::vector<uint8_t> bytes_of(const nf::Mbuf *m)
{
	return {m->data(), m->data() + m->captured};
}

// One packet through a chain; empty where it was dropped.
inline std::vector<uint8_t> pass(nf::Chain &chain, const std::vector<uint8_t> &frame)
{
	frames::Pool pool(1);
	nf::Mbuf *m = pool.load(0, frame), *dropped;
	return chain.process({}, &m, 1, &dropped) ? bytes_of(m) : std::vector<uint8_t>();
}

} // namespace drive
