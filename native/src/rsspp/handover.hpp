// Ownership of buckets while they move between cores. See rsspp.h for the protocol.
#pragma once

#include "reframer/rsspp.h"
#include "rsspp/rings.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::rsspp {

// First-in first-out lists of held packets, one a bucket, over one arena of slots.
class HoldQueues {
public:
	HoldQueues(uint32_t nb_buckets, uint32_t capacity);

	bool empty(uint32_t bucket) const { return head[bucket] == none; }
	bool push(uint32_t bucket, void *packet, uint32_t hash);
	void *front(uint32_t bucket) const { return slots[head[bucket]].packet; }
	uint32_t front_hash(uint32_t bucket) const { return slots[head[bucket]].hash; }
	void pop(uint32_t bucket);
	bool full() const { return free_slot == none; }
	uint32_t size() const { return nb_held; }
	// Buckets that hold packets, in no order.
	const std::vector<uint16_t> &buckets() const { return busy; }

private:
	static constexpr uint32_t none = UINT32_MAX;
	struct Slot {
		void *packet;
		uint32_t hash;
		uint32_t next;
	};
	std::vector<Slot> slots;
	std::vector<uint32_t> head, tail;
	std::vector<uint16_t> busy;
	std::vector<uint32_t> busy_at; // bucket -> index in busy
	uint32_t free_slot = 0;
	uint32_t nb_held = 0;
};

struct Forwarded {
	void *packet;
	uint32_t hash;
};

struct Command {
	uint64_t epoch; // table write that puts it into force
	uint16_t bucket;
	uint16_t to;
};

// A move on its way out of a core.
struct Leaving {
	Command command;
	enum class Stage : uint8_t {
		begun,    // the table may not be written yet
		written,  // it is; a queue length read from now on covers all that came by the old table
		draining, // until `watermark` packets were received, or empty polls prove it
	} stage;
	uint8_t empty_polls;
	uint64_t watermark;
};

// What one core has; only this core touches it, but for the rings and the written epoch.
struct alignas(cache_line) CoreState {
	CoreState(uint32_t nb_buckets, const rsspp_handover_params &params);

	HoldQueues hold;
	ForwardRing<Forwarded> forward;  // from other cores
	ForwardRing<Command> mailbox;    // from the balancer
	std::vector<std::atomic<uint64_t>> counters; // by bucket; one writer

	std::vector<Leaving> leaving;
	std::vector<Command> told; // to the caller; given up by rsspp_handover_release()

	uint64_t admitted = 0, held = 0, forwarded = 0, refused = 0, moves = 0;
	uint32_t held_max = 0;
};

} // namespace reframer::rsspp

struct rsspp_handover {
	explicit rsspp_handover(const rsspp_handover_params &params);

	const uint32_t nb_buckets, mask;
	const uint16_t nb_cores;
	// owner: whose the state is. next: who gains it, or no core. Only begin() sets next from none;
	// only the owner clears it, before it stores the new owner with release.
	std::vector<std::atomic<uint16_t>> owner, next;
	std::vector<std::unique_ptr<reframer::rsspp::CoreState>> cores;
	std::atomic<uint64_t> written{0};  // epoch of the last table write
	std::atomic<uint64_t> finished{0}; // moves
	uint64_t begun = 0;                // moves; the balancer's own
};
