// Job `bench-rsspp`: every method over the same seconds of campus traffic.
//
// spec   {"seed": 1, "seconds": 60, "intervalMs": 100, "profiles": ["campus","campus4"],
//         "entries": [128,512,2048], "cores": [8,16,64], "methods": [...], "grouped": false,
//         "threshold", "smoothing", "trend", "tolerance", "holdEpochs" (as rsspp_balancer_params)}
//        (all optional)
// record {"row": {"method","entries","cores","profile","solveUs","worstOverBoundPercent",
//         "imbalancePercent","floorPercent","movesPerEpoch","settledOverBoundPercent","settledMoves",
//         "epochs","seed"}}; floorPercent is the least imbalance that the heaviest bucket allows;
//        settled: an epoch's load kept constant from the first table on, median over 21 epochs. With "grouped" one record with all rows:
//         {PROFILE: {ENTRIES: {CORES: {METHOD: row}}}}
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/epoch_runner.hpp"
#include "lab/rsspp/methods.hpp"
#include "traffic/flow_population.hpp"

#include <algorithm>
#include <utility>

namespace reframer::lab {

namespace {

// What the buckets of a table of so many entries get in an epoch.
std::vector<uint64_t> packets_of(const std::vector<traffic::FlowShare> &epoch, uint32_t entries)
{
	std::vector<uint64_t> packets(entries);
	for (const traffic::FlowShare &s : epoch)
		packets[s.hash % entries] += s.packets;
	return packets;
}

// Median over some of the epochs of what settling takes and leaves.
std::pair<double, double> settled(const rsspp_balancer_params &params,
                                  const std::vector<std::vector<traffic::FlowShare>> &epochs)
{
	const size_t step = std::max<size_t>(1, epochs.size() / 21);
	std::vector<double> over, moves;
	for (size_t e = 0; e < epochs.size(); e += step) {
		const Settled s = settle(params, packets_of(epochs[e], params.nb_buckets));
		over.push_back(s.over_bound_percent);
		moves.push_back(double(s.moves));
	}
	std::sort(over.begin(), over.end());
	std::sort(moves.begin(), moves.end());
	return {over[over.size() / 2], moves[moves.size() / 2]};
}

} // namespace

void run_bench_rsspp(const Json &spec)
{
	SpecReader in(spec, "");
	const uint64_t seed = in.integer("seed", 1, 0, UINT32_MAX);
	const auto interval_ms = in.integer<uint32_t>("intervalMs", 100, 1, 10'000);
	const double seconds = in.real("seconds", 60, 0.001, 3600);
	if (!(seconds * 1e3 >= interval_ms))
		in.fail("seconds", "must be at least one interval");
	using traffic::FlowPopulationProfile;
	const auto profiles = in.several<const FlowPopulationProfile *>(
		"profiles",
		{{"campus", &traffic::campus_population}, {"campus4", &traffic::campus4_population}});
	const auto entries = in.integers<uint32_t>("entries", {128, 512, 2048}, 2, RSSPP_MAX_BUCKETS);
	const auto cores = in.integers<uint32_t>("cores", {8, 16, 64}, 1, RSSPP_MAX_CORES);
	const auto methods = in.texts("methods", {"static", "greedy", "ours", "lpt"});
	for (const std::string &name : methods)
		method_of(name);
	const bool grouped = in.boolean("grouped", false);
	rsspp_balancer_params params;
	rsspp_balancer_default_params(&params);
	in.read("threshold", params.threshold, 0, 1);
	in.read("smoothing", params.smoothing, 0.01, 1);
	in.read("trend", params.trend, 0, 1);
	in.read("tolerance", params.tolerance, 0, 1);
	const bool own_hold = in.has("holdEpochs");
	const auto hold_epochs = in.integer<uint32_t>("holdEpochs", 0, 0, 255);
	in.finish();
	Json groups = Json::object();
	const uint32_t nb_epochs = uint32_t(seconds * 1e3 / interval_ms);
	const uint32_t window = std::max(1u, 1000 / interval_ms);

	for (const FlowPopulationProfile *profile : profiles) {
		// Epochs once per table size, the same for every method and number of cores.
		traffic::FlowPopulation population(*profile, seed);
		std::vector<std::vector<traffic::FlowShare>> epochs;
		for (uint32_t e = 0; e < nb_epochs; e++)
			epochs.push_back(population.advance(interval_ms * 1e-3));
		for (uint32_t size : entries) {
			for (uint32_t n : cores) {
				for (const std::string &method : methods) {
					params.method = method_of(method);
					// Cores that just received wait an epoch in the published greedy.
					params.hold_epochs = own_hold                        ? hold_epochs
					                     : params.method == RSSPP_GREEDY ? 1
					                                                     : 0;
					params.nb_buckets = size;
					params.nb_cores = n;
					EpochRunner runner(params, window);
					for (const auto &epoch : epochs)
						runner.epoch(packets_of(epoch, size));
					const auto [over, moves] = settled(params, epochs);
					const Json row =
						joined(runner.figures().record(), {{"method", method},
					                                       {"entries", size},
					                                       {"cores", n},
					                                       {"profile", profile->name},
					                                       {"settledOverBoundPercent", over},
					                                       {"settledMoves", moves},
					                                       {"seed", seed}});
					if (grouped)
						groups[profile->name][std::to_string(size)][std::to_string(n)][method] =
							row;
					else
						emit({{"row", row}});
				}
			}
		}
	}
	if (grouped)
		emit(groups);
}

} // namespace reframer::lab
