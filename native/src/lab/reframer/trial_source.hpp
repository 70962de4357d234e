// Where a trial's packets come from: the generator or a capture, as arrivals of RX queues.
#pragma once

#include "base/region.hpp"
#include "datapath/queue.hpp"
#include "lab/reframer/trial_spec.hpp"
#include "nf/mbuf.hpp"

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

namespace reframer::lab {

// Bytes of the frames that wait for their arrival; emptied between two pieces of a trial.
class Arena {
public:
	explicit Arena(size_t bytes) : bytes_(bytes + slack) {}
	bool full() const { return used_ + slack > bytes_.size(); }
	// Null where not even the slack has room.
	uint8_t *take(size_t n)
	{
		n = (n + 63) & ~size_t{63};
		if (n > bytes_.size() - used_)
			return nullptr;
		used_ += n;
		return bytes_.data() + used_ - n;
	}
	void clear() { used_ = 0; }

private:
	// For packets that share their time with the one that filled the arena.
	static constexpr size_t slack = 4u << 20;
	base::Region<uint8_t> bytes_;
	size_t used_ = 0;
};

class TrialSource {
public:
	explicit TrialSource(uint32_t queues) : queues_(queues) {}
	virtual ~TrialSource() = default;

	// Appends arrivals of each queue, with their frames in `arena`, up to and including `until_ns`
	// of the source's clock, which starts at 0. Returns the time up to which all are there: earlier
	// than asked for when the arena is full.
	uint64_t fill(uint64_t until_ns, Arena &arena,
	              std::vector<std::vector<engine::Arrival>> &queues);

	// Calls `visit` with queue, frame and captured length of each flow's first packet up to and
	// including `until_ns`; those packets are then gone.
	using Visit = std::function<void(uint32_t queue, const uint8_t *frame, uint32_t captured)>;
	void learn(uint64_t until_ns, const Visit &visit);

	uint64_t flows() const { return nb_flows_; }

protected:
	struct Packet {
		uint64_t time_ns;
		uint32_t captured, wire;
		uint32_t rss, flow;
	};
	// The packet that comes next, until next() is called; false at the end.
	virtual bool peek(Packet &out) = 0;
	virtual void copy(uint8_t *frame, uint32_t captured) = 0;
	virtual void next() = 0;

private:
	bool note_flow(uint32_t flow); // whether it is new

	uint32_t queues_;
	std::vector<bool> seen_;
	uint64_t nb_flows_ = 0;
};

// Bytes of frames between the end of learning and the end of the trial, with a margin.
size_t arena_estimate(const TrialSpec &spec);
// Throws JobError where the members of the specification's `source` are not sound.
void check_trial_source(const TrialSpec &spec);
// Throws JobError, and CaptureError where a capture is damaged.
std::unique_ptr<TrialSource> open_trial_source(const TrialSpec &spec);
std::unique_ptr<TrialSource> open_capture_source(const TrialSpec &spec);

} // namespace reframer::lab
