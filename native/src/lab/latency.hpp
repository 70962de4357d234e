// Times as records have them.
#pragma once

#include "jobs/record.hpp"
#include "measure/histogram.hpp"
#include "nf/chain.hpp"
#include "reframer/hold_times.hpp"

namespace reframer::lab {

inline Json brief_latency(const engine::Histogram &h)
{
	return {{"mean", h.mean()}, {"p50", h.quantile(0.5)}, {"p99", h.quantile(0.99)}};
}

inline Json whole_latency(const engine::Histogram &h)
{
	return joined(brief_latency(h),
	              {{"p95", h.quantile(0.95)}, {"p999", h.quantile(0.999)}, {"max", h.max()}});
}

inline Json hold_record(const stage::HoldTimes &holds, uint64_t max_ns)
{
	return {{"p50", holds.quantile(0.5)}, {"p99", holds.quantile(0.99)}, {"max", max_ns}};
}

// Packets that a chain refused, by reason, added to those in `names`.
inline void add_verdicts(Json &names, const uint64_t (&verdicts)[nf::nb_verdicts])
{
	for (uint8_t v = nf::verdict_pass + 1; v < nf::nb_verdicts; v++)
		names[nf::verdict_name(v)] = names.value(nf::verdict_name(v), uint64_t{0}) + verdicts[v];
}

inline void add_counters(Json &sum, const nf::Counters &counters)
{
	for (const auto &[name, value] : counters)
		sum[name] = sum.value(name, uint64_t{0}) + value;
}

inline double ratio(double a, double b)
{
	return b > 0 ? a / b : 0;
}

} // namespace reframer::lab
