// The two loops that every packet goes through. Compiled once for each instruction set, see
// meson.build: in a namespace of its own, REFRAMER_ISA, as the linker keeps one function of a name.
//
// What is rare (a full bucket, a group that reaches max_burst) is left to the stage.
#include "reframer/blocks/blocks.hpp"
#include "reframer/blocks/lanes.hpp"
#include "reframer/blocks/place_in_turn.hpp"
#include "reframer/blocks/take.hpp"
#if defined(__AVX512VPOPCNTDQ__) && defined(__AVX512CD__) && defined(__AVX512BW__)
#include "reframer/blocks/place_at_once.hpp"
#define REFRAMER_PLACES_AT_ONCE
#endif
#include "reframer/output.hpp"

#include <bit>

namespace reframer::stage {

namespace REFRAMER_ISA {

// Of fewer packets each costs less by itself than its share of what a batch costs.
[[maybe_unused]] constexpr uint32_t least_at_once = 16;

Placed place(Blocks &blocks, const Batch &batch)
{
#ifdef REFRAMER_PLACES_AT_ONCE
	if (batch.count >= least_at_once)
		return place_at_once(blocks, batch);
#endif
	return place_in_turn(blocks, batch);
}

// A group of more than one block, whole. @return its packets; 0: there is no room.
uint32_t emit_long(Blocks &blocks, uint32_t head, void **packets, uint32_t room, Account &account)
{
	const uint32_t tail = blocks.tail_of(head), total = blocks.count(tail);
	// What is written beyond a block is overwritten by the next one, but for the last.
	if (total + block_packets > room)
		return 0;
	// Its word of the table would seem to be live, as the last block is in the window. Groups that no
	// hash finds have none.
	const uint32_t hash = blocks.hash(head);
	Bucket &bucket = blocks.table.bucket(blocks.bucket_of(hash));
	const uint32_t same = look(bucket, hash, Window(blocks.rel, blocks.nb - blocks.rel)).same;
	const uint32_t way = static_cast<uint32_t>(std::countr_zero(same | 1u << 7));
	const bool known = same != 0 && blocks.position_of(bucket.head[way]) == tail;
	bucket.head[way] = known ? blocks.dead_word() : bucket.head[way];
	for (uint32_t at = head;;) {
		const uint32_t n = packets_in_block(blocks.content(at)), next = blocks.next(at);
		copy_block(blocks.block(at), n, packets, account.room());
		account.take(n);
		packets += n;
		blocks.clear(at);
		if (at == tail)
			return total;
		at = next;
	}
}

Given emit(Blocks &blocks, Output &out, uint64_t now, uint64_t limit, reframer_reason reason,
           uint64_t last_hash, Histograms &histograms)
{
	Account account(now, last_hash, histograms);
	const uint32_t first_packet = out.nb_packets, nb = blocks.nb;
	Given given;
	uint32_t rel = blocks.rel;
	while (rel != nb && !out.full() && blocks.deadline(rel) <= limit) {
		const uint32_t content = blocks.content(rel), room = out.room - out.nb_packets;
		uint32_t count = content;
		if ((content & (has_next | is_behind)) == has_next) {
			const uint32_t hash = blocks.hash(rel);
			count = emit_long(blocks, rel, out.packets + out.nb_packets, room, account);
			if (count == 0)
				break;
			store_run(out.runs[out.nb_runs++], out.nb_packets, count, hash, reason);
			account.see(hash);
		} else if (const Taken taken = take_heads(blocks, rel, limit, reason, out, account);
		           taken.blocks > 0) {
			rel += taken.blocks;
			given.groups += taken.groups;
			continue;
		} else if (content & is_behind || content == 0) {
			rel++;
			continue;
		} else { // near the end of the caller's array
			if (content > room)
				break;
			const Entry *const entry = blocks.block(rel).entry;
			for (uint32_t i = 0; i < content; i++) {
				out.packets[out.nb_packets + i] = entry[i].packet;
				account.room()[i] = entry[i].meta;
			}
			account.take(content);
			store_run(out.runs[out.nb_runs++], out.nb_packets, content, blocks.hash(rel), reason);
			account.see(blocks.hash(rel));
		}
		out.nb_packets += count;
		given.groups++;
		rel++;
	}
	account.close();
	blocks.rel = rel;
	given.changes = account.changes;
	given.last_hash = account.last_hash;
	given.packets = out.nb_packets - first_packet;
	given.bytes = account.bytes;
	given.longest_hold = account.longest_hold;
	return given;
}

} // namespace REFRAMER_ISA

const Kernel REFRAMER_KERNEL = {REFRAMER_ISA::place, REFRAMER_ISA::emit, REFRAMER_KERNEL_NAME};

} // namespace reframer::stage
