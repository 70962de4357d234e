#include "lab/captures/believable_clock.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

constexpr uint64_t second = 1'000'000'000;
// Beyond the shortest timeouts, which a wrong time would end, and above any disorder of interfaces.
constexpr uint64_t leap_ns = 10 * second;

std::string seconds_text(uint64_t ns)
{
	return std::to_string(ns / second) + " s";
}

} // namespace

uint64_t BelievableClock::operator()(uint64_t time_ns, uint64_t next_ns, uint64_t packet)
{
	const uint64_t time = time_ns + offset_;
	if (!started_) {
		started_ = true;
		return seen_ = now_ = time;
	}
	if (time > now_ && time - now_ > leap_ns && next_ns < time_ns && time_ns - next_ns > leap_ns) {
		// The next packet goes back as far: this time stands alone.
		if (leaps_++ == 0) {
			first_leap_ = packet;
			leap_ns_ = time - now_;
		}
		seen_ = time;
		return now_;
	}
	if (time < now_ && now_ - time > leap_ns) {
		if (steps_back_++ == 0) {
			first_step_ = packet;
			step_ns_ = now_ - time;
		}
		offset_ += now_ - time;
		return seen_ = now_;
	}
	return seen_ = now_ = std::max(now_, time);
}

std::vector<std::string> BelievableClock::warnings() const
{
	std::vector<std::string> all;
	if (leaps_)
		all.push_back(
			"packet " + std::to_string(first_leap_) + " has a time " + seconds_text(leap_ns_) +
			" ahead of its neighbours" +
			(leaps_ > 1 ? ", and so have " + std::to_string(leaps_ - 1) + " others" : "") +
			": it ends no connection but its own");
	if (steps_back_)
		all.push_back("at packet " + std::to_string(first_step_) + " the time steps back by " +
		              seconds_text(step_ns_) +
		              (steps_back_ > 1
		                   ? ", and " + std::to_string(steps_back_ - 1) + " times more behind it"
		                   : "") +
		              ": timeouts go on from there");
	return all;
}

} // namespace reframer::lab
