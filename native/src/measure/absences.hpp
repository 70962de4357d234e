// The one rule that voids a trial: for how long was the core away, and has that spoilt the figures?
//
// Polls during which the core was away are charged the median of their kind (marks.hpp), so they
// are no false backlog. What remains is that whoever ran meanwhile may have used the private
// caches: filling 2 MiB again, 10 ns a line, takes up to 300 us that later polls pay.
//
// An interrupt (the timer of this kernel, and of a hypervisor below it) leaves them nearly as they
// were, and comes as often as the machine has it: 350 times a second for 15 us on some, 1,700 times
// for 50 to 70 us on small rented ones. A preemption (another thread, another virtual machine)
// does not. They are told apart by length, against the machine's own usual interrupt: a thread
// that spins sees gaps whose longest is four times their median on every machine tried, then
// preemptions of some time slices.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::engine {

class Absences {
public:
	// One in 30 ms, at 300 us each, is 1 % of the time.
	static constexpr double ns_per_preemption = 30e6;
	// Above that something is wrong with the machine, or a program of somebody runs beside.
	static constexpr double interrupted_time_max = 0.2;
	// Never shorter, so that a calm machine is not held to its own calm.
	static constexpr double interrupt_max_least_ns = 100e3;
	static constexpr double usual_interrupts = 5;
	// Nor longer, or a program that takes whole time slices would pass for the machine's own.
	static constexpr double interrupt_max_most_ns = 400e3;

	// Those beyond the room are taken for interrupts.
	Absences() = default;
	explicit Absences(size_t room) { aways_.reserve(room); }

	// A poll of `poll_ns` that took `excess_ns` longer than its like. Does not allocate.
	void note(double excess_ns, double poll_ns);
	void merge(const Absences &other);

	struct Told {
		double interrupt_max_ns = interrupt_max_least_ns;
		uint64_t interrupted = 0, preempted = 0;
		double interrupted_ns = 0, preempted_ns = 0; // taken by those polls
	};
	Told told() const;

	// @return why a trial whose polls took `total_ns` does not count; empty when it does
	std::string void_reason(uint64_t polls, double total_ns) const;

private:
	struct Away {
		float excess_ns, poll_ns;
	};
	std::vector<Away> aways_;
	uint64_t untold_ = 0;
	double untold_ns_ = 0;
};

} // namespace reframer::engine
