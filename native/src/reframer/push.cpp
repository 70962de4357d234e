// Packets in. With a NIC hash they are placed at once and their headers stay untouched. Without,
// header lines are fetched and read some packets later: many lines are then on their way at once,
// which is what decides the cost of a header that is not in the core's caches.
#include "reframer/stage.hpp"

#include <algorithm>
#include <iterator>

namespace reframer::stage {

namespace {

// Ethernet, two VLAN tags, IPv4 and TCP; IPv6 and ports without tags.
constexpr uint32_t header_bytes = 62;

inline void prefetch_header(const uint8_t *data)
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
	const uint32_t *free = free_.stack + free_.top;
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t id = *--free;
		arrivals[i] = {id, hash[i], table_.bucket_of(hash[i]), 0};
		table_.prefetch(arrivals[i].bucket);
		__builtin_prefetch(&slots_[id], 1);
	}
	free_.top -= count;
	uint64_t bytes = 0;
	const uint64_t now = now_;
	for (uint32_t i = 0; i < count; i++) {
		Slot &slot = slots_[arrivals[i].id];
		slot.packet = packets[i];
		slot.arrival = now;
		slot.wire = lengths ? lengths[first + i] : 0;
		bytes += slot.wire;
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

void Stage::push_unread(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	const uint32_t *lengths = burst.wire ? burst.wire : burst.captured;
	uint64_t bytes = 0;
	const uint64_t now = now_;
	const uint32_t *free = free_.stack + free_.top;
	uint32_t tail = unread_tail_;
	for (uint32_t i = 0; i < count; i++) {
		prefetch_header(burst.data[first + i]);
		__builtin_prefetch(&slots_[free[-1 - static_cast<ptrdiff_t>(i)]], 1);
	}
	for (uint32_t i = 0; i < count; i++) {
		const uint32_t id = *--free;
		Slot &slot = slots_[id];
		slot.packet = burst.packets[first + i];
		slot.data = burst.data[first + i];
		slot.arrival = now;
		slot.wire = lengths[first + i];
		slot.captured = burst.captured[first + i];
		slot.hash = burst.hash ? burst.hash[first + i] : 0;
		slot.count = burst.hash != nullptr;
		bytes += slot.wire;
		unread_[tail++ % std::size(unread_)] = id;
	}
	unread_tail_ = tail;
	free_.top -= count;
	waiting_ += count;
	waiting_bytes_ += bytes;
	stats_.bytes_in += bytes;
	held_bytes_ += bytes;

	const uint32_t unread = unread_tail_ - unread_head_;
	const uint32_t allowed = std::min(lookahead_, waiting_ / 8);
	if (unread > allowed)
		read_headers(unread - allowed);
}

void Stage::read_headers(uint32_t count)
{
	Arrival arrivals[chunk];
	while (count > 0) {
		const uint32_t n = std::min(count, chunk);
		uint32_t unparsed = 0;
		for (uint32_t i = 0; i < n; i++) {
			const uint32_t id = unread_[unread_head_++ % std::size(unread_)];
			const Slot &slot = slots_[id];
			const packet::Digest digest =
			    packet::classify(slot.data, slot.captured, link_, key_, seed_);
			const uint32_t hash = slot.count ? slot.hash : digest.hash;
			arrivals[i] = {id, hash, table_.bucket_of(hash), digest.traits};
			table_.prefetch(arrivals[i].bucket);
			unparsed += digest.traits & packet::trait_unparsed;
		}
		stats_.unparsed += unparsed;
		if (plain_)
			place_plain(arrivals, n);
		else
			for (uint32_t i = 0; i < n; i++)
				place_by_policy(arrivals[i]);
		count -= n;
	}
}
static_assert(packet::trait_unparsed == 1, "added up as a number");

void Stage::read_all_headers()
{
	if (unread_head_ != unread_tail_)
		read_headers(unread_tail_ - unread_head_);
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
