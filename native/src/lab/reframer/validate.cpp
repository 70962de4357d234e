// Job `validate`: may the virtual NIC's figures be believed? Two checks.
//   - A queue with a fixed service time must have the mean latency that theory gives for M/D/1.
//   - The same loop with the same packets on real threads, under overload, must carry as much as by
//     the virtual clock, within the machine's noise: both chains, without the stage and with T = 64 us.
//     Interrupts of the polling core count on both: threads cannot leave them out, so the virtual
//     clock runs "raw" here. Those of the core that stands in for the NIC count on neither: a NIC has
//     none, so time without work while that core was away is no part of the threads' time. And
//     between two polls the virtual clock stands while the core waits; where caches are shared with
//     other machines, they lose lines meanwhile. A third engine stands twice as long; what that costs
//     is what standing once costs, and is added to the virtual throughput.
//
// spec    {"quick": false, "seed": 1, "chains": ["paper", "modern"], "policies": ["off", "fixed"],
//          "blocks": of six trials, two on each engine, default 6 (quick: 3), "packets": of each M/D/1 run,
//          "scale": virtual time relative to the default, default 1}
// records {"md1": {...}} and {"threads": {"chain", "policy", "delayUs", "source", "offeredBps",
//          "blocks", ...}}, see validate.hpp; then a record {"verdict": {"agree", "differ", "undecided", "notTested"}}:
//          how many checks came out how.
// A check that differs is an error record "check-failed" after the result, exit code 1. Without two
// cores the second check is left out: {"skipped": why}.
#include "lab/reframer/validate.hpp"

#include "datapath/ports/poisson.hpp"
#include "datapath/ports/virtual_queue.hpp"
#include "measure/median.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/reframer/trial.hpp"

#include <algorithm>
#include <cmath>
#include <sched.h>
#include <string>

namespace reframer::lab {

namespace {

constexpr double service_ns = 1000;
constexpr double md1_tolerance = 0.03;
constexpr uint32_t md1_runs = 5;
constexpr double utilisations[] = {0.2, 0.5, 0.8, 0.9};
// With a smaller share of drops the core may have waited for packets.
constexpr double drop_share_least = 0.05;

double mean_latency(double rho, uint32_t packets, uint64_t seed)
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
	return queue.result().latency.mean();
}

std::vector<int> allowed_cores()
{
	cpu_set_t set;
	CPU_ZERO(&set);
	std::vector<int> cores;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int c = 0; c < CPU_SETSIZE; c++)
			if (CPU_ISSET(static_cast<size_t>(c), &set))
				cores.push_back(c);
	return cores;
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
};

Json check_threads(const Check &check)
{
	Json spec = overload_of(check.chain, check.scale);
	spec.update({{"chain", check.chain},
	             {"policy", check.policy},
	             {"delayNs", 64000},
	             {"cpus", {check.cores[0], check.cores[1]}}});
	EnginePair pair;
	double starved_share = 0;
	for (uint64_t block = 0; block < check.blocks; block++) {
		spec["seed"] = check.seed + block;
		for (const EngineKind kind : {by_clock, on_threads, standing, standing, on_threads, by_clock}) {
			const bool threads = kind == on_threads;
			spec["engine"] = threads ? "threads" : "virtual";
			spec["raw"] = !threads; // interrupted polls at their full time
			spec["standTwice"] = kind == standing;
			const TrialSpec parsed = parse_trial_spec(spec);
			const TrialOutcome outcome = run_trial_spec(parsed);
			if (!outcome.passed())
				throw JobError("check-failed", "a trial's own checks failed: " + spec.dump());
			const Json record = report(parsed, outcome);
			const double queues_ns = spec["durationNs"].get<double>() * spec["queues"].get<double>();
			const double starved = threads ? record["polls"]["starvedNs"].get<double>() / queues_ns : 0;
			(threads ? pair.on_threads : kind == standing ? pair.on_standing : pair.on_virtual)
			    .push_back(record["throughputPps"].get<double>() / (1 - starved));
			starved_share += starved / static_cast<double>(2 * check.blocks);
			pair.dropped.push_back(record["drops"]["ringShare"]);
		}
	}
	Json result = {{"chain", check.chain},
	               {"policy", check.policy},
	               {"delayUs", check.policy == "fixed" ? 64 : 0},
	               {"source", spec["source"]},
	               {"offeredBps", spec["offeredBps"]},
	               {"blocks", check.blocks},
	               {"starvedShare", starved_share}};
	result.update(compare_engines(pair, check.seed));
	return result;
}

