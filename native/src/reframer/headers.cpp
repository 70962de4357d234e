// Packets in without a NIC hash, or with policies: header lines are fetched and read some packets
// later. Many lines are then on their way at once, which is what decides the cost of a header that is
// not in the core's caches.
#include "reframer/headers.hpp"

#include <algorithm>

namespace reframer::stage {

// Reads headers that were asked for: hash, bucket, and where policies look at them, traits.
template <packet::KeyKind kind, bool plain> struct Stage::Reader {
	const Slot *slots;
	const decltype(unread_) &unread;
	packet::LinkType link;
	uint64_t seed;
	Stage &stage;

	// Into arrivals [at, at + count). Without a policy only one trait is of interest: returns how
	// many packets could not be parsed.
	uint32_t operator()(uint32_t position, uint32_t count, Arrivals &arrivals, uint32_t at) const
	{
		uint32_t unparsed = 0;
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t place = (position + i) % nb_unread;
			const uint32_t id = unread.id[place];
			const packet::Digest digest = packet::classify<!plain>(
				unread.data[place], unread.captured[place], link, kind, seed);
			unparsed += digest.traits & packet::trait_unparsed;
			arrivals.id[at + i] = id;
			if (digest.traits & packet::trait_fragment) [[unlikely]]
				if (plain || !slots[id].count) // not where the NIC gave the hash
					stage.note_fragment(unread.data[place], unread.captured[place], at + i);
			if constexpr (plain) {
				arrivals.hash[at + i] = digest.hash;
			} else {
				const Slot &slot = slots[id];
				arrivals.hash[at + i] = slot.count ? slot.hash : digest.hash;
				arrivals.traits[at + i] = digest.traits;
			}
		}
		return unparsed;
	}
};
static_assert(packet::trait_unparsed == 1, "added up as a number");

// Buckets, whose lines are then on their way, and from there to the groups.
template <bool plain> void Stage::place(Arrivals &arrivals, uint32_t count)
{
	if (fragments_) [[unlikely]]
		return place_fragments<plain>(arrivals, count);
	for (uint32_t i = 0; i < count; i++) // vectorised by the compiler
		// Without a policy this is the stage's own keyed hash, never a NIC's.
		arrivals.bucket[i] =
			plain ? table_.bucket_of_keyed(arrivals.hash[i]) : table_.bucket_of(arrivals.hash[i]);
	for (uint32_t i = 0; i < count; i++)
		table_.prefetch(arrivals.bucket[i]);
	if constexpr (plain)
		place_plain(arrivals, count);
	else
		for (uint32_t i = 0; i < count; i++)
			place_by_policy(arrivals.id[i], arrivals.hash[i], arrivals.bucket[i],
			                arrivals.traits[i]);
}

// fragments.cpp calls them.
template void Stage::place<true>(Arrivals &arrivals, uint32_t count);
template void Stage::place<false>(Arrivals &arrivals, uint32_t count);

template <packet::KeyKind kind, bool plain>
void Stage::take_burst(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	const uint32_t unread = unread_tail_ - unread_head_ + count;
	const uint32_t allowed = std::min(lookahead_, (waiting_ + count) / 8);
	const uint32_t to_read = unread > allowed ? unread - allowed : 0;
	// An older header is read for every line that is asked for, in turns: a burst of requests alone
	// would wait for the core's few outstanding misses, and nothing be done meanwhile.
	const uint32_t read_meanwhile = std::min({to_read, unread - count, count});
	constexpr uint32_t turn = 8;
	Arrivals arrivals;
	uint64_t bytes = 0;
	uint32_t unparsed = 0;
	const uint64_t now = now_;
	void *const *const packets = burst.packets + first;
	const uint8_t *const *const data = burst.data + first;
	const uint32_t *const captured = burst.captured + first;
	const uint32_t *const wire = lengths + first;
	Slot *const slots = slots_;
	const uint32_t *const free = free_.stack + free_.top - 1;
	const uint32_t head = unread_head_, tail = unread_tail_;
	const bool keeps_data = !plain || keeps_data_;
	const Reader<kind, plain> read = {slots, unread_, link_, seed_, *this};
	for (uint32_t from = 0; from < count; from += turn) {
		const uint32_t until = std::min(from + turn, count);
		for (uint32_t i = from; i < until; i++) {
			prefetch_header(data[i]);
			const uint32_t id = *(free - i), place = (tail + i) % nb_unread;
			Slot &slot = slots[id];
			slot.packet = packets[i];
			slot.arrival = now;
			slot.wire = wire[i];
			if constexpr (!plain) {
				slot.hash = burst.hash ? burst.hash[first + i] : 0;
				slot.count = burst.hash != nullptr;
			}
			bytes += wire[i];
			unread_.id[place] = id;
			unread_.data[place] = data[i];
			unread_.captured[place] = captured[i];
		}
		if (keeps_data)
			for (uint32_t i = from; i < until; i++) {
				Slot &slot = slots[*(free - i)];
				slot.data = data[i];
				slot.captured = captured[i];
			}
		if (from < read_meanwhile)
			unparsed += read(head + from, std::min(turn, read_meanwhile - from), arrivals, from);
	}
	free_.top -= count;
	unread_tail_ += count;
	unread_head_ += read_meanwhile;
	waiting_ += count;
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	stats_.unparsed += unparsed;
	place<plain>(arrivals, read_meanwhile);
	read_headers<kind, plain>(to_read - read_meanwhile);
}

template <packet::KeyKind kind, bool plain> void Stage::read_headers(uint32_t count)
{
	Arrivals arrivals;
	const Reader<kind, plain> read = {slots_, unread_, link_, seed_, *this};
	while (count > 0) {
		const uint32_t n = std::min(count, chunk);
		stats_.unparsed += read(unread_head_, n, arrivals, 0);
		unread_head_ += n;
		place<plain>(arrivals, n);
		count -= n;
	}
}

void Stage::push_unread(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	specialised(
		[&]<packet::KeyKind kind, bool plain>() { take_burst<kind, plain>(burst, first, count); });
}

void Stage::read_all_headers()
{
	if (unread_head_ == unread_tail_)
		return;
	specialised([&]<packet::KeyKind kind, bool plain>() {
		read_headers<kind, plain>(unread_tail_ - unread_head_);
	});
}

} // namespace reframer::stage
