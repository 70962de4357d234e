#include "rsspp/handover.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>

using namespace reframer::rsspp;

namespace {

constexpr uint16_t nobody = UINT16_MAX;
// The authors' NICs keep a few packets between the table and the queue, so one empty poll after the
// write proves nothing yet; a second one does where a port cannot tell its queue length.
constexpr uint32_t empty_polls_needed = 2;

uint32_t round_up(uint32_t x) { return std::bit_ceil(std::max(x, 2u)); }

} // namespace

namespace reframer::rsspp {

CoreState::CoreState(uint32_t nb_buckets, const rsspp_handover_params &params)
    : hold(nb_buckets, params.hold_capacity), forward(params.forward_capacity),
      mailbox(round_up(nb_buckets)), counters(nb_buckets)
{
	// A bucket is in at most one of these lists, so they they never grow.
	leaving.reserve(nb_buckets);
	told.reserve(nb_buckets);
}

} // namespace reframer::rsspp

rsspp_handover::rsspp_handover(const rsspp_handover_params &params)
    : nb_buckets(params.nb_buckets), mask(params.nb_buckets - 1), nb_cores(uint16_t(params.nb_cores)),
      owner(params.nb_buckets), next(params.nb_buckets)
{
	for (uint32_t b = 0; b < nb_buckets; b++) {
		owner[b].store(params.owner ? params.owner[b] : uint16_t(b % nb_cores), std::memory_order_relaxed);
		next[b].store(nobody, std::memory_order_relaxed);
	}
	for (uint32_t c = 0; c < nb_cores; c++)
		cores.push_back(std::make_unique<CoreState>(nb_buckets, params));
}

extern "C" void rsspp_handover_default_params(rsspp_handover_params *p)
{
	*p = {};
	p->size = sizeof(*p);
	p->nb_buckets = 512;
	p->nb_cores = 1;
	p->hold_capacity = 65536;
	p->forward_capacity = 1024;
}

