// The watching program on an interface, and what it counted. The program leaves with the process,
// however that ends: nothing is pinned.
#pragma once

#include "devices/watch_program.hpp"

#include <array>
#include <memory>
#include <optional>
#include <string>

namespace reframer::engine {

struct WatchCounts {
	WatchState sum;     // of all queues; flows, groups and what is of one queue stay empty
	double flows_since; // estimates, within 7 %: since the last read, and since the beginning
	double flows;
};

class Watcher {
public:
	explicit Watcher(const std::string &interface); // @throws DeviceError

	// From one thread.
	std::unique_ptr<WatchCounts> read();
	// As long as it is asked for, the kernel takes the time of each run.
	void measure(bool on);
	BpfRuns runs() const { return bpf_runs(program.get()); }
	// Before the kernel has merged packets, and not behind it.
	bool in_driver() const { return driver; }
	uint32_t nb_queues() const { return queues; }

private:
	using Ranks = std::array<uint8_t, size_t{1} << watch_rank_bits>;

	void attach(unsigned index);
	WatchState &state(uint32_t i) const
	{
		return *reinterpret_cast<WatchState *>(states->block(i));
	}

	uint32_t queues, nb_states = 0;
	bool driver = true;
	FileDescriptor toeplitz;
	std::unique_ptr<BpfBlocks> states;
	FileDescriptor program, link;
	std::optional<BpfStatistics> statistics;
	Ranks seen{};
};

} // namespace reframer::engine
