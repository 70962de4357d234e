// Job `calibrate`: how close the campus profile comes to the published SLF(T).
//
// The published counts are of what came through an overloaded device, so the traffic is put through one
// like it (traffic/generator_overload.hpp), and the gaps are fitted so that SLF behind it is the
// published one. What the fit did not see tells how far it may be believed.
//
// Specification (every member is optional): packets (whole traffic, of the 70 Gbps point, default
// 8,000,000: one second), seed, seeds (traffics averaged, default 3), queues (default 8), gapWeight
// (seven weights of 65536 instead of the calibrated ones), pauseFloorNs, fastestPps, refit (rounds of
// fitting that start from those weights, default 0).
//
// Result, one record: {job, points: [{what, gbps, delayNs, published, ours, errorPct, fitted}],
// gapWeight, worstFittedErrorPct, worstUnseenErrorPct, traffic: {packets, flows, packetsPerFlow,
// meanFrame, offeredBps, pps}}. `what` is "slf", at the chain of the overloaded device; "throughput",
// in Gbps, which follows from SLF and the published cost of a packet and a run; or "slf-box", of a
// device behind a box of six cores that hold packets and are not overloaded. `fitted` says whether the
// point was a target of the fit; all others it has not seen.
#include "jobs/record.hpp"
#include "lab/captures/generate_spec.hpp"
#include "traffic/generator_overload.hpp"
#include "traffic/generator_slf.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace reframer::lab {

namespace {

using traffic::nb_gap_bands;

struct Point {
	uint64_t delay_ns;
	double slf, gbps;
	bool fitted;
};

// NSDI'22 data repository, results/Reframer/in_chain (overload, 70.2 Gbps offered, 8 queues).
constexpr Point device_points[] = {{0, 1.22, 32.0, true},      {8000, 1.78, 35.8, true},
                                   {16000, 2.16, 40.1, true},  {32000, 2.64, 45.4, true},
                                   {64000, 3.18, 51.0, true},  {104000, 3.52, 52.5, false},
                                   {128000, 3.62, 52.0, true}, {256000, 3.89, 48.1, true}};
constexpr double high_bps = 69.9e9;
constexpr uint32_t box_cores = 6;
// The same, results/Reframer/off_chain, 30 and 4 segments.
constexpr Point box_points[] = {
	{16000, 1.89, 0, false}, {64000, 2.74, 0, false}, {128000, 3.26, 0, false}};
constexpr Point low_points[] = {
	{16000, 1.96, 0, false}, {64000, 2.84, 0, false}, {128000, 3.43, 0, false}};
constexpr double low_bps = 9.5e9, low_slf = 1.41;

struct Options {
	uint64_t packets = 8'000'000, seed = 1, seeds = 3;
	uint32_t queues = 8;
	traffic::CampusParams campus;
};

// Calls `visit(packet)` for the traffic of one seed. Returns its length in seconds.
template <typename Visit>
double each_packet(const Options &options, uint64_t seed, double bps, uint64_t packets, Visit visit)
{
	traffic::GeneratorParams params;
	params.campus = options.campus;
	params.seed = seed;
	params.rate_bps = static_cast<uint64_t>(bps);
	params.packets = packets;
	traffic::Generator generator(params);
	traffic::PacketMeta burst[64];
	uint64_t last = 0;
	while (const size_t n = generator.read_meta(burst, 64)) {
		for (size_t i = 0; i < n; i++)
			visit(burst[i]);
		last = burst[n - 1].time_ns;
	}
	return static_cast<double>(last) / 1e9;
}

struct Reading {
	double slf = 0, gbps = 0;
};

// At the overloaded device, by T; mean over the seeds.
std::vector<Reading> at_device(const Options &options, TrafficTotals &totals, double &seconds)
{
	std::vector<Reading> mean(std::size(device_points));
	for (uint64_t s = 0; s < options.seeds; s++) {
		std::vector<traffic::OverloadedDevice> devices;
		for (const Point &point : device_points) {
			traffic::OverloadParams params;
			params.delay_ns = point.delay_ns;
			devices.emplace_back(params, options.queues);
		}
		totals.begin_anew();
		const double took = each_packet(
			options, options.seed + s, high_bps, options.packets, [&](const auto &packet) {
				const uint32_t queue = traffic::rss_queue(packet.hash, options.queues);
				for (auto &device : devices)
					device.arrive(packet, queue);
				totals.add(packet);
			});
		for (size_t i = 0; i < devices.size(); i++) {
			mean[i].slf += devices[i].slf() / static_cast<double>(options.seeds);
			mean[i].gbps += devices[i].served_bps(took) / 1e9 / static_cast<double>(options.seeds);
		}
		seconds += took;
	}
	return mean;
}

// Behind a box that keeps up: every packet waits T by its own clock; mean over the seeds.
std::vector<double> behind_box(const Options &options, std::vector<uint64_t> delays,
                               uint32_t queues, double bps)
{
	std::vector<double> mean(delays.size());
	// As long a time at every rate.
	const auto packets =
		static_cast<uint64_t>(static_cast<double>(options.packets) * bps / high_bps);
	for (uint64_t s = 0; s < options.seeds; s++) {
		traffic::SlfByDelay slf(delays, queues);
		each_packet(options, options.seed + s, bps, packets, [&](const auto &packet) {
			slf.add(packet, traffic::rss_queue(packet.hash, queues));
		});
		for (size_t i = 0; i < delays.size(); i++)
			mean[i] += slf.slf(i) / static_cast<double>(options.seeds);
	}
	return mean;
}

// Each target T is ruled by the share of gaps below T: in a train of equal chances p to go on, SLF
// is 1 / (1 - p), so the miss in p at T is what the cumulative weight there lacks. Behind an overloaded
// device that is only roughly so, hence small steps.
void refit(Options &options, uint64_t rounds)
{
	for (uint64_t round = 0; round < rounds; round++) {
		TrafficTotals unused;
		double seconds = 0;
		const auto ours = at_device(options, unused, seconds);
		double below = 0;
		uint32_t used = 0;
		size_t band = 0;
		Json shown = Json::array();
		for (size_t i = 0; i < ours.size(); i++) {
			shown.push_back(ours[i].slf);
			if (!device_points[i].fitted)
				continue;
			uint32_t &weight = options.campus.gap_weight[band++];
			const double miss = 1 / ours[i].slf - 1 / device_points[i].slf;
			const double wanted = weight + 0.5 * 65536 * (miss - below);
			below = miss;
			weight = static_cast<uint32_t>(std::clamp(std::round(wanted), 0.0, 62000.0 - used));
			used += weight;
		}
		emit({{"progress",
		       {{"done", round + 1},
		        {"total", rounds},
		        {"what", "fitting gaps"},
		        {"slf", shown},
		        {"gapWeight", options.campus.gap_weight}}}});
	}
}

Options read_options(const Json &spec, uint64_t &rounds)
{
	SpecReader reader(spec, "");
	Options options;
	reader.read("packets", options.packets, 1000, 1000000000);
	reader.read("seed", options.seed, 0, double(uint64_t{1} << 53));
	reader.read("seeds", options.seeds, 1, 100);
	reader.read("queues", options.queues, 1, 128);
	reader.read("pauseFloorNs", options.campus.pause_floor_ns, 1000, 10000000);
	reader.read("fastestPps", options.campus.fastest_pps, 1000, 1000000);
	if (const Json *weights = reader.take("gapWeight")) {
		if (!weights->is_array() || weights->size() != nb_gap_bands)
			reader.fail("gapWeight", "must be seven whole numbers");
		uint64_t sum = 0;
		for (size_t i = 0; i < nb_gap_bands; i++) {
			const Json &weight = (*weights)[i];
			if (!weight.is_number_unsigned() || weight.get<uint64_t>() > 65000)
				reader.fail("gapWeight", "must be seven whole numbers up to 65000");
			sum += options.campus.gap_weight[i] = weight.get<uint32_t>();
		}
		if (sum > 65000)
			reader.fail("gapWeight", "must sum to at most 65000 of 65536");
	}
	rounds = reader.integer("refit", 0, 0, 1000);
	reader.finish();
	return options;
}

} // namespace

