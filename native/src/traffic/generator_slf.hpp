// SLF as a function of the hold time T, without an engine: a group is open from its first packet
// until T later and groups leave in the order in which they opened. What the engine does with a
// fixed T and endless polls; here it is the yardstick of the campus calibration.
#pragma once

#include "traffic/generator_packet.hpp"

#include <cstdint>
#include <vector>

namespace reframer::traffic {

class SlfByDelay {
public:
	SlfByDelay(std::vector<uint64_t> delays_ns, uint32_t queues)
		: delays_(std::move(delays_ns)),
		  last_(static_cast<size_t>(queues) * delays_.size(), UINT32_MAX), runs_(delays_.size())
	{
	}

	// Packets in order of time; `queue` is the one that the packet's hash falls to.
	void add(const PacketMeta &packet, uint32_t queue)
	{
		const size_t nb = delays_.size();
		if (open_until_.size() < (size_t{packet.flow} + 1) * nb)
			open_until_.resize((size_t{packet.flow} + 1) * nb * 3 / 2);
		uint64_t *open = &open_until_[packet.flow * nb];
		uint32_t *last = &last_[queue * nb];
		packets_++;
		for (size_t i = 0; i < nb; i++) {
			// Stored plus one: 0 is a flow that was never seen.
			if (packet.time_ns < open[i])
				continue;
			open[i] = packet.time_ns + delays_[i] + 1;
			// Two groups of a flow that open one after the other leave as one run.
			runs_[i] += last[i] != packet.flow;
			last[i] = packet.flow;
		}
	}

	uint64_t packets() const { return packets_; }
	double slf(size_t i) const
	{
		return runs_[i] ? static_cast<double>(packets_) / static_cast<double>(runs_[i]) : 0;
	}
	// Forgets the counts, keeps the open groups: ends a warm-up.
	void restart()
	{
		packets_ = 0;
		runs_.assign(runs_.size(), 0);
	}

private:
	std::vector<uint64_t> delays_;
	std::vector<uint64_t> open_until_; // by flow and delay
	std::vector<uint32_t> last_;       // by queue and delay: the flow that opened last
	std::vector<uint64_t> runs_;
	uint64_t packets_ = 0;
};

} // namespace reframer::traffic
