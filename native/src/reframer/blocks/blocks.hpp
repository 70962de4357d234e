// Where held packets are: blocks of up to eight of one group, in a ring, in the order in which they
// were begun. All groups wait equally long, so the ring is also the order in which they are due: a
// group is due, and leaves the table, by falling out of the window [rel, nb), and nothing is linked,
// cleared or freed for it. The ring is no larger than what is held needs, which keeps it in the
// caches; positions run on and wrap.
#pragma once

#include "reframer/blocks/block_table.hpp"
#include "reframer/reframer.h"

#include <cstdint>

namespace reframer::stage {

inline constexpr uint32_t block_packets = 8;
// Packets whose groups are looked up before the first of them is placed: a bit each in a word.
inline constexpr uint32_t batch_packets = 32;

// Length and arrival in one word. Lengths are below 16 MiB (a longer one counts as that), arrivals
// are known to 2^40 ns, 18 minutes.
inline constexpr uint32_t length_bits = 24;
inline constexpr uint32_t longest_length = (1u << length_bits) - 1;
constexpr uint64_t pack_meta(uint64_t arrival, uint32_t length)
{
	return arrival << length_bits | (length < longest_length ? length : longest_length);
}
constexpr uint32_t length_of(uint64_t meta)
{
	return static_cast<uint32_t>(meta) & longest_length;
}
constexpr uint64_t hold_of(uint64_t meta, uint64_t now)
{
	return (now - (meta >> length_bits)) << length_bits >> length_bits;
}

struct Entry {
	void *packet;
	uint64_t meta;
};

struct alignas(64) Block {
	Entry entry[block_packets];
};
static_assert(sizeof(Block) == 128, "the first half of a group is one line");

// The word that says what a block holds: packets of the group up to its end (0: they are gone), and
// where in the group it is. What is neither behind another one nor gone is a head: what polls look
// for.
inline constexpr uint32_t has_next = 1u << 31, is_behind = 1u << 30, packets_mask = is_behind - 1;

constexpr uint32_t packets_in_block(uint32_t content)
{
	const uint32_t count = content & packets_mask;
	return count == 0 ? 0 : (count - 1) % block_packets + 1;
}

// What the table knows of a group: the position of its last block, as far as positions in the window
// differ, and how many packets it has. Of longer groups only what their last block holds is exact.
inline constexpr uint32_t count_bits = 10, position_bits = 32 - count_bits;
inline constexpr uint32_t count_mask = (1u << count_bits) - 1;
inline constexpr uint32_t long_group = count_mask + 1 - block_packets;
constexpr uint32_t pack_group(uint32_t position, uint32_t count)
{
	return position << count_bits |
	       (count < long_group ? count : long_group + count % block_packets);
}

// Shared by the kernels and the stage.
struct Blocks {
	// By slot. An array for each member: what polls look through are vectors.
	Block *blocks = nullptr;
	uint64_t *deadlines = nullptr; // of heads; 0 where a poll is to pass over
	uint32_t *hashes = nullptr;    // of groups
	uint32_t *contents = nullptr;
	uint32_t *heads = nullptr; // position of the group's first block; of those behind another one
	uint32_t *nexts = nullptr; // position of the block behind this one; of those that have one
	uint32_t mask = 0;         // of the ring as it is now
	uint32_t rel = 0, nb = 0;  // the window; words of the table outside of it are vacant
	BlockTable table;          // hash -> word of the group
	bool nic_hash = false;     // who sends may know it: buckets are keyed
	uint32_t begun = 0;        // blocks of the last batch: so many are asked for at the next one

