// Packets in. With a NIC hash they are placed at once and their headers stay untouched. Else the
// header lines of a burst are asked for when it comes and read one burst later: many lines are then
// on their way at once, which is what decides the cost of a header that is not in the core's caches.
#include "reframer/blocks/block_stage.hpp"

#include <algorithm>

namespace reframer::stage {

void BlockStage::hold(const reframer_burst &burst, uint32_t total)
{
	const bool nic = burst.hash != nullptr;
	if (blocks_.nic_hash != nic && total > 0) [[unlikely]] {
		// The same flow has another hash from now on.
		make_all_ready(REFRAMER_BY_DRAIN);
		blocks_.nic_hash = nic;
	}
	for (uint32_t first = 0; first < total; first += chunk) {
		const uint32_t count = std::min(chunk, total - first);
		if (nic)
			take_hashed(burst, first, count);
		else
			take_unread(burst, first, count);
		if (over_capacity()) [[unlikely]]
			relieve();
	}
}

void BlockStage::take_hashed(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	const uint32_t *const lengths = burst.wire ? burst.wire : burst.captured;
	waiting_ += count;
	uint64_t bytes = 0;
	for (uint32_t at = 0; at < count; at += batch_packets) {
		const uint32_t from = first + at;
		Batch batch = {burst.packets + from,
		               burst.hash + from,
		               lengths ? lengths + from : nullptr,
		               std::min(batch_packets, count - at),
		               max_burst_,
		               now_,
		               now_ + delay_};
		bytes += place(batch);
	}
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
}

void BlockStage::take_unread(const reframer_burst &burst, uint32_t first, uint32_t count)
{
	const uint32_t *const lengths = (burst.wire ? burst.wire : burst.captured) + first;
	const uint32_t before = unread_tail_ - unread_head_;
	waiting_ += count;
	const uint32_t allowed = policy_ == REFRAMER_BURST ? 0 : std::min(lookahead_, waiting_ / 8);
	const uint32_t to_read = before + count > allowed ? before + count - allowed : 0;
	read_headers(unread_head_ + std::min(to_read, before));
	uint64_t bytes = 0;
	// Whole arrays: two pieces where the ring goes around.
	for (uint32_t done = 0; done < count;) {
		const uint32_t at = (unread_tail_ + done) % nb_unread, from = first + done;
		const uint32_t n = std::min(count - done, nb_unread - at);
		std::copy_n(burst.packets + from, n, unread_.packet + at);
		std::copy_n(burst.data + from, n, unread_.data + at);
		std::copy_n(burst.captured + from, n, unread_.captured + at);
		std::fill_n(unread_.arrival + at, n, now_);
		for (uint32_t i = 0; i < n; i++) {
			const uint32_t length = std::min(lengths[done + i], longest_length);
			unread_.length[at + i] = length;
			bytes += length;
		}
		done += n;
	}
	unread_tail_ += count;
	fetch_headers(unread_tail_);
	waiting_bytes_ += bytes;
	held_bytes_ += bytes;
	stats_.bytes_in += bytes;
	if (to_read > before)
		read_headers(unread_tail_ - allowed);
}

void BlockStage::fetch_headers(uint32_t until)
{
	for (; static_cast<int32_t>(until - unread_fetched_) > 0; unread_fetched_++)
		prefetch_header(unread_.data[unread_fetched_ % nb_unread]);
}

void BlockStage::read_headers(uint32_t until)
{
	fetch_headers(until);
	while (unread_head_ != until) {
		const uint32_t at = unread_head_ % nb_unread;
		const uint32_t most = std::min({batch_packets, until - unread_head_, nb_unread - at});
		const uint64_t arrival = unread_.arrival[at];
		uint32_t count = 1;
		while (count < most && unread_.arrival[at + count] == arrival)
			count++;
		uint32_t hash[batch_packets];
		uint32_t fragments = 0, unparsed = 0;
		const uint8_t *const *const data = unread_.data + at;
		const uint32_t *const captured = unread_.captured + at;
		for_key(key_, [&]<packet::KeyKind kind>() {
			for (uint32_t i = 0; i < count; i++) {
				const packet::Digest digest =
					packet::classify<false>(data[i], captured[i], link_, kind, seed_);
				hash[i] = digest.hash;
				unparsed += digest.traits & packet::trait_unparsed;
				fragments |= (digest.traits & packet::trait_fragment ? 1u : 0u) << i;
			}
		});
		static_assert(packet::trait_unparsed == 1, "added up as a number");
		stats_.unparsed += unparsed;
		Batch batch = {unread_.packet + at, hash,    unread_.length + at, count,
		               max_burst_,          arrival, arrival + delay_};
		if (fragments) [[unlikely]]
			place_with_fragments(batch, at, fragments);
		else
			place(batch);
		unread_head_ += count;
	}
}

void BlockStage::read_all_headers()
{
	read_headers(unread_tail_);
}

void BlockStage::before_poll(uint64_t now)
{
	if (unread_head_ == unread_tail_)
		return;
	// Nothing came since an earlier poll: no reason to wait for more lines. And who is due must be
	// read, to leave with its group.
	const uint64_t oldest = unread_.arrival[unread_head_ % nb_unread];
	if ((idle_ && now > last_poll_) || now - oldest >= delay_)
		read_all_headers();
}

// @return bytes of the batch.
uint64_t BlockStage::place(const Batch &batch)
{
	make_room(batch.count);
	const Placed placed = kernel_->place(blocks_, batch);
	stats_.runs_in += placed.changes + (batch.hash[0] != last_hash_in_);
	last_hash_in_ = batch.hash[batch.count - 1];
	groups_ += placed.new_groups;
	for (uint32_t i = placed.packets; i < batch.count; i++)
		place_one(batch, i);
	forget_old();
	return placed.bytes;
}

// Full: what is due next leaves early, and nothing is ever refused or dropped for it.
void BlockStage::relieve()
{
	read_all_headers();
	while (over_capacity() && pass_gone())
		take_out(blocks_.rel, REFRAMER_BY_CAPACITY);
}

} // namespace reframer::stage
