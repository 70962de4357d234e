// Memory of the ring: laid out at create for what may be held, used as far as what is held needs, as a
// ring that goes around in all of it would bring each block from memory.
#include "reframer/blocks/block_stage.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace reframer::stage {

namespace {

constexpr uint32_t nb_slots_min = 128;
// Positions go around soon, so that nothing can depend on their not doing so.
constexpr uint32_t first_position = 0u - 1000;
// A ring that is used to an eighth for so many polls shrinks: long enough not to follow each burst.
constexpr uint32_t quiet_polls_needed = 1024;
// Entries of the table that fell out of the window seem to be in it again when positions have gone
// around; each is looked at before half of that.
constexpr uint32_t sweep_period = 1u << (position_bits - 2);

} // namespace

const Kernel &choose_kernel()
{
#if defined(__x86_64__)
	const char *const named = std::getenv("REFRAMER_KERNEL");
	const std::string_view name = named ? named : "";
	const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
	                    __builtin_cpu_supports("avx512cd") &&
	                    __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("bmi2");
	const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
	if (avx512 && name != "avx2" && name != "scalar")
		return kernel_avx512;
	if (avx2 && name != "scalar")
		return kernel_avx2;
#endif
	return kernel_scalar;
}

int BlockStage::init(const reframer_params &params)
{
	lookahead_ = params.lookahead;
	kernel_ = &choose_kernel();
	// A third of a full ring at least are blocks that are gone, so that closing their gaps costs a
	// constant each.
	nb_slots_max_ = std::bit_ceil(max_packets_ + max_packets_ / 2 + 2 * chunk);
	nb_buckets_most_ = BlockTable::most_buckets_for(max_packets_);
	// All that is held may be ready.
	const uint32_t nb_ready = std::bit_ceil(2 * max_packets_);
	const size_t buckets_at = arena_.reserve<BlockBucket>(nb_buckets_most_);
	const size_t deadlines_at = arena_.reserve<uint64_t>(nb_slots_max_);
	size_t words_at[4]; // hashes, contents, heads, nexts
	for (size_t &at : words_at)
		at = arena_.reserve<uint32_t>(nb_slots_max_);
	const size_t blocks_at = arena_.reserve<Block>(nb_slots_max_);
	const size_t moved_at = arena_.reserve<uint32_t>(nb_slots_max_);
	const size_t entries_at = arena_.reserve<Entry>(nb_ready);
	const size_t groups_at = arena_.reserve<ReadyGroup>(nb_ready);
	if (!arena_.allocate())
		return -ENOMEM;
	blocks_.rel = blocks_.nb = first_position;
	blocks_.table.init(arena_.at<BlockBucket>(buckets_at), seed_);
	blocks_.deadlines = arena_.at<uint64_t>(deadlines_at);
	blocks_.hashes = arena_.at<uint32_t>(words_at[0]);
	blocks_.contents = arena_.at<uint32_t>(words_at[1]);
	blocks_.heads = arena_.at<uint32_t>(words_at[2]);
	blocks_.nexts = arena_.at<uint32_t>(words_at[3]);
	blocks_.blocks = arena_.at<Block>(blocks_at);
	blocks_.mask = std::min(nb_slots_min, nb_slots_max_) - 1;
	moved_ = arena_.at<uint32_t>(moved_at);
	ready_.init(arena_.at<Entry>(entries_at), arena_.at<ReadyGroup>(groups_at), nb_ready);
	resize_table(BlockTable::nb_buckets_for(blocks_.mask + 1));
	return 0;
}

void BlockStage::make_room(uint32_t nb_blocks)
{
	const auto lacks = [&] { return blocks_.nb - blocks_.rel + nb_blocks > blocks_.mask + 1; };
	if (!lacks()) [[likely]]
		return;
	pass_gone();
	while (lacks() && blocks_.mask + 1 < nb_slots_max_)
		resize(2 * (blocks_.mask + 1));
	if (lacks())
		close_gaps();
}

