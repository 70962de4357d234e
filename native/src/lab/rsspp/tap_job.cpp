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
#include "lab/rsspp/methods.hpp"
#include "lab/rsspp/tap_rig.hpp"

#include <numeric>

namespace reframer::lab {

namespace {

using Clock = std::chrono::steady_clock;

struct Spec : TapSpec {
	std::string method = "ours";
	double seconds = 1, warmup_seconds = 0.5;
	std::chrono::milliseconds interval;
};

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
		balancer = make_balancer(p);
	}

	void epoch()
	{
		if (device.sample(packets, loads) != 0)
			throw JobError("tap", "the counters of the device cannot be read", 1);
		const rsspp_epoch input = {packets.data(), loads.data(), nullptr, nullptr};
		rsspp_report report;
		const uint32_t n = balancer_step(balancer.get(), input, moves, report);
		if (n == 0)
			return;
		std::vector<uint16_t> changed;
		for (uint32_t i = 0; i < n; i++)
			changed.push_back(moves[i].bucket);
		const uint16_t *table = rsspp_balancer_table(balancer.get());
		const auto [error, refused] =
			engine::write_verified(device, {table, device.table_size()}, changed);
		for (uint32_t i = 0; i < n; i++)
			if (std::find(refused.begin(), refused.end(), moves[i].bucket) != refused.end())
				rsspp_balancer_reject(balancer.get(), &moves[i], 1);
		nb_refused += refused.size();
		nb_moves += n - refused.size();
	}

	engine::TableDevice &device;
	std::vector<uint64_t> packets;
	std::vector<float> loads;
	uint64_t nb_moves = 0, nb_refused = 0;

private:
	std::vector<rsspp_move> moves;
	api::Balancer balancer;
};

void run(const Spec &spec)
{
	TapRig rig(spec);
	engine::TapWorkers &workers = rig.workers;
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

	Json record = rig.finish();
	const auto [least, most] = std::minmax_element(of_queue.begin(), of_queue.end());
	const uint64_t sum = std::accumulate(of_queue.begin(), of_queue.end(), uint64_t{0});
	if (sum == 0)
		throw JobError(
			"tap", "no packet came through the kernel; is the interface taken down by something?",
			1);
	const double n = double(std::max<uint64_t>(1, epochs));
	const int64_t lost =
		int64_t(record["sent"]) - int64_t(record["processed"]) - int64_t(record["dropped"]);
	record.erase("received");
	record.update(NAMED(spec.method, cores, moves, epochs, lost, spec.traffic.seed));
	emit(
		joined(record, {{"entries", spec.tap.nb_entries},
	                    {"seconds", took},
	                    {"imbalancePercent", imbalance_percent(*least, *most)},
	                    {"worstOverMeanPercent", 100.0 * (double(*most) * cores / double(sum) - 1)},
	                    {"movesPerEpoch", double(moves) / n},
	                    {"refusedWrites", balancing.nb_refused},
	                    {"worstLoad", worst_load / n},
	                    {"meanLoad", mean_load / n},
	                    {"pps", double(sum) / took}}));
}

} // namespace

void run_rsspp_tap(const Json &json)
{
	SpecReader in(json, "");
	Spec spec;
	in.read("method", spec.method);
	method_of(spec.method);
	spec.read(in, 2, 30'000);
	in.read("seconds", spec.seconds, 0.1, 3600);
	in.read("warmupSeconds", spec.warmup_seconds, 0, 3600);
	spec.interval = std::chrono::milliseconds(in.integer("intervalMs", 100, 1, 10'000));
	in.finish();
	run(spec);
}

} // namespace reframer::lab
