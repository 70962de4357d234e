// Reframer on cores of its own, in front of those that run the chain: two virtual stages in
// sequence. A front core polls, holds and sends on; what it sends arrives at the ring of a chain core
// when its poll ends. The wire between them takes no time and adds no loss of its own.
#pragma once

#include "datapath/ports/virtual_queue.hpp"
#include "lab/reframer/trial_setup.hpp"
#include "lab/reframer/trial_source.hpp"
#include "reframer/reframer.h"

#include <functional>
#include <memory>
#include <vector>

namespace reframer::lab {

class FrontCores {
public:
	// `config` is that of the chain's queues; rings of the same depth. `arena_bytes` must hold the
	// frames of one piece of the trial.
	FrontCores(const TrialSpec &spec, const engine::QueueConfig &config, size_t arena_bytes,
	           engine::Dma &dma, const nf::ChainFactory &forward,
	           const std::function<Stage()> &make_stage);

	// Takes the arrivals of all chain queues up to `until_ns` and replaces them by what the front
	// cores sent until then.
	void relay(std::vector<std::vector<engine::Arrival>> &queues, uint64_t until_ns);
	// No more arrivals: what was still held.
	void drain(std::vector<std::vector<engine::Arrival>> &queues);

	struct Core {
		std::unique_ptr<nf::Chain> chain;
		Stage stage;
		std::unique_ptr<engine::VirtualQueue> queue;
	};
	std::vector<Core> &cores() { return cores_; }

private:
	void hand_on(std::vector<std::vector<engine::Arrival>> &queues, uint64_t until_ns);

	std::vector<Core> cores_;
	std::vector<engine::Arrival> sent_; // not yet handed on
	// Frames sent in this piece, and in the one before: a poll may end after its piece.
	Arena arenas_[2];
	size_t current_ = 0;
};

} // namespace reframer::lab
