// Ownership of buckets while they move between cores. See rsspp.h for the protocol.
#pragma once

#include "reframer/rsspp.h"
#include "rsspp/packet_store.hpp"
#include "rsspp/rings.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace reframer::rsspp {

// What a bucket is to a core, in the core's own view. Only the owner gives a bucket away, so a core
// that serves one need not ask whether it still does.
enum class Part : uint8_t {
	elsewhere, // another core's, as far as known
	joining,   // ours; what waited for it is not out yet
	serving,
	collecting, // ours, and leaving: its packets are set aside for the gaining core
};

inline constexpr uint16_t nobody = UINT16_MAX;
// The table was not written: the losing core forgets the move.
inline constexpr uint16_t cancelled = UINT16_MAX - 1;

struct Forwarded {
	void *packet;
	uint32_t hash;
};

struct Command {
	uint64_t epoch; // table write that puts it into force
	uint16_t bucket;
	uint16_t to; // or nobody: no move yet, only its announcement
};

// A bucket that is about to leave: its packets are served before the others', until hardly any are left
// behind which those of the gaining core would have to wait.
struct Preparing {
	uint16_t bucket;
	enum class Stage : uint8_t {
		asked,   // its packets are still among the others
		sorted,  // they are not any more
		passing, // until `watermark` packets were received, or empty polls prove it
		serving, // those that the pass brought
		ready,
	} stage;
	uint8_t empty_polls;
	uint64_t watermark;
};

enum class Readiness : uint8_t { no, asked, ready };

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

	std::vector<Part> part; // by bucket
	PacketStore store;
	HoldQueues hold;
	std::vector<PacketStore::List> parcels; // by bucket: set aside, and given away with it
	PacketStore::List express;              // received without service, to be served first
	PacketStore::List backlog;              // and behind them
	ForwardRing<Forwarded> forward;         // from other cores
	ForwardRing<Command> mailbox; // from the balancer, to the losing and to the gaining core
	std::vector<std::atomic<uint64_t>> counters; // by bucket; one writer

	std::vector<Leaving> leaving;
	std::vector<Preparing> preparing;
	std::vector<uint8_t> is_express; // by bucket: what is received of it goes to `express`
	std::vector<Command> told;       // to the caller; given up by rsspp_handover_release()
	std::vector<uint16_t> coming;    // buckets on their way to this core
	std::vector<uint16_t> sent;      // parcels that the gaining core has not emptied yet
	std::vector<uint16_t> gained;    // and not yet told to the caller
	std::vector<uint8_t> gained_mark;

	uint64_t admitted = 0, held = 0, forwarded = 0, refused = 0, moves = 0, handed_over = 0,
			 taken_over = 0;
	uint32_t held_max = 0;
};

// What a bucket takes along to its new core. Written by the losing core before it stores the new owner;
// then the gaining core's, until it says by `from` that the slots may be used again.
struct Parcel {
	std::atomic<uint16_t> from{nobody};
	uint32_t head = PacketStore::none;
};

} // namespace reframer::rsspp

struct rsspp_handover {
	explicit rsspp_handover(const rsspp_handover_params &params);

	const uint32_t nb_buckets, mask;
	const uint16_t nb_cores;
	// owner: whose the state is. next: who gains it, or no core. Only begin() sets next from none;
	// only the owner clears it, once it has stored the new owner with release or found it cancelled.
	std::vector<std::atomic<uint16_t>> owner, next;
	std::vector<std::atomic<reframer::rsspp::Readiness>> readiness; // by bucket
	std::vector<uint64_t>
		begun_in; // by bucket: the write that its last move waited for; the balancer's own
	std::vector<reframer::rsspp::Parcel> parcels;
	std::vector<std::unique_ptr<reframer::rsspp::CoreState>> cores;
	std::atomic<uint64_t> written{0};  // epoch of the last table write
	std::atomic<uint64_t> finished{0}; // moves
	uint64_t begun = 0;                // moves; the balancer's own
};

namespace reframer::rsspp {

inline bool has_core(const rsspp_handover *h, uint16_t core)
{
	return h && core < h->nb_cores;
}

// Whose the bucket is, as far as `core` is concerned.
enum class Claim { ours, gaining, other };

inline Claim claim(const rsspp_handover &h, uint16_t core, uint32_t bucket, uint16_t &owner)
{
	owner = h.owner[bucket].load(std::memory_order_acquire);
	for (;;) {
		if (owner == core)
			return Claim::ours;
		if (h.next[bucket].load(std::memory_order_acquire) == core)
			return Claim::gaining;
		// The move may have ended between the two reads: the new owner is stored before `next` is
		// cleared, so a second look sees it.
		const uint16_t again = h.owner[bucket].load(std::memory_order_acquire);
		if (again == owner)
			return Claim::other;
		owner = again;
	}
}

// Commands of the balancer, into `leaving` and `coming`.
void read_mailbox(CoreState &self, uint16_t core);
// Frees the parcels that their new cores have emptied.
void reclaim_parcels(rsspp_handover &h, CoreState &self);

} // namespace reframer::rsspp
