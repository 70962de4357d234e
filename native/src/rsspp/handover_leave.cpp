// The way out: when a core may give a bucket up, and what goes with it.
#include "rsspp/handover.hpp"

#include <algorithm>

using namespace reframer::rsspp;

namespace {

// The authors' NICs keep a few packets between the table and the queue, so one empty poll after the
// write proves nothing yet; a second one does where a port cannot tell its queue length.
constexpr uint32_t empty_polls_needed = 2;

// Moves whose table is in force by now.
void see_written(const rsspp_handover &h, CoreState &self)
{
	if (self.leaving.empty())
		return;
	const uint64_t written = h.written.load(std::memory_order_acquire);
	for (Leaving &move : self.leaving)
		if (move.stage == Leaving::Stage::begun && written >= move.command.epoch)
			move.stage = Leaving::Stage::written;
}

// Nothing of the bucket is left in this core but what goes with it.
bool is_out(const CoreState &self, uint32_t bucket)
{
	const Part part = self.part[bucket];
	return self.hold.empty(bucket) &&
	       (part == Part::collecting || (part == Part::serving && self.backlog.empty()));
}

} // namespace

namespace reframer::rsspp {

void read_mailbox(CoreState &self, uint16_t core)
{
	Command command;
	while (self.mailbox.pop(command)) {
		if (command.to == core)
			self.coming.push_back(command.bucket);
		else
			self.leaving.push_back({command, Leaving::Stage::begun, 0, 0});
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
	CoreState &self = *h->cores[core];
	read_mailbox(self, core);
	see_written(*h, self);
	return std::any_of(self.leaving.begin(), self.leaving.end(), [&](const Leaving &move) {
		const Part part = self.part[move.command.bucket];
		return move.stage == Leaving::Stage::written ||
		       (move.stage == Leaving::Stage::draining && (part == Part::serving || part == Part::collecting));
	});
}

extern "C" uint32_t rsspp_handover_poll(rsspp_handover *h, uint16_t core, uint64_t received,
                                        int64_t queue_length, uint16_t *buckets)
{
	CoreState &self = *h->cores[core];
	for (Leaving &move : self.leaving) {
		if (move.stage == Leaving::Stage::written) {
			move.stage = Leaving::Stage::draining;
			move.watermark = queue_length < 0 ? UINT64_MAX : received + uint64_t(queue_length);
		}
		if (move.stage == Leaving::Stage::draining && queue_length == RSSPP_QUEUE_EMPTY &&
		    move.empty_polls < empty_polls_needed)
			move.empty_polls++;
	}
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
		// Release: flow state and parcel written by this core are seen by the one that reads the owner.
		h->owner[bucket].store(command.to, std::memory_order_release);
		h->next[bucket].store(nobody, std::memory_order_release);
	}
	self.moves += self.told.size();
	h->finished.fetch_add(self.told.size(), std::memory_order_release);
	self.told.clear();
}
