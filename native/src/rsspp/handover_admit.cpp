// The way in: what a received packet becomes on the core that got it.
#include "rsspp/handover.hpp"

#include "api/sized.hpp"

#include <algorithm>

using namespace reframer::rsspp;

namespace {

struct Output {
	void **packets;
	uint32_t *hashes;
	uint32_t room;
	uint32_t count;

	bool full() const { return count == room; }
	// Here it is counted, not where it was received: a core that works off its backlog receives nothing, and
	// its buckets would look idle just when it is overloaded.
	void put(CoreState &self, void *packet, uint32_t hash)
	{
		packets[count] = packet;
		hashes[count++] = hash;
		self.admitted++;
		std::atomic<uint64_t> &counter = self.counters[hash & uint32_t(self.counters.size() - 1)];
		counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
	}
};

bool hold(CoreState &self, uint32_t bucket, void *packet, uint32_t hash)
{
	if (!self.hold.push(bucket, packet, hash))
		return false;
	self.held++;
	self.held_max = std::max(self.held_max, self.store.size());
	return true;
}

// A bucket that has become ours: first what the losing core had set aside, then what waited here. False
// if `out` is full before that is done.
bool join(rsspp_handover &h, CoreState &self, uint32_t bucket, Output &out)
{
	if (self.part[bucket] == Part::elsewhere) {
		self.part[bucket] = Part::joining;
		if (!self.gained_mark[bucket]) {
			self.gained_mark[bucket] = 1;
			self.gained.push_back(uint16_t(bucket));
		}
	}
	Parcel &parcel = h.parcels[bucket];
	if (const uint16_t from = parcel.from.load(std::memory_order_relaxed); from != nobody) {
		const PacketStore &store = h.cores[from]->store;
		for (; parcel.head != PacketStore::none; parcel.head = store.at(parcel.head).next) {
			if (out.full())
				return false;
			out.put(self, store.at(parcel.head).packet, store.at(parcel.head).hash);
			self.taken_over++;
		}
		parcel.from.store(nobody, std::memory_order_release);
	}
	for (; !self.hold.empty(bucket); self.hold.pop(bucket)) {
		if (out.full())
			return false;
		out.put(self, self.hold.front(bucket).packet, self.hold.front(bucket).hash);
	}
	self.part[bucket] = Part::serving;
	return true;
}

// What was held of a bucket goes out if the bucket is ours now, and to its owner if we neither have nor
// gain it.
void empty_hold(rsspp_handover &h, CoreState &self, uint16_t core, uint32_t bucket, Output &out)
{
	while (!self.hold.empty(bucket)) {
		uint16_t owner;
		const Claim whose = claim(h, core, bucket, owner);
		if (whose == Claim::gaining)
			return;
		if (whose == Claim::ours) {
			join(h, self, bucket, out);
			return;
		}
		const PacketStore::Slot &first = self.hold.front(bucket);
		if (!h.cores[owner]->forward.push({first.packet, first.hash}))
			return;
		self.forwarded++;
		self.hold.pop(bucket);
	}
}

// A packet of a bucket that this core does not serve, or not yet.
bool take_other(rsspp_handover &h, CoreState &self, uint16_t core, void *packet, uint32_t hash,
                Output &out)
{
	const uint32_t bucket = hash & h.mask;
	if (!self.hold.empty(bucket)) {
		empty_hold(h, self, core, bucket, out);
		if (!self.hold.empty(bucket))
			return hold(self, bucket, packet, hash); // behind the others
	}
	uint16_t owner;
	switch (claim(h, core, bucket, owner)) {
	case Claim::ours:
		if (!join(h, self, bucket, out))
			return hold(self, bucket, packet, hash);
		if (out.full())
			return false;
		out.put(self, packet, hash);
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

// One packet: out, held, set aside or forwarded. False and nothing done if there is no room for it.
bool take(rsspp_handover &h, CoreState &self, uint16_t core, void *packet, uint32_t hash,
          Output &out)
{
	const uint32_t bucket = hash & h.mask;
	switch (self.part[bucket]) {
	case Part::serving:
		if (out.full())
			return false;
		out.put(self, packet, hash);
		return true;
	case Part::collecting:
		return self.store.push(self.parcels[bucket], packet, hash);
	case Part::elsewhere:
	case Part::joining:
		break;
	}
	return take_other(h, self, core, packet, hash, out);
}

void look_for_coming(rsspp_handover &h, CoreState &self, uint16_t core, Output &out)
{
	for (size_t i = 0; i < self.coming.size();) {
		const uint16_t bucket = self.coming[i];
		bool done = self.part[bucket] == Part::serving || self.part[bucket] == Part::collecting;
		if (!done) {
			uint16_t owner;
			const Claim whose = claim(h, core, bucket, owner);
			done = whose == Claim::other || (whose == Claim::ours && join(h, self, bucket, out));
		}
		if (done) {
			self.coming[i] = self.coming.back();
			self.coming.pop_back();
		} else {
			i++;
		}
	}
}

void serve_from(rsspp_handover &h, CoreState &self, uint16_t core, PacketStore::List &list,
                Output &out)
{
	while (!out.full() && !list.empty()) {
		// Its slot is free before it is taken, so there is one for it wherever it goes.
		const PacketStore::Slot next = self.store.pop(list);
		if (take(h, self, core, next.packet, next.hash, out))
			continue;
		self.store.push_front(list, next.packet, next.hash);
		return;
	}
}

// Packets of announced buckets come out of the others, before more of them are received.
void sort_express(CoreState &self, uint32_t mask)
{
	bool begins = false;
	for (Preparing &p : self.preparing) {
		if (p.stage != Preparing::Stage::asked || self.part[p.bucket] != Part::serving)
			continue;
		p.stage = Preparing::Stage::sorted;
		self.is_express[p.bucket] = 1;
		begins = true;
	}
	if (begins && !self.backlog.empty())
		self.store.sort_out(self.backlog, [&](uint32_t hash) {
			return self.is_express[hash & mask] ? &self.express : nullptr;
		});
}

// Packets set aside fill the memory, and nothing else gives any back: they are still this core's to
// serve.
void take_back(CoreState &self, Output &out)
{
	for (const Leaving &move : self.leaving) {
		PacketStore::List &parcel = self.parcels[move.command.bucket];
		if (self.part[move.command.bucket] != Part::collecting)
			continue;
		while (!out.full() && !parcel.empty()) {
			const PacketStore::Slot first = self.store.pop(parcel);
			out.put(self, first.packet, first.hash);
		}
	}
}

} // namespace

extern "C" uint32_t rsspp_handover_admit(rsspp_handover *h, uint16_t core, void *const *packets,
                                         const uint32_t *hashes, uint32_t nb, void **out_packets,
                                         uint32_t *out_hashes, uint32_t room, uint32_t *nb_out)
{
	if (!has_core(h, core) || !nb_out || (nb > 0 && (!packets || !hashes)) ||
	    (room > 0 && (!out_packets || !out_hashes)))
		return 0;
	REFRAMER_DEBUG_CHECK(nb <= reframer::api::most_packets && room <= reframer::api::most_packets);
	CoreState &self = *h->cores[core];
	Output out = {out_packets, out_hashes, room, 0};
	read_mailbox(self, core);
	if (!self.sent.empty())
		reclaim_parcels(*h, self);
	if (!self.coming.empty())
		look_for_coming(*h, self, core, out);
	for (size_t i = 0; i < self.hold.buckets().size();) {
		const uint16_t bucket = self.hold.buckets()[i];
		empty_hold(*h, self, core, bucket, out);
		i += !self.hold.empty(bucket); // an emptied bucket left the list
	}
	if (self.store.full() && self.backlog.empty() && self.express.empty())
		take_back(self, out);
	Forwarded late;
	while (!out.full() && self.forward.peek(late) &&
	       take(*h, self, core, late.packet, late.hash, out))
		self.forward.drop();
	serve_from(*h, self, core, self.express, out);
	serve_from(*h, self, core, self.backlog, out);
	uint32_t taken = 0;
	for (; taken < nb; taken++) {
		// Behind the backlog, but for buckets that have nothing there.
		const uint32_t bucket = hashes[taken] & h->mask;
		const bool now =
			(self.backlog.empty() && self.express.empty()) || self.part[bucket] == Part::collecting;
		if (!(now ? take(*h, self, core, packets[taken], hashes[taken], out)
		          : self.store.push(self.is_express[bucket] ? self.express : self.backlog,
		                            packets[taken], hashes[taken])))
			break;
	}
	self.refused += nb - taken;
	*nb_out = out.count;
	return taken;
}

extern "C" uint32_t rsspp_handover_absorb(rsspp_handover *h, uint16_t core, void *const *packets,
                                          const uint32_t *hashes, uint32_t nb)
{
	if (!has_core(h, core) || (nb > 0 && (!packets || !hashes)))
		return 0;
	CoreState &self = *h->cores[core];
	if (!self.sent.empty())
		reclaim_parcels(*h, self);
	bool begins = false;
	for (const Leaving &move : self.leaving) {
		Part &part = self.part[move.command.bucket];
		if (move.stage == Leaving::Stage::begun || part != Part::serving)
			continue;
		part = Part::collecting;
		begins = true;
	}
	if (begins)
		for (PacketStore::List *list : {&self.express, &self.backlog})
			self.store.sort_out(*list, [&](uint32_t hash) {
				const uint32_t bucket = hash & h->mask;
				return self.part[bucket] == Part::collecting ? &self.parcels[bucket] : nullptr;
			});
	sort_express(self, h->mask);
	uint32_t taken = 0;
	for (; taken < nb; taken++) {
		const uint32_t bucket = hashes[taken] & h->mask;
		PacketStore::List &list = self.part[bucket] == Part::collecting ? self.parcels[bucket]
		                          : self.is_express[bucket]             ? self.express
		                                                                : self.backlog;
		if (!self.store.push(list, packets[taken], hashes[taken]))
			break;
	}
	self.held_max = std::max(self.held_max, self.store.size());
	self.refused += nb - taken;
	return taken;
}

extern "C" uint32_t rsspp_handover_backlog(const rsspp_handover *h, uint16_t core)
{
	return has_core(h, core) ? h->cores[core]->backlog.count + h->cores[core]->express.count : 0;
}

extern "C" uint32_t rsspp_handover_gained(rsspp_handover *h, uint16_t core, uint16_t *buckets)
{
	if (!has_core(h, core) || !buckets)
		return 0;
	CoreState &self = *h->cores[core];
	const uint32_t nb = uint32_t(self.gained.size());
	for (uint32_t i = 0; i < nb; i++) {
		buckets[i] = self.gained[i];
		self.gained_mark[self.gained[i]] = 0;
	}
	self.gained.clear();
	return nb;
}
