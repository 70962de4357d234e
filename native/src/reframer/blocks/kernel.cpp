// The two loops that every packet goes through. Compiled once for each instruction set, see
// meson.build: in a namespace of its own, REFRAMER_ISA, as the linker keeps one function of a name.
//
// What is rare (a full bucket, a group that reaches max_burst) is left to the stage.
#include "reframer/blocks/account.hpp"
#include "reframer/blocks/blocks.hpp"
#include "reframer/blocks/lanes.hpp"
#include "reframer/blocks/place_in_turn.hpp"
#if defined(__AVX512VPOPCNTDQ__) && defined(__AVX512CD__) && defined(__AVX512BW__)
#include "reframer/blocks/place_at_once.hpp"
#define REFRAMER_PLACES_AT_ONCE
#endif
#include "reframer/output.hpp"

#include <algorithm>
#include <cstring>

namespace reframer::stage {

namespace REFRAMER_ISA {

// Of fewer packets each costs less by itself than its share of what a batch costs.
[[maybe_unused]] constexpr uint32_t least_at_once = 5;

Placed place(Blocks &blocks, const Batch &batch)
{
#ifdef REFRAMER_PLACES_AT_ONCE
	if (batch.count > batch_packets / 2)
		return place_at_once<2>(blocks, batch);
	if (batch.count >= least_at_once)
		return place_at_once<1>(blocks, batch);
#endif
	return place_in_turn(blocks, batch);
}

[[gnu::always_inline]] inline void store_run(reframer_run &run, uint32_t first, uint32_t count,
                                             uint32_t hash, uint32_t reason)
{
	const uint64_t words[2] = {first | uint64_t{count} << 32, hash | uint64_t{reason} << 32};
	static_assert(sizeof run == sizeof words);
	std::memcpy(&run, words, sizeof words);
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
	blocks.forget(blocks.hash(head), tail);
	for (uint32_t at = head;;) {
		const uint32_t n = packets_in_block(blocks.content(at)), next = blocks.next(at);
		account.make_room();
		account.copy(blocks.block(at), n, packets);
		packets += n;
		blocks.clear(at);
		if (at == tail)
			return total;
		at = next;
	}
}

// Groups in a row of one block each, as long as they are due and surely fit; blocks that are gone or
// behind another one are passed over. No branch depends on how many packets a group has.
struct Taken {
	uint32_t rel, packets, runs;
};
[[gnu::always_inline]] inline Taken take_row(const Blocks &blocks, uint32_t rel, uint64_t limit,
                                             uint32_t reason, const Output &out, Account &account)
{
	const Block *const from = blocks.blocks;
	const uint64_t *const deadlines = blocks.deadlines;
	const uint32_t *const contents = blocks.contents, *const hashes = blocks.hashes;
	const uint32_t nb = blocks.nb, mask = blocks.mask, run_room = out.run_room - out.nb_runs;
	const uint32_t room = std::min(out.room - out.nb_packets, account.make_room());
	void **const packets = out.packets + out.nb_packets;
	reframer_run *const runs = out.runs + out.nb_runs;
	uint32_t o = 0, r = 0, at = rel;
	for (; at != nb && r < run_room && o + block_packets <= room; at++) {
		const uint32_t slot = at & mask, content = contents[slot];
		if (deadlines[slot] > limit || (content & (has_next | is_behind)) == has_next)
			break;
		const uint32_t count = content & is_behind ? 0 : content;
		account.copy(from[slot], count, packets + o);
		store_run(runs[r], out.nb_packets + o, count, hashes[slot], reason);
		r += count != 0;
		o += count;
	}
	return {at, o, r};
}

Given emit(Blocks &blocks, Output &out, uint64_t now, uint64_t limit, reframer_reason reason,
           uint64_t last_hash, HoldLog &holds, Histograms &histograms)
{
	Account account(now, holds, histograms);
	const uint32_t first_packet = out.nb_packets, first_run = out.nb_runs, nb = blocks.nb;
	uint32_t rel = blocks.rel;
	while (rel != nb && !out.full() && blocks.deadline(rel) <= limit) {
		const uint32_t content = blocks.content(rel), room = out.room - out.nb_packets;
		uint32_t count = content;
		if ((content & (has_next | is_behind)) == has_next) {
			count = emit_long(blocks, rel, out.packets + out.nb_packets, room, account);
			if (count == 0)
				break;
		} else if (const Taken taken = take_row(blocks, rel, limit, reason, out, account);
		           taken.rel != rel) {
			rel = taken.rel;
			out.nb_packets += taken.packets;
			out.nb_runs += taken.runs;
			continue;
		} else if (content & is_behind || content == 0) {
			rel++;
			continue;
		} else { // near the end of the caller's array
			if (content > room)
				break;
			void *packets[block_packets];
			account.copy(blocks.block(rel), content, packets);
			std::copy_n(packets, content, out.packets + out.nb_packets);
		}
		store_run(out.runs[out.nb_runs++], out.nb_packets, count, blocks.hash(rel), reason);
		out.nb_packets += count;
		rel++;
	}
	blocks.rel = rel;
	Given given;
	given.packets = out.nb_packets - first_packet;
	given.groups = out.nb_runs - first_run;
	for (uint32_t i = first_run; i < out.nb_runs; i++) {
		given.changes += out.runs[i].hash != last_hash;
		last_hash = out.runs[i].hash;
	}
	given.last_hash = last_hash;
	given.bytes = account.bytes();
	given.longest_hold = account.longest;
	return given;
}

} // namespace REFRAMER_ISA

const Kernel REFRAMER_KERNEL = {REFRAMER_ISA::place, REFRAMER_ISA::emit, REFRAMER_KERNEL_NAME};

} // namespace reframer::stage
