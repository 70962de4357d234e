// The way out: when a core may give a bucket up, and what goes with it.
#include "rsspp/handover.hpp"

#include <algorithm>

using namespace reframer::rsspp;

namespace {

// The authors' NICs keep a few packets between the table and the queue, so one empty poll after the
// write proves nothing yet; a second one does where a port cannot tell its queue length.
constexpr uint32_t empty_polls_needed = 2;

// When so many packets were received, all that are in the queue now were.
uint64_t watermark_of(uint64_t received, int64_t queue_length)
{
	return queue_length < 0 ? UINT64_MAX : received + uint64_t(queue_length);
}

// Moves whose table is in force by now, and those that were taken back because it is not.
void see_written(rsspp_handover &h, CoreState &self)
{
	if (self.leaving.empty())
		return;
	// First this: what was cancelled before the write is then seen to be.
	const uint64_t written = h.written.load(std::memory_order_acquire);
	std::erase_if(self.leaving, [&](Leaving &move) {
		if (move.stage != Leaving::Stage::begun)
			return false;
		std::atomic<uint16_t> &next = h.next[move.command.bucket];
		if (next.load(std::memory_order_acquire) == cancelled) {
			// It stays: what comes of it now waits in turn again.
			self.is_express[move.command.bucket] = 0;
			next.store(nobody, std::memory_order_release);
			h.finished.fetch_add(1, std::memory_order_release);
			return true;
		}
		if (written >= move.command.epoch)
			move.stage = Leaving::Stage::written;
		return false;
	});
}

// So few packets of announced buckets may be left when the table is written: those at the gaining core
// wait for their service.
constexpr uint32_t express_enough = 8;
// And so many in the queue, where its length is known: its packets of the bucket were not seen yet, and the
// pass after the write takes the longer.
constexpr int64_t queue_enough = 256;

void go_on_preparing(rsspp_handover &h, CoreState &self, uint64_t received, int64_t queue_length)
{
	using Stage = Preparing::Stage;
	for (Preparing &p : self.preparing) {
		if (p.stage == Stage::serving && self.express.empty())
			p.stage = Stage::sorted; // what came meanwhile
		if (p.stage == Stage::sorted) {
			p.stage = Stage::passing;
			p.empty_polls = 0;
			p.watermark = watermark_of(received, queue_length);
		}
		if (p.stage != Stage::passing)
			continue;
		if (queue_length == RSSPP_QUEUE_EMPTY)
			p.empty_polls++;
		if (received < p.watermark && p.empty_polls < empty_polls_needed)
			continue;
		p.stage = self.express.count <= express_enough && queue_length <= queue_enough
		              ? Stage::ready
		              : Stage::serving;
		// Unless the move has begun without waiting for it.
		Readiness was = Readiness::asked;
		while (p.stage == Stage::ready && was == Readiness::asked &&
		       !h.readiness[p.bucket].compare_exchange_weak(was, Readiness::ready,
		                                                    std::memory_order_acq_rel)) {
		}
	}
}

// Nothing of the bucket is left in this core but what goes with it.
bool is_out(const CoreState &self, uint32_t bucket)
{
	const Part part = self.part[bucket];
	return self.hold.empty(bucket) &&
	       (part == Part::collecting ||
	        (part == Part::serving && self.backlog.empty() && self.express.empty()));
}

} // namespace

namespace reframer::rsspp {

void read_mailbox(CoreState &self, uint16_t core)
{
	Command command;
	while (self.mailbox.pop(command)) {
		if (command.to == nobody) {
			self.preparing.push_back({command.bucket, Preparing::Stage::asked, 0, 0});
		} else if (command.to == core) {
			self.coming.push_back(command.bucket);
		} else {
			self.leaving.push_back({command, Leaving::Stage::begun, 0, 0});
			std::erase_if(self.preparing,
			              [&](const Preparing &p) { return p.bucket == command.bucket; });
		}
	}
}

void reclaim_parcels(rsspp_handover &h, CoreState &self)
{
	std::erase_if(self.sent, [&](uint16_t bucket) {
		// Acquire: the gaining core has read the slots.
		if (h.parcels[bucket].from.load(std::memory_order_acquire) != nobody)
			return false;
		self.store.clear(self.parcels[bucket]);
		return true;
	});
}

} // namespace reframer::rsspp