	Block &block(uint32_t position) { return blocks[position & mask]; }
	const Block &block(uint32_t position) const { return blocks[position & mask]; }
	uint32_t &content(uint32_t position) { return contents[position & mask]; }
	uint32_t content(uint32_t position) const { return contents[position & mask]; }
	uint64_t &deadline(uint32_t position) { return deadlines[position & mask]; }
	uint64_t deadline(uint32_t position) const { return deadlines[position & mask]; }
	uint32_t hash(uint32_t position) const { return hashes[position & mask]; }
	uint32_t next(uint32_t position) const { return nexts[position & mask]; }
	// Of all blocks of the group up to this one.
	uint32_t count(uint32_t position) const { return content(position) & packets_mask; }
	bool is_head(uint32_t position) const
	{
		return (content(position) & is_behind) == 0 && content(position) != 0;
	}
	bool is_last(uint32_t position) const { return (content(position) & has_next) == 0; }
	uint32_t head_of(uint32_t position) const
	{
		return content(position) & is_behind ? heads[position & mask] : position;
	}
	uint32_t tail_of(uint32_t head) const
	{
		while (!is_last(head))
			head = next(head);
		return head;
	}
	void begin(uint32_t position, uint64_t due, uint32_t hash)
	{
		deadlines[position & mask] = due;
		hashes[position & mask] = hash;
	}
	// A block of the same group behind `front`.
	void begin_behind(uint32_t position, uint32_t front)
	{
		begin(position, 0, hash(front));
		heads[position & mask] = head_of(front);
		nexts[front & mask] = position;
		content(front) |= has_next;
	}
	void move(uint32_t slot, uint32_t to)
	{
		blocks[to] = blocks[slot];
		deadlines[to] = deadlines[slot];
		hashes[to] = hashes[slot];
		contents[to] = contents[slot];
		heads[to] = heads[slot];
		nexts[to] = nexts[slot];
	}
	void clear(uint32_t position)
	{
		deadline(position) = 0;
		content(position) = 0;
	}
	bool live(uint32_t position) const { return position - rel < nb - rel; }
	// Of words of the table.
	bool live_word(uint32_t word) const
	{
		return word - (rel << count_bits) < (nb - rel) << count_bits;
	}
	uint32_t position_of(uint32_t word) const
	{
		return rel + (((word >> count_bits) - rel) & ((1u << position_bits) - 1));
	}
	uint32_t dead_word() const { return (rel - 1) << count_bits; }
	uint32_t bucket_of(uint32_t hash) const
	{
		return nic_hash ? table.bucket_of(hash) : table.bucket_of_keyed(hash);
	}
	// The way that holds a group. NULL: none does.
	BlockBucket::Way *find(BlockBucket &bucket, uint32_t hash) const
	{
		for (BlockBucket::Way &way : bucket.way)
			if (live_word(way.word) && way.hash == hash)
				return &way;
		return nullptr;
	}
	BlockBucket::Way *find(uint32_t hash) { return find(table.bucket(bucket_of(hash)), hash); }
	BlockBucket::Way *find_vacant(BlockBucket &bucket) const
	{
		for (BlockBucket::Way &way : bucket.way)
			if (!live_word(way.word))
				return &way;
		return nullptr;
	}
	bool in_table(uint32_t hash, uint32_t tail)
	{
		const BlockBucket::Way *const way = find(hash);
		return way && position_of(way->word) == tail;
	}
	// A group that leaves while its last block is in the window.
	void forget(uint32_t hash, uint32_t tail)
	{
		BlockBucket::Way *const way = find(hash);
		if (way && position_of(way->word) == tail)
			way->word = dead_word();
	}
};

// Packets that came in one push, with the hashes of their groups; at most batch_packets.
struct Batch {
	void *const *packets;
	const uint32_t *hash;
	const uint32_t *length; // NULL: 0
	uint32_t count;
	uint32_t max_burst;
	uint64_t arrival, deadline;

	Entry entry(uint32_t i) const
	{
		return {packets[i], pack_meta(arrival, length ? length[i] : 0)};
	}
	Batch part(uint32_t first, uint32_t nb) const
	{
		return {packets + first, hash + first, length ? length + first : nullptr, nb, max_burst,
		        arrival,         deadline};
	}
};

struct Placed {
	uint32_t packets; // from the front; the next one needs more than a place
	uint32_t new_groups;
	uint32_t changes; // of the hash, from packet to packet
	uint64_t bytes;
};

// What a poll gave out.
struct Given {
	uint32_t packets = 0, groups = 0;
	uint32_t changes = 0; // of the hash, from run to run
	uint64_t bytes = 0, longest_hold = 0;
	uint64_t last_hash = 0;
};

struct Output;

// Hold times of packets that left, ns: counted when some are together, as reading at once what was
// just written in other portions waits for it. Those beyond 2^32 ns do not come here.
struct HoldLog {
	static constexpr uint32_t room = 512;
	uint32_t nb = 0;
	alignas(64) uint32_t ns[room + block_packets];
};

using Histograms = uint64_t[4][REFRAMER_HISTOGRAM_BUCKETS];

// The two loops that every packet goes through, for one instruction set. All do the same.
struct Kernel {
	// Room in the ring for all of the batch must be there.
	Placed (*place)(Blocks &blocks, const Batch &batch);
	// Heads that are due, as long as whole groups fit.
	Given (*emit)(Blocks &blocks, Output &out, uint64_t now, uint64_t limit, reframer_reason reason,
	              uint64_t last_hash, HoldLog &holds, Histograms &histograms);
	const char *name;
};
extern const Kernel kernel_scalar, kernel_avx2, kernel_avx512;

// The best that this processor has, or what REFRAMER_KERNEL names: scalar, avx2, avx512.
const Kernel &choose_kernel();

} // namespace reframer::stage
