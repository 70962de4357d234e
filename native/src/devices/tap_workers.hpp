// Cores on a multi-queue TAP: a thread a queue, and buckets that change core by the hand-over of
// RSS++. Traffic is our own (udp_sender.hpp): every packet says which flow it is of and its place.
#pragma once

#include "devices/tap_port.hpp"
#include "reframer/rsspp.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace reframer::engine {

struct WorkerParams {
	uint32_t nb_flows = 1024; // highest flow number there may be, plus one
	uint32_t work_rounds = 0; // of arithmetic a packet: the network function's stand-in
	bool in_order = true;     // hand buckets over; without it a moved flow may be reordered
};

struct WorkerTotals {
	uint64_t received = 0; // of ours
	uint64_t processed = 0;
	uint64_t foreign = 0;   // frames that are not ours
	uint64_t missing = 0;   // places in flows that were skipped: packets lost on the way
	uint64_t reordered = 0; // packets that came after a later one of their flow
	uint64_t forwarded = 0, held = 0;
};

// What the payload of our packets holds.
struct FlowMark {
	uint32_t magic;
	uint32_t flow;
	uint64_t sequence; // from 1
};
inline constexpr uint32_t flow_mark_magic = 0x52465231;

class TapWorkers final : public TableDevice {
public:
	TapWorkers(TapPort &port, const WorkerParams &params); // @throws DeviceError
	~TapWorkers() override;

	std::string name() const override { return port.name(); }
	uint32_t nb_queues() const override { return port.nb_queues(); }
	uint32_t table_size() const override { return port.table_size(); }
	int read_table(std::span<uint16_t> table) override { return port.read_table(table); }
	// Begins the hand-overs, writes, waits until the old table steers nothing any more. Waits for
	// buckets whose last move is under way; one that takes half a second keeps its entry: -EBUSY.
	int write_table(std::span<const uint16_t> table, std::span<const uint16_t> changed) override;
	// Load: share of the time for which a worker's thread ran.
	int sample(std::span<uint64_t> packets, std::span<float> loads) override;

	uint32_t moves_in_progress() const;
	// Packets of ours that were read from queues, as of now; of all of them, or of one.
	uint64_t received() const;
	uint64_t received(uint32_t queue) const;
	// Ends the threads. In-flight packets that they had read are processed.
	WorkerTotals stop();

private:
	struct Worker;
	void run(Worker &worker);
	uint32_t fill(Worker &worker, bool &drained);
	void process(Worker &worker, uint64_t packet);
	void wait(Worker &worker);
	void wake();
	void take_back(std::span<const uint16_t> table, std::span<const uint16_t> begun);

	TapPort &port;
	const WorkerParams params;
	rsspp_handover *handover = nullptr;
	std::atomic<bool> stopping{false};
	std::atomic<bool> moving{false};
	std::vector<uint64_t> last_sequence; // by flow; written by the owner of its bucket alone
	std::vector<std::unique_ptr<Worker>> workers;
};

} // namespace reframer::engine
