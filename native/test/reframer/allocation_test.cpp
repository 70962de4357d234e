// Defect 8 of the published implementation: it allocates for every flow that it flushes. Here no
// call on the packet path may take or give back memory, whatever policy, key, class or option.
#include "allocation_counter.hpp"
#include "stage_fixture.hpp"
#include "traffic.hpp"

#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <random>
#include <vector>

using namespace reframer::test;

namespace {

constexpr uint32_t burst_size = 64;

// All that a burst needs, made before anything is counted.
struct Traffic {
	std::vector<Bytes> frames;
	std::vector<void *> packets;
	std::vector<const uint8_t *> data;
	std::vector<uint32_t> captured, hash;

	explicit Traffic(uint64_t seed)
	{
		std::mt19937_64 random(seed);
		const Frames usual;
		for (uint32_t i = 0; i < 64 * burst_size; i++) {
			const auto flow = static_cast<uint32_t>(random() % 60);
			const auto number = static_cast<uint32_t>(random() % 4000);
			switch (random() % 8) {
			case 0:
				add(test_data(flow, number), flow);
				break; // out of order: something to repair
			case 1:
			case 3:
				add(pure_ack(flow, i), flow);
				break; // something to thin
			case 2:
				add(odd(flow), flow);
				break;
			default:
				add(usual.of(flow, static_cast<uint32_t>(random() % nb_variants)), flow);
			}
		}
		for (const Bytes &frame : frames) {
			data.push_back(frame.data());
			captured.push_back(static_cast<uint32_t>(frame.size()));
			packets.push_back(const_cast<uint8_t *>(frame.data()));
		}
	}

private:
	static Bytes test_data(uint32_t flow, uint32_t sequence)
	{
		return reframer::test::data(flow, sequence, 100);
	}

	static Bytes odd(uint32_t flow)
	{
		const Bytes inner = tcp_frame(flow, {});
		switch (flow % 6) {
		case 0:
			return unknown();
		case 1:
			return ethernet(type_ipv6, ipv6({}, tcp()));
		case 2:
			return ethernet(type_ipv4, ipv4({}, vxlan(7, inner)));
		case 3:
			return ethernet(type_vlan, vlan(3, type_ipv4, ipv4({}, udp())));
		case 4:
			return ethernet(type_ipv4, ipv4({}, esp(flow)));
		default:
			return Bytes(9, 0xff); // cut
		}
	}

	void add(Bytes frame, uint32_t flow)
	{
		frames.push_back(std::move(frame));
		hash.push_back(flow * 0x01000193u);
	}
};

struct Freed {
	void operator()(reframer_stage *stage) const { reframer_free(stage); }
};
using Owned = std::unique_ptr<reframer_stage, Freed>;

struct Case {
	uint32_t policy, key;
	bool hashed;
	uint32_t bypass, early, options;
	bool rules;
	uint32_t max_packets, max_burst;
};

Owned create(const Case &c, const reframer_rule *rules, uint32_t nb_rules)
{
	reframer_params params;
	reframer_default_params(&params);
	params.policy = c.policy;
	params.key = c.key;
	params.bypass = c.bypass;
	params.early = c.early;
	params.options = c.options;
	params.max_packets = c.max_packets;
	params.max_burst = c.max_burst;
	params.hash_seed = 7;
	params.rules = rules;
	params.nb_rules = c.rules ? nb_rules : 0;
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(&params, &stage) == 0);
	return Owned(stage);
}

struct Seen {
	uint64_t calls = 0; // into the memory manager
	uint64_t in = 0, out = 0, thinned = 0;
};