void run_calibrate(const Json &spec)
{
	uint64_t rounds;
	Options options = read_options(spec, rounds);
	refit(options, rounds);

	TrafficTotals totals;
	double seconds = 0;
	Json points = Json::array();
	double worst_fitted = 0, worst_unseen = 0;
	const auto report = [&](const char *what, double bps, uint64_t delay_ns, double published,
	                        double ours, bool fitted) {
		const double error = 100 * (ours / published - 1);
		double &worst = fitted ? worst_fitted : worst_unseen;
		worst = std::max(worst, std::fabs(error));
		points.push_back(joined(NAMED(what, delay_ns, published, ours, fitted),
		                        {{"gbps", bps / 1e9}, {"errorPct", error}}));
	};
	const auto device = at_device(options, totals, seconds);
	for (size_t i = 0; i < device.size(); i++) {
		const Point &p = device_points[i];
		report("slf", high_bps, p.delay_ns, p.slf, device[i].slf, p.fitted);
		report("throughput", high_bps, p.delay_ns, p.gbps, device[i].gbps, false);
	}
	const auto box = [&](const auto &targets, double bps) {
		std::vector<uint64_t> delays;
		for (const Point &p : targets)
			delays.push_back(p.delay_ns);
		const auto ours = behind_box(options, delays, box_cores, bps);
		for (size_t i = 0; i < ours.size(); i++)
			report("slf-box", bps, targets[i].delay_ns, targets[i].slf, ours[i], false);
	};
	box(box_points, high_bps);
	box(low_points, low_bps);
	report("slf", low_bps, 0, low_slf, behind_box(options, {0}, options.queues, low_bps)[0], false);

	const double packets = double(totals.packets), bytes = double(totals.bytes);
	const Json traffic = joined(NAMED(totals.packets, totals.flows),
	                            {{"packetsPerFlow", packets / double(totals.flows)},
	                             {"meanFrame", bytes / packets},
	                             {"offeredBps", bytes * 8 / seconds},
	                             {"pps", packets / seconds}});
	emit(joined(NAMED(points, options.campus.gap_weight, traffic),
	            {{"job", "calibrate"},
	             {"worstFittedErrorPct", worst_fitted},
	             {"worstUnseenErrorPct", worst_unseen}}));
}

} // namespace reframer::lab
