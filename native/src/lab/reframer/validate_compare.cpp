#include "lab/reframer/validate.hpp"
#include "measure/median.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::lab {

namespace {

// With a smaller share of drops the core may have waited for packets.
constexpr double drop_share_least = 0.05;

} // namespace

const char *word(Agreement a)
{
	return a == Agreement::agrees ? "agrees" : a == Agreement::differs ? "differs" : "undecided";
}

Json judge_ratios(const std::vector<double> &ratios, uint64_t seed)
{
	if (ratios.size() < least_blocks)
		return {{"ratio", engine::median(ratios)},
		        {"low", nullptr},
		        {"high", nullptr},
		        {"verdict", word(Agreement::undecided)}};
	const auto [low, high] = engine::interval_of_median(ratios, seed);
	const Agreement a = low >= 1 - agreement && high <= 1 + agreement ? Agreement::agrees
	                    : low > 1 + agreement || high < 1 - agreement ? Agreement::differs
	                                                                  : Agreement::undecided;
	return {{"ratio", engine::median(ratios)}, {"low", low}, {"high", high}, {"verdict", word(a)}};
}

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
	const Json judged = judge_ratios(ratios, seed);
	const double dropped = *std::min_element(pair.dropped.begin(), pair.dropped.end());
	return {{"virtualPps", engine::median(pair.on_virtual)},
	        {"threadsPps", engine::median(pair.on_threads)},
	        {"ratio", judged["ratio"]},
	        {"ratioLow", judged["low"]},
	        {"ratioHigh", judged["high"]},
	        {"standing", engine::median(standings)},
	        {"noise", std::max(engine::median(virtual_apart), engine::median(threads_apart))},
	        {"dropShare", dropped},
	        {"verdict", dropped < drop_share_least ? Json("not overloaded") : judged["verdict"]}};
}

Json compare_latencies(const LatencyPair &pair, uint64_t seed)
{
	std::vector<double> ratios;
	for (size_t i = 0; i + 1 < pair.on_virtual.size(); i += 2)
		ratios.push_back((pair.on_threads[i] + pair.on_threads[i + 1]) /
		                 (pair.on_virtual[i] + pair.on_virtual[i + 1]));
	Json result = {{"virtualNs", engine::median(pair.on_virtual)},
	               {"threadsNs", engine::median(pair.on_threads)}};
	result.update(judge_ratios(ratios, seed));
	return result;
}

} // namespace reframer::lab