extern "C" int rsspp_handover_create(const rsspp_handover_params *p, rsspp_handover **out)
{
	if (!p || !out || p->size != sizeof(*p) || p->nb_buckets < 2 || p->nb_buckets > RSSPP_MAX_BUCKETS ||
	    !std::has_single_bit(p->nb_buckets) || p->nb_cores == 0 || p->nb_cores > RSSPP_MAX_CORES ||
	    p->hold_capacity == 0 || p->hold_capacity > (1u << 24) || p->forward_capacity < 2 ||
	    p->forward_capacity > (1u << 20) || !std::has_single_bit(p->forward_capacity))
		return -EINVAL;
	for (uint32_t b = 0; p->owner && b < p->nb_buckets; b++)
		if (p->owner[b] >= p->nb_cores)
			return -EINVAL;
	try {
		*out = new rsspp_handover(*p);
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
	return 0;
}

extern "C" void rsspp_handover_free(rsspp_handover *h) { delete h; }

// ---- balancer thread ----

extern "C" int rsspp_handover_begin(rsspp_handover *h, uint32_t bucket, uint16_t to)
{
	if (bucket >= h->nb_buckets || to >= h->nb_cores)
		return -EINVAL;
	if (h->next[bucket].load(std::memory_order_acquire) != nobody)
		return -EBUSY;
	const uint16_t from = h->owner[bucket].load(std::memory_order_acquire);
	if (from == to)
		return -EINVAL;
	// Before the table is written: the gaining core must find it when the first packet comes.
	h->next[bucket].store(to, std::memory_order_release);
	if (!h->cores[from]->mailbox.push({h->written.load(std::memory_order_relaxed) + 1, uint16_t(bucket), to})) {
		h->next[bucket].store(nobody, std::memory_order_release);
		return -EAGAIN;
	}
	h->begun++;
	return 0;
}

extern "C" void rsspp_handover_written(rsspp_handover *h)
{
	h->written.fetch_add(1, std::memory_order_release);
}

extern "C" uint32_t rsspp_handover_in_progress(const rsspp_handover *h)
{
	return uint32_t(h->begun - h->finished.load(std::memory_order_acquire));
}

extern "C" uint16_t rsspp_handover_owner(const rsspp_handover *h, uint32_t bucket)
{
	return h->owner[bucket & h->mask].load(std::memory_order_acquire);
}

extern "C" void rsspp_handover_counters(const rsspp_handover *h, uint64_t *packets)
{
	std::fill_n(packets, h->nb_buckets, 0);
	for (const auto &core : h->cores)
		for (uint32_t b = 0; b < h->nb_buckets; b++)
			packets[b] += core->counters[b].load(std::memory_order_relaxed);
}

// ---- a core's thread ----

namespace {

struct Output {
	void **packets;
	uint32_t *hashes;
	uint32_t room;
	uint32_t count;

	bool full() const { return count == room; }
	void put(void *packet, uint32_t hash)
	{
		packets[count] = packet;
		hashes[count++] = hash;
	}
};

// Whose the bucket is, as far as `core` is concerned.
enum class Claim { ours, gaining, other };

Claim claim(const rsspp_handover &h, uint16_t core, uint32_t bucket, uint16_t &owner)
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

// What was held of a bucket goes out first if the bucket is ours now, and to its owner if we neither
// have nor gain it.
void empty_hold(rsspp_handover &h, CoreState &self, uint16_t core, uint32_t bucket, Output &out)
{
	while (!self.hold.empty(bucket)) {
		uint16_t owner;
		const Claim whose = claim(h, core, bucket, owner);
		if (whose == Claim::gaining)
			return;
		if (whose == Claim::ours) {
			if (out.full())
				return;
			out.put(self.hold.front(bucket), self.hold.front_hash(bucket));
			self.admitted++;
		} else {
			if (!h.cores[owner]->forward.push({self.hold.front(bucket), self.hold.front_hash(bucket)}))
				return;
			self.forwarded++;
		}
		self.hold.pop(bucket);
	}
}

bool hold(CoreState &self, uint32_t bucket, void *packet, uint32_t hash)
{
	if (!self.hold.push(bucket, packet, hash))
		return false;
	self.held++;
	self.held_max = std::max(self.held_max, self.hold.size());
	return true;
}

// One packet: out, held or forwarded. False and nothing done if there is no room for it.
bool take(rsspp_handover &h, CoreState &self, uint16_t core, void *packet, uint32_t hash, Output &out)
{
	const uint32_t bucket = hash & h.mask;
	if (!self.hold.empty(bucket)) [[unlikely]] {
		empty_hold(h, self, core, bucket, out);
		if (!self.hold.empty(bucket))
			return hold(self, bucket, packet, hash); // behind the others
	}
	uint16_t owner;
	switch (claim(h, core, bucket, owner)) {
	case Claim::ours:
		if (out.full())
			return false;
		out.put(packet, hash);
		self.admitted++;
		return true;
	case Claim::gaining:
		return hold(self, bucket, packet, hash);
	case Claim::other:
		if (h.cores[owner]->forward.push({packet, hash})) {
			self.forwarded++;
			return true;
		}
		return hold(self, bucket, packet, hash);
	}
	return false;
}

} // namespace

extern "C" uint32_t rsspp_handover_admit(rsspp_handover *h, uint16_t core, void *const *packets,
                                         const uint32_t *hashes, uint32_t nb, void **out_packets,
                                         uint32_t *out_hashes, uint32_t room, uint32_t *nb_out)
{
	CoreState &self = *h->cores[core];
	Output out = {out_packets, out_hashes, room, 0};
	for (size_t i = 0; i < self.hold.buckets().size();) {
		const uint16_t bucket = self.hold.buckets()[i];
		empty_hold(*h, self, core, bucket, out);
		i += !self.hold.empty(bucket); // an emptied bucket left the list
	}
	Forwarded late;
	while (!out.full() && !self.hold.full() && self.forward.pop(late))
		take(*h, self, core, late.packet, late.hash, out);
	uint32_t taken = 0;
	for (; taken < nb; taken++) {
		if (!take(*h, self, core, packets[taken], hashes[taken], out))
			break;
		std::atomic<uint64_t> &counter = self.counters[hashes[taken] & h->mask];
		counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
	}
	self.refused += nb - taken;
	*nb_out = out.count;
	return taken;
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
	Command command;
	while (self.mailbox.pop(command))
		self.leaving.push_back({command, Leaving::Stage::begun, 0, 0});
	if (!self.leaving.empty()) {
		const uint64_t written = h->written.load(std::memory_order_acquire);
		for (Leaving &move : self.leaving)
			if (move.stage == Leaving::Stage::begun && written >= move.command.epoch)
				move.stage = Leaving::Stage::written;
		std::erase_if(self.leaving, [&](const Leaving &move) {
			const bool drained = move.stage == Leaving::Stage::draining &&
			                     (received >= move.watermark || move.empty_polls >= empty_polls_needed);
			// What was held when this core gained the bucket must be out before it gives it on.
			if (!drained || !self.hold.empty(move.command.bucket))
				return false;
			self.told.push_back(move.command);
			return true;
		});
	}
	for (size_t i = 0; i < self.told.size(); i++)
		buckets[i] = self.told[i].bucket;
	return uint32_t(self.told.size());
}

extern "C" void rsspp_handover_release(rsspp_handover *h, uint16_t core)
{
	CoreState &self = *h->cores[core];
	for (const Command &command : self.told) {
		// Release: the flow state written by this core is seen by the one that reads the owner.
		h->owner[command.bucket].store(command.to, std::memory_order_release);
		h->next[command.bucket].store(nobody, std::memory_order_release);
	}
	self.moves += self.told.size();
	h->finished.fetch_add(self.told.size(), std::memory_order_release);
	self.told.clear();
}

extern "C" void rsspp_handover_get_stats(const rsspp_handover *h, uint16_t core,
                                         rsspp_handover_stats *out)
{
	const CoreState &self = *h->cores[core];
	*out = {self.admitted, self.held,  self.forwarded,   self.refused,
	        self.moves,    self.hold.size(), self.held_max};
}
