// The loop on real threads: what comes out must add up, whatever the machine does meanwhile.
#include "datapath/ports/thread_queue.hpp"

#include "base/cores.hpp"
#include "measure/order_of_flows.hpp"
#include "nf/chain.hpp"
#include "nf/prefixes.hpp"

#include "cores.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <sched.h>
#include <vector>

using namespace reframer;
using namespace reframer::engine;

namespace {

// Not the core that most programs start on.
int some_core()
{
	int last = 0;
	reframer::test::unpin(last);
	return last;
}

struct Traffic {
	std::vector<std::vector<uint8_t>> frames;
	std::vector<Arrival> arrivals;

	Traffic(size_t n, uint64_t gap_ns)
	{
		nf::Random random{7};
		for (uint32_t i = 0; i < 64; i++)
			frames.emplace_back(60 + random.below(1400), static_cast<uint8_t>(i));
		for (size_t i = 0; i < n; i++) {
			const std::vector<uint8_t> &frame = frames[random.below(64)];
			const auto size = static_cast<uint32_t>(frame.size());
			const uint32_t flow = random.below(20);
			arrivals.push_back(
				{1000 + i * gap_ns, frame.data(), size, size + 4, flow * 0x9e3779b9u, flow});
		}
	}
	double end() const { return static_cast<double>(arrivals.back().time_ns + 1); }
};

struct Freed {
	void operator()(reframer_stage *stage) const { reframer_free(stage); }
};

} // namespace

TEST_CASE("threads: everything that comes leaves in order or is counted as dropped")
{
	for (const bool held : {false, true})
		for (const uint64_t gap_ns : {20u, 1000u}) {
			const Traffic traffic(10000, gap_ns);
			QueueConfig config;
			config.ring_depth = 64;
			config.window_end_ns = traffic.end() * 2;
			config.tsc_hz = 2.5e9; // some rate: nothing here depends on how fast time goes
			std::unique_ptr<reframer_stage, Freed> stage;
			if (held) {
				reframer_params params;
				reframer_default_params(&params);
				params.hash_seed = 3;
				reframer_stage *created = nullptr;
				REQUIRE(reframer_create(&params, &created) == 0);
				stage.reset(created);
			}
			auto chain =
				nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
			ThreadQueue queue(config, stage.get(), *chain, some_core());
			queue.run(traffic.arrivals, traffic.end());
			const QueueResult &r = queue.result();
			CAPTURE(held);
			CAPTURE(gap_ns);
			CHECK(r.arrived == traffic.arrivals.size());
			CHECK(r.arrived == r.departed + r.ring_dropped);
			CHECK(r.departed > 0);
			CHECK(r.nf_dropped == 0);
			CHECK(r.held == 0);
			CHECK(r.reordered == 0);
			CHECK(r.packets_in == r.departed);
			CHECK(r.latency.count() == r.departed_packets);
			CHECK(r.runs_out <= r.packets_out);
			uint64_t bits = 0;
			for (const Arrival &a : traffic.arrivals)
				bits += a.wire * 8;
			CHECK(r.offered_bits == bits);
			if (held && stage) {
				reframer_stats stats;
				reframer_get_stats(stage.get(), &stats);
				CHECK(stats.packets_in == stats.packets_out);
				CHECK(stats.packets_in == r.departed);
			}
		}
}

TEST_CASE("threads: a core that this process may not use is an error")
{
	const Traffic traffic(10, 100);
	QueueConfig config;
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	ThreadQueue queue(config, nullptr, *chain, CPU_SETSIZE - 1);
	CHECK_THROWS_AS(queue.run(traffic.arrivals, traffic.end()), std::runtime_error);
}

TEST_CASE("order of flows: a packet behind a later one of its flow is seen")
{
	OrderOfFlows order;
	CHECK(order.leaves(1, 0));
	CHECK(order.leaves(500, 1));
	CHECK(order.leaves(1, 7));
	CHECK(!order.leaves(1, 6));
	CHECK(!order.leaves(1, 7));
	CHECK(order.leaves(1, 8));
	CHECK(order.leaves(0, 2));
}