// Every call that a polling core makes, over all of the traffic. Nothing here may allocate either,
// so nothing is checked before the end.
Seen drive(reframer_stage *stage, const Traffic &traffic, bool hashed)
{
	Seen seen;
	void *out[96];
	reframer_run runs[96];
	reframer_stats stats;
	uint64_t now = 1'000'000;
	const uint64_t before = memory_calls();
	const auto poll = [&](auto call) {
		uint32_t n, nb_runs;
		do {
			nb_runs = 96;
			n = call(stage, now, out, 96, runs, &nb_runs);
			seen.out += n;
		} while (n == 96 || nb_runs == 96);
		while ((n = reframer_take_thinned(stage, out, 96)) > 0)
			seen.thinned += n;
	};
	const auto total = static_cast<uint32_t>(traffic.packets.size());
	for (uint32_t first = 0; first < total; first += burst_size) {
		const reframer_burst burst = {&traffic.packets[first],
		                              &traffic.data[first],
		                              &traffic.captured[first],
		                              nullptr,
		                              hashed ? &traffic.hash[first] : nullptr,
		                              burst_size};
		seen.in += reframer_push(stage, &burst, now);
		now += 3000;
		poll(reframer_poll);
		const reframer_load load = {first % 256, 256, first % 1000, 1000, burst_size};
		reframer_report_load(stage, &load);
		(void)reframer_next_deadline(stage);
		switch (first / burst_size % 16) {
		case 5:
			reframer_release_bucket(stage, 127, first % 128);
			break;
		case 9:
			reframer_get_stats(stage, &stats);
			break;
		case 13:
			reframer_set_policy(stage, REFRAMER_FIXED, 16'000 + first);
			break;
		default:
			break;
		}
	}
	for (uint32_t policy : {REFRAMER_BURST, REFRAMER_ADAPTIVE, REFRAMER_FIXED}) {
		const reframer_burst burst = {traffic.packets.data(),
		                              traffic.data.data(),
		                              traffic.captured.data(),
		                              nullptr,
		                              hashed ? traffic.hash.data() : nullptr,
		                              burst_size};
		seen.in += reframer_push(stage, &burst, now);
		reframer_set_policy(stage, policy, 64'000);
		poll(reframer_poll);
	}
	now -= 500'000; // a step back of the clock
	poll(reframer_poll);
	poll(reframer_drain);
	seen.calls = memory_calls() - before;
	return seen;
}

} // namespace

TEST_CASE("what counts calls into the memory manager sees them, also those of the library")
{
	uint64_t before = memory_calls();
	// volatile: the compiler may leave out a pair of new and delete.
	int *volatile number = new int(3);
	CHECK(memory_calls() > before);
	before = memory_calls();
	delete number;
	CHECK(memory_calls() > before);
	before = memory_calls();
	reframer_params params;
	reframer_default_params(&params);
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(&params, &stage) == 0);
	CHECK(memory_calls() > before);
	before = memory_calls();
	reframer_free(stage);
	CHECK(memory_calls() > before);
}

TEST_CASE("defect 8: memory is allocated for every group that leaves")
{
	const Traffic traffic(seed_for("allocations", 0x8));
	reframer_rule rules[2] = {};
	rules[0].dscp_plus_one = 47;
	rules[1].port_low = rules[1].port_high = 443;
	rules[1].delay_ns = 8000;
	uint64_t nb_cases = 0, packets = 0, thinned = 0, repaired = 0, bypassed = 0, early = 0,
			 full = 0;
	for (uint32_t policy : {REFRAMER_FIXED, REFRAMER_BURST, REFRAMER_ADAPTIVE})
		for (uint32_t key = 0; key < 4; key++)
			for (uint32_t options = 0; options < 4; options++)
				for (uint32_t kind = 0; kind < 8; kind++) {
					const bool hashed = kind & 1, classes = kind & 2, small = kind & 4;
					const Case c = {policy,           key,     hashed,  classes ? 31u : 0,
					                classes ? 7u : 0, options, classes, small ? 64u : 4096u,
					                small ? 5u : 128u};
					const Owned stage = create(c, rules, 2);
					const Seen seen = drive(stage.get(), traffic, hashed);
					reframer_stats stats;
					reframer_get_stats(stage.get(), &stats);
					CAPTURE(policy);
					CAPTURE(key);
					CAPTURE(options);
					CAPTURE(kind);
					CHECK(seen.calls == 0);
					CHECK(seen.out + seen.thinned == seen.in);
					CHECK(stats.packets_held == 0);
					nb_cases++;
					packets += seen.out;
					thinned += seen.thinned;
					repaired += stats.repaired;
					bypassed += stats.bypassed;
					early += stats.released[REFRAMER_BY_EARLY];
					full += stats.released[REFRAMER_BY_CAPACITY];
				}
	// The paths were taken.
	MESSAGE(nb_cases << " cases, " << packets << " packets");
	CHECK(thinned > 0);
	CHECK(repaired > 0);
	CHECK(bypassed > 0);
	CHECK(early > 0);
	CHECK(full > 0);
}
