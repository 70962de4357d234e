// What is rare: one packet at a time, where a bucket is full or a group reaches max_burst, and groups
// that leave ahead of their turn.
#include "reframer/blocks/block_stage.hpp"

#include <bit>

namespace reframer::stage {

void BlockStage::begin_group(const Batch &batch, uint32_t i, uint32_t position)
{
	blocks_.begin(position, batch.deadline, batch.hash[i]);
	blocks_.content(position) = 1;
	blocks_.block(position).entry[0] = batch.entry(i);
	groups_++;
}

// @return the last block, which may be a new one.
uint32_t BlockStage::append(const Batch &batch, uint32_t i, uint32_t tail)
{
	const uint32_t before = blocks_.count(tail);
	if (before % block_packets == 0) {
		const uint32_t position = blocks_.nb++;
		blocks_.begin_behind(position, tail);
		blocks_.content(position) = before | is_behind;
		tail = position;
	}
	blocks_.block(tail).entry[before % block_packets] = batch.entry(i);
	blocks_.content(tail)++;
	return tail;
}

void BlockStage::place_one(const Batch &batch, uint32_t i)
{
	const uint32_t hash = batch.hash[i];
	BlockBucket::Way *way = blocks_.find(hash);
	uint32_t tail = 0;
	if (way) {
		tail = append(batch, i, blocks_.position_of(way->word));
	} else {
		way = &vacant_way(hash);
		tail = blocks_.nb++;
		begin_group(batch, i, tail);
		way->hash = hash;
	}
	const uint32_t count = blocks_.count(tail);
	way->word = pack_group(tail, count);
	if (count >= max_burst_)
		take_out(blocks_.head_of(tail), REFRAMER_BY_BURST);
}

BlockBucket::Way &BlockStage::vacant_way(uint32_t hash)
{
	for (;;) {
		BlockBucket &bucket = blocks_.table.bucket(blocks_.bucket_of(hash));
		if (BlockBucket::Way *const way = blocks_.find_vacant(bucket))
			return *way;
		if (blocks_.table.nb_buckets() < nb_buckets_most_)
			resize_table(2 * blocks_.table.nb_buckets());
		else
			make_way(bucket);
	}
}

// The bucket is full, and the table is as large as it may be: the group of it that is due first
// leaves.
void BlockStage::make_way(const BlockBucket &bucket)
{
	uint32_t first = blocks_.head_of(blocks_.position_of(bucket.way[0].word));
	for (const BlockBucket::Way &way : bucket.way) {
		const uint32_t head = blocks_.head_of(blocks_.position_of(way.word));
		if (head - blocks_.rel < first - blocks_.rel)
			first = head;
	}
	take_out(first, REFRAMER_BY_CAPACITY);
}

// A later packet of its flow starts anew, and leaves behind it.
void BlockStage::take_out(uint32_t head, reframer_reason reason)
{
	const uint32_t hash = blocks_.hash(head);
	uint32_t count = 0, tail = head;
	uint64_t bytes = 0;
	for (uint32_t next = head;; tail = next) {
		const uint32_t content = blocks_.content(tail);
		for (uint32_t i = 0; i < packets_in_block(content); i++) {
			const Entry &entry = blocks_.block(tail).entry[i];
			ready_.add(entry);
			bytes += length_of(entry.meta);
			count++;
		}
		next = blocks_.next(tail);
		blocks_.clear(tail);
		if (!(content & has_next))
			break;
	}
	blocks_.forget(hash, tail);
	ready_.close({hash, count, reason});
	stats_.released[reason]++;
	groups_--;
	waiting_ -= count;
	waiting_bytes_ -= bytes;
	ready_groups_++;
	ready_packets_ += count;
}

// To the oldest group that waits. False: there is none.
bool BlockStage::pass_gone()
{
	while (blocks_.rel != blocks_.nb && !blocks_.is_head(blocks_.rel))
		blocks_.rel++;
	return blocks_.rel != blocks_.nb;
}

void BlockStage::make_all_ready(reframer_reason reason)
{
	read_all_headers();
	while (pass_gone())
		take_out(blocks_.rel, reason);
}

uint32_t BlockStage::release_bucket(uint32_t mask, uint32_t value)
{
	read_all_headers();
	uint32_t nb_groups = 0;
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++) {
		if (!blocks_.is_head(at) || (blocks_.hash(at) & mask) != value)
			continue;
		take_out(at, REFRAMER_BY_DRAIN);
		nb_groups++;
	}
	return nb_groups;
}

// From the last group back, so that none is due after one behind it.
void BlockStage::lower_deadlines(uint64_t delay_ns)
{
	uint64_t latest = UINT64_MAX;
	for (uint32_t at = blocks_.nb; at-- != blocks_.rel;) {
		if (!blocks_.is_head(at))
			continue;
		uint64_t &deadline = blocks_.deadline(at);
		const uint64_t arrival = now_ - hold_of(blocks_.block(at).entry[0].meta, now_);
		deadline = latest = std::min({latest, deadline, arrival + delay_ns});
	}
}

uint64_t BlockStage::earliest_deadline() const
{
	uint64_t earliest = UINT64_MAX;
	if (unread_head_ != unread_tail_)
		earliest = unread_.arrival[unread_head_ % nb_unread] + delay_;
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++)
		if (blocks_.is_head(at))
			return std::min(earliest, blocks_.deadline(at));
	return earliest;
}

} // namespace reframer::stage
