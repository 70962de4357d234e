// Job `rsspp-tap`: real packets through the kernel. A socket sends skewed flows to a multi-queue TAP in a
// namespace of its own, the kernel steers them by the table, threads read the queues, and a balancer in
// this process samples, solves and writes, with the hand-over of buckets in force.
//
// spec   {"method": "static"|"greedy"|"ours"|"lpt", "cores": 4, "entries": 128, "flows": 1000,
//         "skew": 0.9, "packetsPerSecond": 30000, "workRounds": 10000, "ringDepth": 4096,
//         "seconds": 1, "warmupSeconds": 0.5, "intervalMs": 100, "seed": 1}
// record {"method","cores","entries","imbalancePercent" ((max - min) / min of packets by queue after the
//         warm-up),"worstOverMeanPercent","moves","movesPerEpoch","refusedWrites","worstLoad","meanLoad"
//         (shares of time for which the threads ran, mean over epochs),"sent","processed","dropped" (by
//         full queues),"lost" (sent - processed - dropped),"missing" (places skipped in flows),"reordered",
//         "forwarded","held","pps"}; lost and reordered must be 0, missing is what was dropped
#include "devices/tap_port.hpp"
#include "devices/tap_workers.hpp"
#include "devices/udp_sender.hpp"
#include "jobs/device_session.hpp"
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/methods.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <thread>

