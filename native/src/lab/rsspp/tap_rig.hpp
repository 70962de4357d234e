// What jobs on a TAP share: the interface in a namespace of its own, cores on its queues, and skewed
// traffic through the kernel.
#pragma once

#include "devices/tap_port.hpp"
#include "devices/tap_workers.hpp"
#include "devices/udp_sender.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"

#include <chrono>
#include <thread>

namespace reframer::lab {

struct TapSpec {
	engine::TapParams tap;
	engine::SenderParams traffic;
	engine::WorkerParams work;

	// "cores", "entries", "ringDepth", "flows", "skew", "packetsPerSecond", "seed", "workRounds".
	void read(SpecReader &in, uint32_t least_cores, uint64_t packets_per_second)
	{
		in.read("cores", tap.nb_queues, least_cores, engine::tap_max_queues);
		in.read("entries", tap.nb_entries, 64, RSSPP_MAX_BUCKETS);
		in.read("ringDepth", tap.ring_depth, 32, 65536);
		traffic.nb_flows = in.integer<uint32_t>("flows", 1000, 1, 40'000);
		traffic.skew = in.real("skew", 0.9, 0, 4);
		traffic.packets_per_second =
			in.integer("packetsPerSecond", packets_per_second, 1, 10'000'000);
		in.read("seed", traffic.seed, 0, UINT32_MAX);
		work.work_rounds = in.integer<uint32_t>("workRounds", 10'000, 0, 10'000'000);
		work.nb_flows = traffic.nb_flows;
	}
};

// @throws DeviceError
struct TapRig {
	explicit TapRig(const TapSpec &spec)
		: port((engine::enter_own_network(), spec.tap)), workers(port, spec.work),
		  sender(spec.traffic, [this] { return workers.received(); })
	{
	}

	// Ends the traffic. What was sent is in a queue or dropped at once, so the time for it is long.
	Json finish()
	{
		using Clock = std::chrono::steady_clock;
		sender.stop();
		for (const auto until = Clock::now() + std::chrono::seconds(1);
		     Clock::now() < until && workers.received() + port.dropped() < sender.sent();)
			std::this_thread::sleep_for(std::chrono::milliseconds(5));
		const engine::WorkerTotals t = workers.stop();
		return NAMED(sender.sent(), port.dropped(), t.received, t.processed, t.missing, t.reordered,
		             t.foreign, t.forwarded, t.held);
	}

	engine::TapPort port;
	engine::TapWorkers workers;
	engine::UdpSender sender;
};

} // namespace reframer::lab
