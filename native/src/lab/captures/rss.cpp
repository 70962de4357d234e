// Job `rss`: what RSS with a table that is never rewritten, the greedy of RSS++ and ours would do
// to a capture's packets on so many cores.
//
// spec   {"file", "cores": 8, "reta": 128, "intervalMs": 100, "keepGoing": false,
//         "methods": ["static","greedy","ours"]}
// record {"file","packets","cores","reta","epochs","epoch": "100 ms" | "1000 packets",
//         "methods": {NAME: {"imbalancePercent","worstOverMeanPercent","movesPerEpoch",
//         "worstOverBoundPercent","solveUs","imbalanceByEpoch"}}, "warnings"}
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/epoch_runner.hpp"
#include "lab/rsspp/methods.hpp"
#include "packet/flow_key.hpp"
#include "packet/parse.hpp"
#include "packet/toeplitz.hpp"
#include "traffic/capture.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <memory>

namespace reframer::lab {

namespace {

// Epoch of captures whose time stamps say nothing.
constexpr uint64_t packets_per_epoch = 1000;
// Points of the curve over time that a record carries; longer captures are thinned.
constexpr size_t curve_points = 500;

struct Method {
	std::string name;
	std::unique_ptr<EpochRunner> runner;
};

std::vector<double> thinned(const std::vector<double> &all)
{
	std::vector<double> some;
	const size_t step = std::max<size_t>(1, (all.size() + curve_points - 1) / curve_points);
	for (size_t i = 0; i < all.size(); i += step)
		some.push_back(all[i]);
	return some;
}

// Cuts a capture into epochs by its own clock; packets that step back belong to the running one.
class EpochCutter {
public:
	EpochCutter(uint64_t interval_ns, uint32_t reta) : interval_ns(interval_ns), buckets(reta) {}

	// True when `frame` begins a new epoch: then the counts of the last one are complete.
	bool begins(const packet::Frame &frame)
	{
		if (nb_packets == 0)
			start = frame.time_ns;
		timed = timed || frame.time_ns > start;
		return timed ? nb_packets > 0 && frame.time_ns >= start + interval_ns
		             : in_epoch == packets_per_epoch;
	}
	void next(const packet::Frame &frame)
	{
		std::fill(buckets.begin(), buckets.end(), 0);
		in_epoch = 0;
		if (timed) // silent epochs in between count for nothing
			start += (frame.time_ns - start) / interval_ns * interval_ns;
	}
	void count(uint32_t hash)
	{
		buckets[hash % buckets.size()]++;
		in_epoch++;
		nb_packets++;
	}

	const uint64_t interval_ns;
	std::vector<uint64_t> buckets;
	uint64_t nb_packets = 0;
	uint64_t in_epoch = 0;
	bool timed = false;

private:
	uint64_t start = 0;
};

} // namespace

void run_rss(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string file = reader.needed("file");
	const auto cores = reader.integer<uint32_t>("cores", 8, 1, RSSPP_MAX_CORES);
	const auto reta = reader.integer<uint32_t>("reta", 128, 2, RSSPP_MAX_BUCKETS);
	const uint64_t interval_ms = reader.integer("intervalMs", 100, 1, 60'000);
	const bool keep_going = reader.boolean("keepGoing", false);
	const std::vector<std::string> names = reader.texts("methods", {"static", "greedy", "ours"});
	if (!std::has_single_bit(reta))
		reader.fail("reta", "must be a power of two, as tables of NICs are");
	if (reta < cores)
		reader.fail("reta", "must have an entry for every core");
	std::vector<Method> methods;
	rsspp_balancer_params params;
	rsspp_balancer_default_params(&params);
	params.nb_buckets = reta;
	params.nb_cores = cores;
	for (const std::string &name : names) {
		params.method = method_of(name);
		methods.push_back({name, std::make_unique<EpochRunner>(params, 1)});
	}
	reader.finish();
	Json warnings = Json::array();
	EpochCutter cutter(interval_ms * 1'000'000, reta);
	const packet::Toeplitz toeplitz(packet::toeplitz_key_microsoft);
	const auto end_epoch = [&] {
		for (Method &m : methods)
			m.runner->epoch(cutter.buckets);
	};
	try {
		const auto capture = traffic::open_capture(file);
		std::array<packet::Frame, 256> frames;
		while (const size_t n = capture->read(frames.data(), frames.size())) {
			for (size_t i = 0; i < n; i++) {
				const packet::Frame &frame = frames[i];
				if (cutter.begins(frame)) {
					end_epoch();
					cutter.next(frame);
				}
				const packet::Headers headers = packet::parse(frame);
				cutter.count(toeplitz(packet::rss_key_of(headers, frame.data)));
			}
		}
	} catch (const traffic::CaptureError &e) {
		if (!keep_going || cutter.nb_packets == 0)
			throw;
		warnings.push_back({{"code", e.code}, {"message", e.what()}, {"offset", e.offset}});
	}
	// The last epoch is cut short by the end of the capture: it counts only where there is no other.
	if (methods.front().runner->figures().epochs == 0)
		end_epoch();
	Json of_methods = Json::object();
	for (const Method &m : methods) {
		const EpochRunner::Figures f = m.runner->figures();
		of_methods[m.name] =
			joined(NAMED(f.imbalance_percent, f.worst_over_mean_percent, f.moves_per_epoch,
		                 f.worst_over_bound_percent, f.solve_us),
		           {{"imbalanceByEpoch", thinned(f.imbalance_by_window)}});
	}
	emit(joined(NAMED(file, cores, reta, warnings, methods.front().runner->figures().epochs),
	            {{"packets", cutter.nb_packets},
	             {"epoch", cutter.timed ? std::to_string(interval_ms) + " ms"
	                                    : std::to_string(packets_per_epoch) + " packets"},
	             {"methods", of_methods}}));
}

} // namespace reframer::lab
