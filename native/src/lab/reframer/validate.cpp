// Job `validate`: may the virtual NIC's figures be believed? Three checks.
//   - A queue with a fixed service time must have the latency that theory gives for M/D/1: mean, median
//     and 99th percentile.
//   - The same loop with the same packets on real threads, under overload, must carry as much as by
//     the virtual clock: both chains, without the stage and with T = 64 us.
//     Interrupts of the polling core count on both: threads cannot leave them out, so the virtual
//     clock runs "raw" here. Those of the core that stands in for the NIC count on neither: a NIC has
//     none, so time without work while that core was away is no part of the threads' time. And
//     between two polls the virtual clock stands while the core waits; where caches are shared with
//     other machines, they lose lines meanwhile. A third engine stands twice as long; what that costs
//     is what standing once costs, and is added to the virtual throughput.
//   - The same at half and at 0.8 of that throughput: median and 99th percentile of latency.
// Two engines agree where the whole 95 % interval of their ratio lies within 3 %.
//
// spec    {"quick": false, "seed": 1, "chains": ["paper", "modern"], "policies": ["off", "fixed"],
//          "blocks": of trials on each engine, default 8 (quick: 6; below that nothing is decided),
//          "packets": of each M/D/1 run, "scale": virtual time relative to the default, default 1}
// records {"md1": {...}}, {"threads": {"chain", "policy", "delayUs", "source", "offeredBps", "blocks",
//          ...}} and {"latency": {"chain", "policy", "delayUs", "load", "blocks", "p50": {...},
//          "p99": {...}, "verdict"}}, see validate.hpp; then a record {"verdict": {"agree", "differ",
//          "undecided", "notTested"}}: how many checks came out how.
// A check that differs is an error record "check-failed" after the result, exit code 1. Undecided is not
// agreement: where none differs but some are undecided or could not be tested, the error is
// "not-decided", exit code 3. Without two cores the checks on threads are left out: {"skipped": why}.
#include "lab/reframer/validate.hpp"

#include "base/cores.hpp"
#include "datapath/ports/poisson.hpp"
#include "datapath/ports/virtual_queue.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/reframer/trial.hpp"
#include "measure/median.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

namespace reframer::lab {

namespace {

constexpr double service_ns = 1000;
constexpr uint32_t md1_runs = 5;
constexpr double utilisations[] = {0.2, 0.5, 0.8, 0.9};
// Shares of the throughput under overload at which latency is compared.
constexpr double loads[] = {0.5, 0.8};

// Of one run of a queue with fixed service time.
engine::Histogram md1_latency(double rho, uint32_t packets, uint64_t seed)
{
	engine::QueueConfig config;
	config.ring_depth = 16384; // as good as infinite
	config.burst = 1;          // M/D/1 serves one customer at a time
	config.service_ns = service_ns;
	const auto arrivals = engine::poisson_arrivals(seed, rho / service_ns, packets);
	config.window_end_ns = static_cast<double>(arrivals.back().time_ns + 1);
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	engine::Dma dma(engine::Dma::Into::dram, -1);
	engine::VirtualQueue queue(config, nullptr, *chain, dma);
	queue.run(arrivals, config.window_end_ns);
	queue.drain();
	return queue.result().latency;
}

// Loads that both engines can keep up: the second core copies each frame that finds room within the
// time the first takes for a packet.
Json overload_of(const std::string &chain, double scale)
{
	const auto ns = [&](double ms) { return std::max(1.0, std::round(ms * 1e6 * scale)); };
	if (chain == "paper")
		return {{"source", {{"profile", "campus"}}},
		        {"offeredBps", 140e9},
		        {"queues", 8},
		        {"durationNs", ns(6)},
		        {"warmupNs", ns(1.5)},
		        {"learnNs", ns(20)}};
	// Short frames: the modern chain takes a packet in less time than a long one takes to copy. Many
	// flows, so that it takes longer than a short one. It releases a thousand packets in a poll and
	// then fills up again, so the window is long: its ends cut through that swing.
	return {{"source", {{"profile", "uniform"}, {"flows", 200000}, {"frameLength", 128}}},
	        {"offeredBps", 100e9},
	        {"queues", 8},
	        {"durationNs", ns(12)},
	        {"warmupNs", ns(1)},
	        {"learnNs", ns(5)}};
}

enum EngineKind { by_clock, on_threads, standing };

struct Check {
	std::string chain, policy;
	double scale;
	uint64_t blocks, seed;
	std::vector<int> cores;

