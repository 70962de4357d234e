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

void Stage::push_hashed(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	void *const *packets = burst.packets + first;
	const uint32_t *hash = burst.hash + first;
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	Arrival arrivals[chunk];
	uint32_t buckets[chunk];
	for (uint32_t i = 0; i < count; i++) // vectorised by the compiler
		buckets[i] = table_.bucket_of(hash[i]);
	const uint32_t *free = free_.stack + free_.top;
	free_.top -= count;
	const uint64_t now = now_;
	for (uint32_t i = 0; i < count; i++) {
		table_.prefetch(buckets[i]);
		const uint32_t id = *--free;
		arrivals[i] = {id, hash[i], buckets[i], 0};
		Slot &slot = slots_[id];
		slot.packet = packets[i];
		slot.arrival = now;
	}
	uint64_t bytes = 0;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t wire = lengths ? lengths[first + i] : 0;
		slots_[arrivals[i].id].wire = wire;
		bytes += wire;
	}
	if (keeps_data_)
		for (uint32_t i = 0; i < count; i++) {
			slots_[arrivals[i].id].data = burst.data[first + i];
			slots_[arrivals[i].id].captured = burst.captured[first + i];
		}
	waiting_ += count;
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	place_plain(arrivals, count);
}

// What reading a header needs, as values: kept in registers over a burst.
template <packet::KeyKind kind, bool plain> struct Stage::Reader {
	const Slot *slots;
	const uint32_t *unread;
	GroupTable table;
	packet::LinkType link;
	uint64_t seed;

	Arrival operator()(uint32_t position) const
	{
		const uint32_t id = unread[position % nb_unread];
		const Slot &slot = slots[id];
		// Without a policy only one trait is of interest.
		const packet::Digest digest =
		    packet::classify<!plain>(slot.data, slot.captured, link, kind, seed);
		const uint32_t hash = !plain && slot.count ? slot.hash : digest.hash;
		const uint32_t bucket = table.bucket_of(hash);
		table.prefetch(bucket);
		return {id, hash, bucket, plain ? digest.traits & packet::trait_unparsed : digest.traits};
	}
};

template <bool plain> void Stage::place(const Arrival *arrivals, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		stats_.unparsed += arrivals[i].traits & packet::trait_unparsed;
	if constexpr (plain)
		place_plain(arrivals, count);
	else
		for (uint32_t i = 0; i < count; i++)
			place_by_policy(arrivals[i]);
}
static_assert(packet::trait_unparsed == 1, "added up as a number");

template <packet::KeyKind kind, bool plain>
void Stage::take_burst(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	const uint32_t unread = unread_tail_ - unread_head_ + count;
	const uint32_t allowed = std::min(lookahead_, (waiting_ + count) / 8);
	const uint32_t to_read = unread > allowed ? unread - allowed : 0;
	// An older header is read for every line that is asked for: a burst of requests alone would
	// wait for the core's few outstanding misses, and nothing be done meanwhile.
	const uint32_t read_meanwhile = std::min({to_read, unread - count, count});
	Arrival arrivals[chunk];
	uint64_t bytes = 0;
	const uint64_t now = now_;
	void *const *const packets = burst.packets + first;
	const uint8_t *const *const data = burst.data + first;
	const uint32_t *const captured = burst.captured + first;
	const uint32_t *const wire = lengths + first;
	Slot *const slots = slots_;
	const uint32_t *const free = free_.stack + free_.top - 1;
	const uint32_t head = unread_head_, tail = unread_tail_;
	const Reader<kind, plain> read = {slots, unread_, table_, link_, seed_};
	const auto take = [&](uint32_t i) {
		prefetch_header(data[i]);
		const uint32_t id = *(free - i);
		Slot &slot = slots[id];
		slot.packet = packets[i];
		slot.data = data[i];
		slot.arrival = now;
		slot.wire = wire[i];
		slot.captured = captured[i];
		if constexpr (!plain) {
			slot.hash = burst.hash ? burst.hash[first + i] : 0;
			slot.count = burst.hash != nullptr;
		}
		bytes += slot.wire;
		unread_[(tail + i) % nb_unread] = id;
	};
	uint32_t i = 0;
	for (; i < read_meanwhile; i++) {
		take(i);
		arrivals[i] = read(head + i);
	}
	for (; i < count; i++)
		take(i);
	free_.top -= count;
	unread_tail_ += count;
	unread_head_ += read_meanwhile;
	waiting_ += count;
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	place<plain>(arrivals, read_meanwhile);
	read_headers<kind, plain>(to_read - read_meanwhile);
}

template <packet::KeyKind kind, bool plain> void Stage::read_headers(uint32_t count)
{
	Arrival arrivals[chunk];
	const Reader<kind, plain> read = {slots_, unread_, table_, link_, seed_};
	while (count > 0) {
		const uint32_t n = std::min(count, chunk);
		for (uint32_t i = 0; i < n; i++)
			arrivals[i] = read(unread_head_ + i);
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
	specialised([&]<packet::KeyKind kind, bool plain>() { take_burst<kind, plain>(burst, first, count); });
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