namespace reframer::lab {

namespace {

using Clock = std::chrono::steady_clock;

// What is sent is in a queue or dropped at once, so this is long.
constexpr auto arrival_time = std::chrono::seconds(1);

struct Spec {
	std::string method;
	engine::TapParams tap;
	engine::SenderParams traffic;
	engine::WorkerParams work;
	double seconds, warmup_seconds;
	std::chrono::milliseconds interval;
};

Spec read(const Json &json)
{
	SpecReader in(json, "");
	Spec s;
	s.method = in.text("method", "ours");
	method_of(s.method);
	s.tap.nb_queues = uint32_t(in.integer("cores", 4, 2, engine::tap_max_queues));
	s.tap.nb_entries = uint32_t(in.integer("entries", s.tap.nb_entries, 64, RSSPP_MAX_BUCKETS));
	s.tap.ring_depth = uint32_t(in.integer("ringDepth", s.tap.ring_depth, 32, 65536));
	s.traffic.nb_flows = uint32_t(in.integer("flows", 1000, 1, 40'000));
	s.traffic.skew = in.real("skew", 0.9, 0, 4);
	s.traffic.packets_per_second = in.integer("packetsPerSecond", 30'000, 1, 10'000'000);
	s.traffic.seed = in.integer("seed", 1, 0, UINT32_MAX);
	s.work.work_rounds = uint32_t(in.integer("workRounds", 10'000, 0, 10'000'000));
	s.work.nb_flows = s.traffic.nb_flows;
	s.seconds = in.real("seconds", 1, 0.1, 3600);
	s.warmup_seconds = in.real("warmupSeconds", 0.5, 0, 3600);
	s.interval = std::chrono::milliseconds(in.integer("intervalMs", 100, 1, 10'000));
	in.finish();
	return s;
}

class Balancing {
public:
	Balancing(engine::TableDevice &device, const std::string &method)
		: device(device), packets(device.table_size()), loads(device.nb_queues()),
		  moves(device.table_size())
	{
		rsspp_balancer_params p;
		rsspp_balancer_default_params(&p);
		p.nb_buckets = device.table_size();
		p.nb_cores = device.nb_queues();
		p.method = uint32_t(method_of(method));
		if (rsspp_balancer_create(&p, &balancer) != 0)
			throw JobError("bad-spec", "cores or entries are out of range", 2);
	}
	~Balancing() { rsspp_balancer_free(balancer); }
	Balancing(const Balancing &) = delete;
	Balancing &operator=(const Balancing &) = delete;

	void epoch()
	{
		if (device.sample(packets, loads) != 0)
			throw JobError("tap", "the counters of the device cannot be read", 1);
		const rsspp_epoch input = {packets.data(), loads.data(), nullptr, nullptr};
		rsspp_report report;
		const int n = rsspp_balancer_step(balancer, &input, moves.data(), &report);
		if (n < 0)
			throw JobError("not-supported", "the method gave up: the case is too large for it", 3);
		if (n == 0)
			return;
		std::vector<uint16_t> changed;
		for (int i = 0; i < n; i++)
			changed.push_back(moves[size_t(i)].bucket);
		const uint16_t *table = rsspp_balancer_table(balancer);
		const auto outcome = engine::write_verified(device, {table, device.table_size()}, changed);
		for (int i = 0; i < n; i++)
			if (std::find(outcome.refused.begin(), outcome.refused.end(),
			              moves[size_t(i)].bucket) != outcome.refused.end())
				rsspp_balancer_reject(balancer, &moves[size_t(i)], 1);
		nb_refused += outcome.refused.size();
		nb_moves += uint64_t(n) - outcome.refused.size();
	}

	engine::TableDevice &device;
	std::vector<uint64_t> packets;
	std::vector<float> loads;
	uint64_t nb_moves = 0, nb_refused = 0;

private:
	std::vector<rsspp_move> moves;
	rsspp_balancer *balancer = nullptr;
};

void run(const Spec &spec)
{
	engine::enter_own_network();
	engine::TapPort port(spec.tap);
	engine::TapWorkers workers(port, spec.work);
	engine::UdpSender sender(spec.traffic, [&] { return workers.received(); });
	Balancing balancing(workers, spec.method);

	const uint32_t cores = spec.tap.nb_queues;
	std::vector<uint64_t> before(cores);
	const auto start = Clock::now();
	const auto measure_from = start + std::chrono::duration_cast<Clock::duration>(
										  std::chrono::duration<double>(spec.warmup_seconds));
	const auto end = measure_from + std::chrono::duration_cast<Clock::duration>(
										std::chrono::duration<double>(spec.seconds));
	bool measuring = false;
	uint64_t epochs = 0, moved_before = 0;
	double worst_load = 0, mean_load = 0;
	Clock::time_point from = start;
	for (auto next = start; Clock::now() < end; next += spec.interval) {
		std::this_thread::sleep_until(std::min(next, end));
		if (!measuring && Clock::now() >= measure_from) {
			measuring = true;
			from = Clock::now();
			moved_before = balancing.nb_moves;
			for (uint32_t q = 0; q < cores; q++)
				before[q] = workers.received(q);
		}
		balancing.epoch();
		if (!measuring)
			continue;
		epochs++;
		worst_load += double(*std::max_element(balancing.loads.begin(), balancing.loads.end()));
		mean_load +=
			double(std::accumulate(balancing.loads.begin(), balancing.loads.end(), 0.0f)) / cores;
	}
	std::vector<uint64_t> of_queue(cores);
	for (uint32_t q = 0; q < cores; q++)
		of_queue[q] = workers.received(q) - before[q];
	const double took = std::chrono::duration<double>(Clock::now() - from).count();
	const uint64_t moves = balancing.nb_moves - moved_before;

	sender.stop();
	for (const auto until = Clock::now() + arrival_time;
	     Clock::now() < until && workers.received() + port.dropped() < sender.sent();)
		std::this_thread::sleep_for(std::chrono::milliseconds(5));
	const engine::WorkerTotals t = workers.stop();
	const auto [least, most] = std::minmax_element(of_queue.begin(), of_queue.end());
	const uint64_t sum = std::accumulate(of_queue.begin(), of_queue.end(), uint64_t{0});
	if (sum == 0)
		throw JobError(
			"tap", "no packet came through the kernel; is the interface taken down by something?",
			1);
	const uint64_t dropped = port.dropped();
	const double n = double(std::max<uint64_t>(1, epochs));
	emit({{"method", spec.method},
	      {"cores", cores},
	      {"entries", spec.tap.nb_entries},
	      {"seconds", took},
	      {"imbalancePercent",
	       *least ? std::min(2000.0, 100.0 * double(*most - *least) / double(*least)) : 2000.0},
	      {"worstOverMeanPercent", 100.0 * (double(*most) * cores / double(sum) - 1)},
	      {"moves", moves},
	      {"movesPerEpoch", double(moves) / n},
	      {"epochs", epochs},
	      {"refusedWrites", balancing.nb_refused},
	      {"worstLoad", worst_load / n},
	      {"meanLoad", mean_load / n},
	      {"sent", sender.sent()},
	      {"processed", t.processed},
	      {"dropped", dropped},
	      {"lost", int64_t(sender.sent()) - int64_t(t.processed + dropped)},
	      {"missing", t.missing},
	      {"reordered", t.reordered},
	      {"foreign", t.foreign},
	      {"forwarded", t.forwarded},
	      {"held", t.held},
	      {"pps", double(sum) / took},
	      {"seed", spec.traffic.seed}});
}

} // namespace

void run_rsspp_tap(const Json &json)
{
	const Spec spec = read(json);
	try {
		run(spec);
	} catch (const engine::DeviceError &e) {
		throw job_error(e);
	}
}

} // namespace reframer::lab
