// Packets in. With a NIC hash they are placed at once and their headers stay untouched. Without,
// header lines are fetched and read some packets later: many lines are then on their way at once,
// which is what decides the cost of a header that is not in the core's caches.
#include "reframer/stage.hpp"

#include <algorithm>

namespace reframer::stage {

namespace {

// Ethernet, two VLAN tags, IPv4 and TCP; IPv6 and ports without tags.
constexpr uint32_t header_bytes = 62;

[[gnu::always_inline]] inline void prefetch_header(const uint8_t *data)
{
	__builtin_prefetch(data);
	// Buffers are line-aligned in a mempool, records of a capture file are not.
	if ((reinterpret_cast<uintptr_t>(data) & 63) > 64 - header_bytes)
		__builtin_prefetch(data + header_bytes - 1);
}

} // namespace

uint64_t Stage::advance_clock(uint64_t caller_now)
{
	uint64_t now = caller_now + clock_offset_;
	if (now < now_) [[unlikely]] {
		stats_.clock_backwards++;
		if (now_ - now > clock_origin_step_ns)
			clock_offset_ = now_ - caller_now;
		now = now_;
	}
	now_ = now;
	return now;
}

uint32_t Stage::push(const reframer_burst &burst, uint64_t caller_now)
{
	advance_clock(caller_now);
	if (!burst.hash || !plain_ || keeps_data_) {
		if (!burst.data || !burst.captured)
			return 0;
	}
	if (policy_ == REFRAMER_BURST && groups_ > 0)
		make_all_ready(REFRAMER_BY_DEADLINE);
	idle_ = false;

	const uint32_t total = std::min(burst.count, free_.top);
	if (straight_on_ && waiting_ + ready_packets_ == 0 && push_straight(burst, total))
		return total;
	const bool unread = !burst.hash || !plain_;
	for (uint32_t first = 0; first < total; first += chunk) {
		const uint32_t count = std::min(chunk, total - first);
		if (unread) {
			push_unread(burst, first, count);
		} else {
			read_all_headers();
			push_hashed(burst, first, count);
		}
		if (waiting_ > max_packets_ || waiting_bytes_ > max_bytes_) [[unlikely]]
			relieve();
	}
	stats_.packets_held_max = std::max(stats_.packets_held_max, waiting_);
	stats_.packets_in += total;
	return total;
}

// Past the groups, if there is room. Runs are those that came: equal hashes in a row.
bool Stage::push_straight(const reframer_burst &burst, uint32_t count)
{
	if (straight_head_ == straight_tail_)
		straight_head_ = straight_tail_ = 0;
	if (count > nb_straight - straight_tail_ || nb_straight_held() + count > max_packets_)
		return false;
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	Straight *const to = straight_ + straight_tail_;
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count && lengths; i++)
		bytes += lengths[i];
	if (held_bytes_ + bytes > max_bytes_)
		return false;
	if (!burst.hash)
		for (uint32_t i = 0; i < count; i++)
			prefetch_header(burst.data[i]);
	for (uint32_t i = 0; i < count; i++) {
		to[i] = {burst.packets[i], now_, lengths ? lengths[i] : 0, burst.hash ? burst.hash[i] : 0};
	}
	if (!burst.hash)
		specialised([&]<packet::KeyKind kind, bool>() {
			uint32_t unparsed = 0;
			for (uint32_t i = 0; i < count; i++) {
				const packet::Digest digest =
					packet::classify<false>(burst.data[i], burst.captured[i], link_, kind, seed_);
				to[i].hash = digest.hash;
				if (digest.traits & packet::trait_fragment) [[unlikely]]
					to[i].hash = straight_hash(burst.data[i], burst.captured[i]);
				unparsed += digest.traits & packet::trait_unparsed;
			}
			stats_.unparsed += unparsed;
		});
	uint64_t last = last_hash_in_;
	for (uint32_t i = 0; i < count; i++) {
		stats_.runs_in += to[i].hash != last;
		last = to[i].hash;
	}
	last_hash_in_ = last;
	straight_tail_ += count;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	stats_.packets_in += count;
	stats_.passed += count;
	stats_.packets_held_max = std::max(stats_.packets_held_max, nb_straight_held());
	return true;
}

void Stage::push_hashed(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	void *const *packets = burst.packets + first;
	const uint32_t *hash = burst.hash + first;
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	Arrivals arrivals;
	for (uint32_t i = 0; i < count; i++) // vectorised by the compiler
		arrivals.bucket[i] = table_.bucket_of(hash[i]);
	const uint32_t *free = free_.stack + free_.top;
	free_.top -= count;
	const uint64_t now = now_;
	static constexpr uint32_t no_lengths[chunk] = {};
	const uint32_t *const wires = lengths ? lengths + first : no_lengths;
	uint64_t bytes = 0;
	Slot *const slots = slots_;
	for (uint32_t i = 0; i < count; i++) {
		table_.prefetch(arrivals.bucket[i]);
		const uint32_t id = *--free;
		arrivals.id[i] = id;
		arrivals.hash[i] = hash[i];
		Slot &slot = slots[id];
		slot.packet = packets[i];
		slot.arrival = now;
		slot.wire = wires[i];
		bytes += wires[i];
	}
	if (keeps_data_)
		for (uint32_t i = 0; i < count; i++) {
			slots_[arrivals.id[i]].data = burst.data[first + i];
			slots_[arrivals.id[i]].captured = burst.captured[first + i];
		}
	waiting_ += count;
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	place_plain(arrivals, count);
}

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

// The kind of key and the presence of policies are constants in the loops over a burst.
template <typename Work> inline void Stage::specialised(Work work)
{
	using packet::KeyKind;
	switch (key_) {
	case KeyKind::five_tuple:
		return plain_ ? work.template operator()<KeyKind::five_tuple, true>()
		              : work.template operator()<KeyKind::five_tuple, false>();
	case KeyKind::symmetric:
		return plain_ ? work.template operator()<KeyKind::symmetric, true>()
		              : work.template operator()<KeyKind::symmetric, false>();
	case KeyKind::destination:
		return plain_ ? work.template operator()<KeyKind::destination, true>()
		              : work.template operator()<KeyKind::destination, false>();
	case KeyKind::inner:
		return plain_ ? work.template operator()<KeyKind::inner, true>()
		              : work.template operator()<KeyKind::inner, false>();
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

// Full: what is due next leaves early, and nothing is ever refused or dropped for it.
void Stage::relieve()
{
	read_all_headers();
	while (waiting_ > max_packets_ || waiting_bytes_ > max_bytes_) {
		Fifo *fifo = first_due(UINT64_MAX);
		if (!fifo)
			break;
		make_ready(fifo->head_id(), REFRAMER_BY_CAPACITY);
	}
}

} // namespace reframer::stage