	Json spec() const
	{
		Json spec = overload_of(chain, scale);
		spec.update({{"chain", chain},
		             {"policy", policy},
		             {"delayNs", 64000},
		             {"cpus", {cores[0], cores[1]}}});
		return spec;
	}
	Json named() const
	{
		return {{"chain", chain},
		        {"policy", policy},
		        {"delayUs", policy == "fixed" ? 64 : 0},
		        {"blocks", blocks}};
	}
};

// One trial on one engine; `spec` is without it.
Json record_of(Json spec, EngineKind kind)
{
	const bool threads = kind == on_threads;
	spec["engine"] = threads ? "threads" : "virtual";
	spec["raw"] = !threads; // interrupted polls at their full time
	spec["standTwice"] = kind == standing;
	TrialSpec parsed = parse_trial_spec(spec);
	const TrialOutcome outcome = run_trial_spec(parsed);
	if (!outcome.passed())
		throw JobError("check-failed", "a trial's own checks failed: " + spec.dump());
	return report(parsed, outcome);
}

// `offered_pps` and `carried_pps`: what came and what the virtual NIC carried, for the check of latency.
Json check_threads(const Check &check, double &offered_pps, double &carried_pps)
{
	Json spec = check.spec();
	EnginePair pair;
	double starved_share = 0;
	for (uint64_t block = 0; block < check.blocks; block++) {
		spec["seed"] = check.seed + block;
		for (const EngineKind kind :
		     {by_clock, on_threads, standing, standing, on_threads, by_clock}) {
			const bool threads = kind == on_threads;
			const Json record = record_of(spec, kind);
			const double queues_ns =
				spec["durationNs"].get<double>() * spec["queues"].get<double>();
			const double starved =
				threads ? record["polls"]["starvedNs"].get<double>() / queues_ns : 0;
			(threads            ? pair.on_threads
			 : kind == standing ? pair.on_standing
			                    : pair.on_virtual)
				.push_back(record["throughputPps"].get<double>() / (1 - starved));
			starved_share += starved / static_cast<double>(2 * check.blocks);
			pair.dropped.push_back(record["drops"]["ringShare"]);
			offered_pps = record["offeredPps"];
		}
	}
	Json result = check.named();
	result.update({{"source", spec["source"]},
	               {"offeredBps", spec["offeredBps"]},
	               {"starvedShare", starved_share}});
	result.update(compare_engines(pair, check.seed));
	carried_pps = result["virtualPps"];
	return result;
}

Json check_latency(const Check &check, double load, double offered_pps, double carried_pps)
{
	Json spec = check.spec();
	spec["offeredBps"] = spec["offeredBps"].get<double>() * load * carried_pps / offered_pps;
	LatencyPair p50, p99;
	for (uint64_t block = 0; block < check.blocks; block++) {
		spec["seed"] = check.seed + block;
		for (const EngineKind kind : {by_clock, on_threads, on_threads, by_clock}) {
			const Json record = record_of(spec, kind);
			const auto add = [&](LatencyPair &pair, const char *name) {
				(kind == on_threads ? pair.on_threads : pair.on_virtual)
					.push_back(record["latencyNs"][name]);
			};
			add(p50, "p50");
			add(p99, "p99");
		}
	}
	Json result = check.named();
	const Json middle = compare_latencies(p50, check.seed),
			   late = compare_latencies(p99, check.seed);
	const auto either = [&](const char *verdict) {
		return middle["verdict"] == verdict || late["verdict"] == verdict;
	};
	result.update({{"load", load},
	               {"offeredBps", spec["offeredBps"]},
	               {"p50", middle},
	               {"p99", late},
	               {"verdict", either("differs")     ? "differs"
	                           : either("undecided") ? "undecided"
	                                                 : "agrees"}});
	return result;
}

} // namespace

Json check_md1(double rho, uint32_t packets, uint64_t seed)
{
	std::vector<double> means, p50s, p99s;
	for (uint32_t run = 0; run < md1_runs; run++) {
		const engine::Histogram latency = md1_latency(rho, packets, seed + run);
		means.push_back(latency.mean());
		p50s.push_back(latency.quantile(0.5));
		p99s.push_back(latency.quantile(0.99));
	}
	const double mean_ns = engine::median(means), p50_ns = engine::median(p50s),
				 p99_ns = engine::median(p99s);
	const double expected_ns = engine::md1_mean_ns(service_ns, rho);
	const double expected_p50_ns = engine::md1_quantile_ns(service_ns, rho, 0.5);
	const double expected_p99_ns = engine::md1_quantile_ns(service_ns, rho, 0.99);
	const auto [low, high] = std::minmax_element(means.begin(), means.end());
	const auto near = [](double ours, double theirs) {
		return std::abs(ours / theirs - 1) <= agreement;
	};
	const bool agrees = near(mean_ns, expected_ns) && near(p50_ns, expected_p50_ns) &&
	                    near(p99_ns, expected_p99_ns);
	return joined(NAMED(rho, service_ns, mean_ns, p50_ns, p99_ns, expected_ns, expected_p50_ns,
	                    expected_p99_ns),
	              {{"packets", uint64_t{packets} * md1_runs},
	               {"lowNs", *low},
	               {"highNs", *high},
	               {"verdict", word(agrees ? Agreement::agrees : Agreement::differs)}});
}

void run_validate(const Json &json)
{
	SpecReader in(json, "");
	const bool quick = in.boolean("quick", false);
	const uint64_t seed = in.integer("seed", 1, 0, 1ull << 52);
	const uint64_t blocks = in.integer("blocks", quick ? least_blocks : 8, 1, 1000);
	const auto packets =
		in.integer<uint32_t>("packets", quick ? 200'000 : 1'000'000, 1000, 1u << 26);
	const double scale = in.real("scale", 1, 0.01, 4);
	using Names = std::pair<const char *, std::string>;
	const auto chains =
		in.several<std::string>("chains", {Names("paper", "paper"), {"modern", "modern"}});
	const auto policies =
		in.several<std::string>("policies", {Names("off", "off"), {"fixed", "fixed"}});
	in.finish();

	const uint64_t on_threads_each = 1 + std::size(loads);
	const uint64_t total =
		std::size(utilisations) + chains.size() * policies.size() * on_threads_each;
	uint64_t agree = 0, differ = 0, undecided = 0, not_tested = 0, done = 0;
	const auto book = [&](const char *name, const Json &result) {
		const Json &verdict = result["verdict"];
		(verdict == "agrees"      ? agree
		 : verdict == "differs"   ? differ
		 : verdict == "undecided" ? undecided
		                          : not_tested)++;
		emit({{name, result}});
		emit({{"progress", {{"done", ++done}, {"total", total}, {"what", "checks"}}}});
	};
	for (const double rho : utilisations)
		book("md1", check_md1(rho, packets, seed));
	const std::vector<int> allowed = base::allowed_cores();
	const auto other = allowed.empty() ? std::nullopt : base::other_core(allowed[0], allowed);
	if (!other) {
		emit({{"skipped", "real threads need two cores"}});
		not_tested += chains.size() * policies.size() * on_threads_each;
	} else {
		for (const std::string &chain : chains) {
			for (const std::string &policy : policies) {
				const Check check = {chain, policy, scale, blocks, seed, {allowed[0], *other}};
				double offered_pps = 0, carried_pps = 0;
				book("threads", check_threads(check, offered_pps, carried_pps));
				for (const double load : loads)
					book("latency", check_latency(check, load, offered_pps, carried_pps));
			}
		}
	}
	emit({{"verdict", NAMED(agree, differ, undecided, not_tested)}});
	if (differ)
		throw JobError("check-failed", std::to_string(differ) + " of " + std::to_string(total) +
		                                   " checks of the virtual NIC differ by more than 3 %");
	if (undecided + not_tested)
		throw JobError("not-decided",
		               std::to_string(undecided) + " of " + std::to_string(total) +
		                   " checks of the virtual NIC are undecided and " +
		                   std::to_string(not_tested) +
		                   " were not tested: run without --quick, or on a quieter machine",
		               3);
}

} // namespace reframer::lab
