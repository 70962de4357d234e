// Job `balance-tap`: a multi-queue TAP in a namespace of its own, cores on its queues, and skewed
// traffic through the kernel; see device_session.hpp for how it is balanced.
//
// spec    {"cores": 4, "entries": 128, "flows": 1000, "skew": 0.9, "packetsPerSecond": 20000,
//          "workRounds": 10000, "ringDepth": 4096, "seed": 1}
// details {"sent","received","dropped","moving"}
// summary {"sent","received","processed","dropped","missing","reordered","foreign","forwarded",
//          "held","refused"}; sent = received + dropped, missing = dropped, reordered = 0
#include "devices/tap_port.hpp"
#include "devices/tap_workers.hpp"
#include "devices/udp_sender.hpp"
#include "jobs/device_session.hpp"
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"

#include <unistd.h>

namespace reframer::lab {

namespace {

// What is sent is in a queue or dropped at once, so this is long.
constexpr int arrival_tries = 200;
constexpr useconds_t arrival_pause_us = 5'000;

} // namespace

void run_balance_tap(const Json &spec)
{
	SpecReader in(spec, "");
	engine::TapParams tap;
	tap.nb_queues = uint32_t(in.integer("cores", tap.nb_queues, 1, engine::tap_max_queues));
	tap.nb_entries = uint32_t(in.integer("entries", tap.nb_entries, 64, RSSPP_MAX_BUCKETS));
	tap.ring_depth = uint32_t(in.integer("ringDepth", tap.ring_depth, 32, 65536));
	engine::SenderParams traffic;
	traffic.nb_flows = uint32_t(in.integer("flows", 1000, 1, 40'000));
	traffic.skew = in.real("skew", 0.9, 0, 4);
	traffic.packets_per_second = in.integer("packetsPerSecond", 20'000, 1, 10'000'000);
	traffic.seed = in.integer("seed", 1, 0, UINT32_MAX);
	engine::WorkerParams work;
	work.work_rounds = uint32_t(in.integer("workRounds", 10'000, 0, 10'000'000));
	work.nb_flows = traffic.nb_flows;
	in.finish();

	SessionInput input;
	try {
		engine::enter_own_network();
		engine::TapPort port(tap);
		engine::TapWorkers workers(port, work);
		engine::UdpSender sender(traffic, [&] { return workers.received(); });
		SessionHooks hooks;
		hooks.details = [&]() -> Json {
			return {{"sent", sender.sent()},
			        {"received", workers.received()},
			        {"dropped", port.dropped()},
			        {"moving", workers.moves_in_progress()}};
		};
		hooks.finish = [&]() -> Json {
			sender.stop();
			for (int i = 0;
			     i < arrival_tries && workers.received() + port.dropped() < sender.sent(); i++)
				usleep(arrival_pause_us);
			const engine::WorkerTotals t = workers.stop();
			return {
				{"sent", sender.sent()},     {"received", t.received},   {"processed", t.processed},
				{"dropped", port.dropped()}, {"missing", t.missing},     {"reordered", t.reordered},
				{"foreign", t.foreign},      {"forwarded", t.forwarded}, {"held", t.held}};
		};
		serve_device(input, workers, hooks);
	} catch (const engine::DeviceError &e) {
		throw job_error(e);
	}
}

} // namespace reframer::lab