// A block's slot is its position in the new ring; the window fits, so that none is in another's way.
void BlockStage::resize(uint32_t nb_slots)
{
	const uint32_t mask = nb_slots - 1;
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++) {
		const uint32_t from = at & blocks_.mask, to = at & mask;
		if (from != to)
			blocks_.move(from, to);
	}
	blocks_.mask = mask;
	quiet_polls_ = 0;
	resize_table(BlockTable::nb_buckets_for(nb_slots));
}

// The groups that it holds come into one of the new size.
void BlockStage::resize_table(uint32_t wanted)
{
	const uint32_t nb_buckets = std::min(wanted, nb_buckets_most_);
	if (nb_buckets == blocks_.table.nb_buckets())
		return;
	constexpr uint32_t is_known = 1;
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++)
		moved_[at & blocks_.mask] = blocks_.content(at) != 0 && blocks_.is_last(at) &&
		                            blocks_.in_table(blocks_.hash(at), at);
	blocks_.table.clear(nb_buckets, blocks_.dead_word());
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++)
		if (moved_[at & blocks_.mask] == is_known && blocks_.content(at) != 0)
			enter(at);
	swept_ = 0;
	sweep_step_ = sweep_period / nb_buckets;
	sweep_next_ = blocks_.nb + sweep_step_;
}

void BlockStage::enter(uint32_t tail)
{
	const uint32_t hash = blocks_.hash(tail);
	BlockBucket &bucket = blocks_.table.bucket(blocks_.bucket_of(hash));
	BlockBucket::Way *way = blocks_.find_vacant(bucket);
	if (!way) {
		make_way(bucket);
		way = blocks_.find_vacant(bucket);
	}
	*way = {hash, pack_group(tail, blocks_.count(tail))};
}

void BlockStage::shrink()
{
	const uint32_t nb_slots = blocks_.mask + 1;
	if (nb_slots <= nb_slots_min || blocks_.nb - blocks_.rel > nb_slots / 8) {
		quiet_polls_ = 0;
		return;
	}
	if (++quiet_polls_ == quiet_polls_needed)
		resize(nb_slots / 2);
}

// Full of blocks that are gone: those that are not move up. Fragments that wait for their first one
// leave, as no table knows where they are.
void BlockStage::close_gaps()
{
	uint32_t to = blocks_.rel;
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++) {
		if (blocks_.is_head(at) && !blocks_.in_table(blocks_.hash(at), blocks_.tail_of(at)))
			take_out(at, REFRAMER_BY_CAPACITY);
		moved_[at & blocks_.mask] = to;
		to += blocks_.content(at) != 0;
	}
	for (uint32_t at = blocks_.rel; at != blocks_.nb; at++) {
		const uint32_t slot = at & blocks_.mask, position = moved_[slot];
		const uint32_t content = blocks_.contents[slot], hash = blocks_.hashes[slot];
		if (content == 0)
			continue;
		if (content & has_next) {
			blocks_.nexts[slot] = moved_[blocks_.nexts[slot] & blocks_.mask];
		} else { // the last of its group: the table leads to it
			blocks_.find(hash)->word = pack_group(position, content & packets_mask);
		}
		if (content & is_behind)
			blocks_.heads[slot] = moved_[blocks_.heads[slot] & blocks_.mask];
		if (position != at)
			blocks_.move(slot, position & blocks_.mask);
	}
	blocks_.nb = to;
}

void BlockStage::forget_old()
{
	while (static_cast<int32_t>(blocks_.nb - sweep_next_) >= 0) {
		for (BlockBucket::Way &way : blocks_.table.bucket(swept_).way)
			if (!blocks_.live_word(way.word))
				way.word = blocks_.dead_word();
		swept_ = (swept_ + 1) % blocks_.table.nb_buckets();
		sweep_next_ += sweep_step_;
	}
}

} // namespace reframer::stage
