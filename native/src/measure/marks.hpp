// Finds polls during which the core was away.
//
// An interrupt (the timer tick, of this kernel and of a hypervisor below it) comes hundreds of times
// a second on an ordinary machine and takes 6 to 50 us. A preemption (another thread, another
// virtual machine) takes longer, and whoever ran then has used the private caches. Both would be a
// false backlog, so neither is charged to the clock. Which of the two it was, and whether the trial
// still counts, absences.hpp tells at the end.
#pragma once

#include "measure/median.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace reframer::engine {

class PollMarker {
public:
	// A poll is marked when it costs more than `factor` times the running median of its kind, and
	// more than the program can have taken: `worst_factor` times what its packets cost when each of
	// them misses every cache of one entry (traffic may do that at once after a long quiet), plus
	// `slack_ns`. An interrupt that is lost in a long poll for that reason stays in the clock: at
	// 15 us, 350 times a second, half a percent.
	static constexpr double factor = 5.0;
	static constexpr double worst_factor = 2.0;
	static constexpr double slack_ns = 8000.0; // below nearly all interrupts, above a change of T

	explicit PollMarker(double worst_packet_ns = 0) : worst_packet_ns_(worst_packet_ns) {}

	// Time to charge for a poll that took `received` packets and put `processed` through the chain.
	// A marked poll is charged the median of its kind: with nothing, its packets' work were free.
	// `excess_ns` is how much longer it took than that, 0 when it is not marked.
	double charge(uint32_t received, uint32_t processed, double ns, double &excess_ns)
	{
		uint32_t packets = std::max(processed ? processed : received, 1u);
		auto size = std::min<size_t>(static_cast<size_t>(std::bit_width(packets)), nb_sizes - 1);
		auto &kinds = kinds_[processed ? 1 : 0];
		Kind &k = kinds[size];
		excess_ns = 0;
		if (double each = expected_of(kinds, size); each > 0) {
			double expected = each * packets;
			if (ns > factor * expected &&
			    ns > worst_factor * worst_packet_ns_ * packets + slack_ns) {
				excess_ns = ns - expected;
				return expected;
			}
		}
		k.last[k.seen++ % window] = ns / packets;
		auto sorted = k.last;
		auto n = static_cast<size_t>(std::min<uint64_t>(k.seen, window));
		k.median = median_in_place(std::span(sorted).first(n));
		return ns;
	}

private:
	static constexpr size_t window = 31;
	static constexpr size_t enough = 9; // before that nothing is marked
	static constexpr size_t nb_sizes = 16;
	struct Kind {
		std::array<double, window> last{}; // ns a packet
		uint64_t seen = 0;
		double median = 0;
	};
	using Kinds = std::array<Kind, nb_sizes>;

	// Median a packet for polls of this size; while there are too few, of the next smaller size that
	// has enough (small polls cost more a packet), then of a larger one; 0 when nothing is known.
	static double expected_of(const Kinds &kinds, size_t size)
	{
		for (size_t i = size + 1; i-- > 0;)
			if (kinds[i].seen >= enough)
				return kinds[i].median;
		for (size_t i = size + 1; i < nb_sizes; i++)
			if (kinds[i].seen >= enough)
				return kinds[i].median;
		return 0;
	}

	// Polls that only fill the stage, polls that drive the chain; by power of two of packets.
	std::array<Kinds, 2> kinds_{};
	double worst_packet_ns_;
};

} // namespace reframer::engine
