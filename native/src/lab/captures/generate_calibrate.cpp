// Job `calibrate`: how close the campus profile comes to the published SLF(T).
//
// Specification (every member is optional): packets (whole traffic, of the 70 Gbps point, default
// 8,000,000: one second), seed, seeds (traffics averaged, default 3), queues (default 8), gapWeight
// (seven weights of 65536 instead of the calibrated ones), pauseFloorNs, refit (rounds of fitting
// that start from those weights, default 0).
//
// Result, one record: {job, points: [{gbps, delayNs, published, ours, errorPct, fitted}], gapWeight,
// worstFittedErrorPct, traffic: {packets, flows, packetsPerFlow, meanFrame, offeredBps, pps}}.
// `fitted` says whether the point was a target of the fit: those at 9.5 Gbps were not. They were
// published behind a Reframer box of six cores, not per queue of the device, so only T = 0 compares
// like with like; they are reported all the same. The fitted row itself was counted on a device at
// overload, whose polls (70 us for 32 packets) lengthen T: trains fitted to it are a little too
// dense, which shows at 9.5 Gbps, where SLF before Reframer comes out a quarter too high.
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "traffic/generator.hpp"
#include "traffic/generator_slf.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::lab {

namespace {

using traffic::nb_gap_bands;

struct Point {
	uint64_t delay_ns;
	double published;
};

// NSDI'22 data repository, results/Reframer/in_chain (overload, 70.2 Gbps offered, 8 queues).
constexpr Point fitted_points[] = {{0, 1.22},     {8000, 1.78},  {16000, 2.16},  {32000, 2.64},
                                   {64000, 3.18}, {128000, 3.62}, {256000, 3.89}};
constexpr double fitted_bps = 69.9e9;
static_assert(std::size(fitted_points) == nb_gap_bands);
// The same, results/Reframer/off_chain, 4 segments.
constexpr Point low_points[] = {{0, 1.41}, {16000, 1.96}, {64000, 2.84}, {128000, 3.43}};
constexpr double low_bps = 9.5e9;

struct Totals {
	uint64_t packets = 0, bytes = 0, flows = 0;
	double seconds = 0;
};

struct Options {
	uint64_t packets, seed, seeds;
	uint32_t queues;
	traffic::CampusParams campus;
};

// Mean over the seeds of SLF at every delay.
template <size_t N>
std::array<double, N> measure(const Options &options, const Point (&points)[N], double bps,
                              uint64_t packets, Totals *totals)
{
	std::array<double, N> mean{};
	std::vector<uint64_t> delays;
	for (const Point &point : points)
		delays.push_back(point.delay_ns);
	for (uint64_t i = 0; i < options.seeds; i++) {
		traffic::GeneratorParams params;
		params.campus = options.campus;
		params.seed = options.seed + i;
		params.rate_bps = static_cast<uint64_t>(bps);
		params.packets = packets;
		traffic::Generator generator(params);
		traffic::SlfByDelay slf(delays, options.queues);
		std::vector<bool> seen;
		traffic::PacketMeta burst[64];
		uint64_t last = 0;
		while (const size_t n = generator.read_meta(burst, 64)) {
			for (size_t k = 0; k < n; k++) {
				slf.add(burst[k], traffic::rss_queue(burst[k].hash, options.queues));
				if (!totals)
					continue;
				totals->bytes += burst[k].length;
				if (seen.size() <= burst[k].flow)
					seen.resize(burst[k].flow * size_t{2} + 1);
				totals->flows += !seen[burst[k].flow];
				seen[burst[k].flow] = true;
			}
			last = burst[n - 1].time_ns;
		}
		for (size_t k = 0; k < N; k++)
			mean[k] += slf.slf(k) / static_cast<double>(options.seeds);
		if (totals) {
			totals->packets += slf.packets();
			totals->seconds += static_cast<double>(last) / 1e9;
		}
	}
	return mean;
}

// Each target T is ruled by the share of gaps below T: in a train of equal chances p to go on, SLF
// is 1 / (1 - p), so the miss in p at T is what the cumulative weight there lacks.
void refit(Options &options, uint64_t rounds)
{
	for (uint64_t round = 0; round < rounds; round++) {
		const auto ours = measure(options, fitted_points, fitted_bps, options.packets, nullptr);
		double below = 0;
		uint32_t used = 0;
		Json shown = Json::array();
		for (size_t i = 0; i < nb_gap_bands; i++) {
			const double miss = 1 / ours[i] - 1 / fitted_points[i].published;
			const double weight = options.campus.gap_weight[i] + 0.7 * 65536 * (miss - below);
			below = miss;
			const double most = 62000.0 - used;
			options.campus.gap_weight[i] =
			    static_cast<uint32_t>(std::clamp(std::round(weight), 0.0, most));
			used += options.campus.gap_weight[i];
			shown.push_back(ours[i]);
		}
		emit({{"progress", {{"done", round + 1}, {"total", rounds}, {"what", "fitting gaps"},
		                    {"slf", shown}}}});
	}
}

} // namespace

void run_calibrate(const Json &spec)
{
	SpecReader reader(spec, "");
	Options options;
	options.packets = reader.integer("packets", 8000000, 1000, 1000000000);
	options.seed = reader.integer("seed", 1, 0, uint64_t{1} << 53);
	options.seeds = reader.integer("seeds", 3, 1, 100);
	options.queues = static_cast<uint32_t>(reader.integer("queues", 8, 1, 128));
	options.campus.pause_floor_ns = static_cast<uint32_t>(
	    reader.integer("pauseFloorNs", options.campus.pause_floor_ns, 1000, 10000000));
	options.campus.fastest_pps = static_cast<uint32_t>(
	    reader.integer("fastestPps", options.campus.fastest_pps, 1000, 1000000));
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
	const uint64_t rounds = reader.integer("refit", 0, 0, 1000);
	reader.finish();
	refit(options, rounds);

	Totals totals;
	Json points = Json::array();
	double worst = 0;
	const auto report = [&](const auto &targets, const auto &ours, double bps, bool fitted) {
		for (size_t i = 0; i < ours.size(); i++) {
			const double error = 100 * (ours[i] / targets[i].published - 1);
			if (fitted)
				worst = std::max(worst, std::fabs(error));
			points.push_back({{"gbps", bps / 1e9}, {"delayNs", targets[i].delay_ns},
			                  {"published", targets[i].published}, {"ours", ours[i]},
			                  {"errorPct", error}, {"fitted", fitted}});
		}
	};
	report(fitted_points, measure(options, fitted_points, fitted_bps, options.packets, &totals),
	       fitted_bps, true);
	// As long a time at the lower rate.
	report(low_points,
	       measure(options, low_points, low_bps,
	               static_cast<uint64_t>(static_cast<double>(options.packets) * low_bps / fitted_bps),
	               nullptr),
	       low_bps, false);
	const double packets = static_cast<double>(totals.packets);
	emit({{"job", "calibrate"},
	      {"points", points},
	      {"gapWeight", options.campus.gap_weight},
	      {"worstFittedErrorPct", worst},
	      {"traffic",
	       {{"packets", totals.packets},
	        {"flows", totals.flows},
	        {"packetsPerFlow", packets / static_cast<double>(totals.flows)},
	        {"meanFrame", static_cast<double>(totals.bytes) / packets},
	        {"offeredBps", static_cast<double>(totals.bytes) * 8 / totals.seconds},
	        {"pps", packets / totals.seconds}}}});
}

} // namespace reframer::lab