extern "C" int rsspp_handover_draining(rsspp_handover *h, uint16_t core)
{
	if (!has_core(h, core))
		return 0;
	CoreState &self = *h->cores[core];
	read_mailbox(self, core);
	see_written(*h, self);
	return std::any_of(self.leaving.begin(), self.leaving.end(), [&](const Leaving &move) {
		const Part part = self.part[move.command.bucket];
		return move.stage == Leaving::Stage::written ||
		       (move.stage == Leaving::Stage::draining &&
		        (part == Part::serving || part == Part::collecting));
	});
}

extern "C" int rsspp_handover_preparing(rsspp_handover *h, uint16_t core)
{
	if (!has_core(h, core))
		return 0;
	CoreState &self = *h->cores[core];
	read_mailbox(self, core);
	return std::any_of(self.preparing.begin(), self.preparing.end(), [&](const Preparing &p) {
		return p.stage == Preparing::Stage::asked ? self.part[p.bucket] == Part::serving
		                                          : p.stage <= Preparing::Stage::passing;
	});
}

extern "C" uint32_t rsspp_handover_poll(rsspp_handover *h, uint16_t core, uint64_t received,
                                        int64_t queue_length, uint16_t *buckets)
{
	if (!has_core(h, core) || !buckets)
		return 0;
	CoreState &self = *h->cores[core];
	for (Leaving &move : self.leaving) {
		if (move.stage == Leaving::Stage::written) {
			move.stage = Leaving::Stage::draining;
			move.watermark = watermark_of(received, queue_length);
		}
		if (move.stage == Leaving::Stage::draining && queue_length == RSSPP_QUEUE_EMPTY &&
		    move.empty_polls < empty_polls_needed)
			move.empty_polls++;
	}
	if (!self.preparing.empty())
		go_on_preparing(*h, self, received, queue_length);
	read_mailbox(self, core);
	see_written(*h, self);
	std::erase_if(self.leaving, [&](const Leaving &move) {
		const bool drained = move.stage == Leaving::Stage::draining &&
		                     (received >= move.watermark || move.empty_polls >= empty_polls_needed);
		// What came here when this core gained the bucket must be out before it gives it on.
		if (!drained || !is_out(self, move.command.bucket))
			return false;
		self.told.push_back(move.command);
		return true;
	});
	for (size_t i = 0; i < self.told.size(); i++)
		buckets[i] = self.told[i].bucket;
	return uint32_t(self.told.size());
}

extern "C" void rsspp_handover_release(rsspp_handover *h, uint16_t core)
{
	if (!has_core(h, core))
		return;
	CoreState &self = *h->cores[core];
	for (const Command &command : self.told) {
		const uint16_t bucket = command.bucket;
		if (!self.parcels[bucket].empty()) {
			h->parcels[bucket].head = self.parcels[bucket].head;
			h->parcels[bucket].from.store(core, std::memory_order_relaxed);
			self.handed_over += self.parcels[bucket].count;
			self.sent.push_back(bucket);
		}
		self.part[bucket] = Part::elsewhere;
		self.is_express[bucket] = 0;
		// Release: flow state and parcel written by this core are seen by the one that reads the owner.
		h->owner[bucket].store(command.to, std::memory_order_release);
		h->next[bucket].store(nobody, std::memory_order_release);
	}
	self.moves += self.told.size();
	h->finished.fetch_add(self.told.size(), std::memory_order_release);
	self.told.clear();
}
