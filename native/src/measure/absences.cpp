#include "measure/absences.hpp"

#include "measure/median.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::engine {

void Absences::note(double excess_ns, double poll_ns)
{
	if (aways_.size() < aways_.capacity()) {
		aways_.push_back({static_cast<float>(excess_ns), static_cast<float>(poll_ns)});
	} else {
		untold_++;
		untold_ns_ += poll_ns;
	}
}

void Absences::merge(const Absences &other)
{
	aways_.insert(aways_.end(), other.aways_.begin(), other.aways_.end());
	untold_ += other.untold_;
	untold_ns_ += other.untold_ns_;
}

Absences::Told Absences::told() const
{
	Told told;
	std::vector<double> excess;
	for (const Away &away : aways_)
		excess.push_back(away.excess_ns);
	if (!excess.empty())
		told.interrupt_max_ns = std::clamp(usual_interrupts * median(std::move(excess)),
		                                   interrupt_max_least_ns, interrupt_max_most_ns);
	told.interrupted = untold_;
	told.interrupted_ns = untold_ns_;
	for (const Away &away : aways_) {
		const bool preempted = away.excess_ns > told.interrupt_max_ns;
		(preempted ? told.preempted : told.interrupted)++;
		(preempted ? told.preempted_ns : told.interrupted_ns) += away.poll_ns;
	}
	return told;
}

std::string Absences::void_reason(uint64_t polls, double total_ns) const
{
	const Told t = told();
	const double polling_ns = total_ns - t.interrupted_ns - t.preempted_ns;
	// A trial shorter than that may have one.
	if (static_cast<double>(t.preempted) * ns_per_preemption >
	    std::max(polling_ns, ns_per_preemption))
		return std::to_string(t.preempted) + " of " + std::to_string(polls) + " polls, in " +
		       std::to_string(std::lround(polling_ns / 1e6)) +
		       " ms of polling, were preempted; the machine was not quiet";
	if (t.interrupted_ns > interrupted_time_max * total_ns)
		return "polls with interrupts took " +
		       std::to_string(std::lround(100 * t.interrupted_ns / total_ns)) +
		       " % of the time; the machine was not quiet";
	return "";
}

} // namespace reframer::engine