// Words of a list in the specification, each one of `known`.
std::vector<std::string> words(SpecReader &in, const char *name, const std::vector<std::string> &known)
{
	const Json *given = in.take(name);
	if (!given)
		return known;
	std::vector<std::string> list;
	if (!given->is_array())
		in.fail(name, "must be a list");
	for (const Json &word : *given) {
		if (!word.is_string() || std::find(known.begin(), known.end(), word.get<std::string>()) == known.end())
			in.fail(name, "has a member that is not known here: " + word.dump());
		list.push_back(word);
	}
	return list;
}

} // namespace

Json compare_engines(const EnginePair &pair, uint64_t seed)
{
	std::vector<double> ratios, standings, virtual_apart, threads_apart;
	for (size_t i = 0; i + 1 < pair.on_virtual.size(); i += 2) {
		const auto apart = [i](const std::vector<double> &v) {
			return 2 * std::abs(v[i] - v[i + 1]) / (v[i] + v[i + 1]);
		};
		const auto both = [i](const std::vector<double> &v) { return v[i] + v[i + 1]; };
		// In times a packet: without standing as much less as standing twice is more.
		const double standing = both(pair.on_virtual) / both(pair.on_standing) - 1;
		standings.push_back(standing);
		ratios.push_back(both(pair.on_threads) / both(pair.on_virtual) * (1 - standing));
		virtual_apart.push_back(apart(pair.on_virtual));
		threads_apart.push_back(apart(pair.on_threads));
	}
	const auto [low, high] = interval_of_median(ratios, seed);
	const double noise = std::max(median(virtual_apart), median(threads_apart));
	const double dropped = *std::min_element(pair.dropped.begin(), pair.dropped.end());
	const double middle = median(ratios);
	const char *verdict = low > 1 + noise || high < 1 - noise ? "differs"
	    : std::abs(middle - 1) <= noise                        ? "agrees"
	                                                           : "undecided";
	return {{"virtualPps", median(pair.on_virtual)},
	        {"threadsPps", median(pair.on_threads)},
	        {"ratio", middle},
	        {"ratioLow", low},
	        {"ratioHigh", high},
	        {"standing", median(standings)},
	        {"noise", noise},
	        {"dropShare", dropped},
	        {"verdict", dropped < drop_share_least ? "not overloaded" : verdict}};
}

Json check_md1(double rho, uint32_t packets, uint64_t seed)
{
	const double expected = engine::md1_mean_ns(service_ns, rho);
	std::vector<double> means;
	for (uint32_t run = 0; run < md1_runs; run++)
		means.push_back(mean_latency(rho, packets, seed + run));
	const auto [low, high] = std::minmax_element(means.begin(), means.end());
	const double middle = median(means);
	return {{"rho", rho},
	        {"serviceNs", service_ns},
	        {"packets", uint64_t{packets} * md1_runs},
	        {"expectedNs", expected},
	        {"meanNs", middle},
	        {"lowNs", *low},
	        {"highNs", *high},
	        {"verdict", std::abs(middle / expected - 1) <= md1_tolerance ? "agrees" : "differs"}};
}

void run_validate(const Json &json)
{
	SpecReader in(json, "");
	const bool quick = in.boolean("quick", false);
	const uint64_t seed = in.integer("seed", 1, 0, 1ull << 52);
	const uint64_t blocks = in.integer("blocks", quick ? 3 : 6, 1, 1000);
	const auto packets = static_cast<uint32_t>(in.integer("packets", quick ? 200'000 : 1'000'000, 1000, 1u << 26));
	const double scale = in.real("scale", 1, 0.01, 4);
	const auto chains = words(in, "chains", {"paper", "modern"});
	const auto policies = words(in, "policies", {"off", "fixed"});
	in.finish();

	const uint64_t total = std::size(utilisations) + chains.size() * policies.size();
	uint64_t agree = 0, differ = 0, undecided = 0, not_tested = 0;
	const auto book = [&](const char *name, const Json &result) {
		const Json &verdict = result["verdict"];
		(verdict == "agrees" ? agree : verdict == "differs" ? differ : verdict == "undecided" ? undecided : not_tested)++;
		emit({{name, result}});
		emit({{"progress", {{"done", agree + differ + undecided + not_tested}, {"total", total}, {"what", "checks"}}}});
	};
	for (const double rho : utilisations)
		book("md1", check_md1(rho, packets, seed));
	const std::vector<int> cores = allowed_cores();
	if (cores.size() < 2) {
		emit({{"skipped", "real threads need two cores"}});
		not_tested += chains.size() * policies.size();
	} else {
		for (const std::string &chain : chains)
			for (const std::string &policy : policies)
				book("threads", check_threads({chain, policy, scale, blocks, seed, cores}));
	}
	emit({{"verdict", {{"agree", agree}, {"differ", differ}, {"undecided", undecided}, {"notTested", not_tested}}}});
	if (differ)
		throw JobError("check-failed", std::to_string(differ) + " of the checks of the virtual NIC came out different");
}

} // namespace reframer::lab
