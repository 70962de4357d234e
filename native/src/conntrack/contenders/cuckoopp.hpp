// Cuckoo++ (Le Scouarnec, ANCS'18): bucketised cuckoo hashing whose primary buckets know, by a
// small Bloom filter, which of their keys have moved to the secondary bucket. Written from the
// paper's description: 64-byte buckets of eight tags, filter, count of moved keys and the hashes
// that lead to the other bucket; keys and values in a store of their own, at the slot's place. With
// timers, 16-bit deadlines of a bucket's entries lie beside it, 80 bytes in all, and a bucket that
// is full gives the place of a dead entry to a new one.
#pragma once

#include "base/pages.hpp"
#include "conntrack/contenders/key_words.hpp"
#include "conntrack/contenders/tracker.hpp"

#include <algorithm>
#include <bit>
#include <immintrin.h>
#include <new>

namespace reframer::conntrack {

struct alignas(64) CuckooBucket {
	uint16_t tag[8];
	uint64_t filter; // keys at home here that live in their other bucket
	uint32_t nb_moved;
	uint8_t used;  // bit per slot
	uint8_t guest; // bit per slot: its home is the other bucket
	uint16_t unused;
	uint32_t other[8]; // hash that leads to the slot's other bucket
};
static_assert(sizeof(CuckooBucket) == 64);

// Ticks: longest timeout, and at most as long no bucket may go without a look at its timers.
constexpr uint32_t cuckoo_timeout_limit = 1 << 14;

struct alignas(16) CuckooTimers {
	uint16_t due[8]; // tick at which the slot's entry is dead, modulo 2^16
};

template <unsigned Size> class CuckooTable {
public:
	using Key = KeyWords<Size>;
	struct Record {
		Key key;
		uint64_t value;
	};
	struct Hash {
		uint32_t home, other;
		uint16_t tag() const { return static_cast<uint16_t>(home >> 16 ^ home); }
	};

	CuckooTable(const TrackerOptions &options, bool timers)
		: depth_(options.depth), look_ahead_(options.look_ahead && options.depth > 1)
	{
		// Full is 95 % here (the paper's claim); sizes are powers of two because of the masks.
		uint64_t slots = options.power_of_two ? options.flows : options.flows * 100 / 95;
		uint64_t buckets = std::bit_ceil(std::max<uint64_t>(slots, 64)) / 8;
		mask_ = static_cast<uint32_t>(buckets - 1);
		if (!bucket_pages_.map(buckets * sizeof(CuckooBucket)) ||
		    !record_pages_.map(buckets * 8 * stride) ||
		    (timers && !timer_pages_.map(buckets * sizeof(CuckooTimers))))
			throw std::bad_alloc();
		buckets_ = reinterpret_cast<CuckooBucket *>(bucket_pages_.data());
		timers_ = reinterpret_cast<CuckooTimers *>(timer_pages_.data());
	}

	uint32_t depth() const { return depth_; }
	bool looks_ahead() const { return depth_ > 1; }
	uint64_t flows() const { return flows_; }
	uint32_t nb_buckets() const { return mask_ + 1; }
	size_t bytes() const
	{
		return bucket_pages_.bytes() + record_pages_.bytes() + timer_pages_.bytes();
	}

	// Of a record's entry. Only with timers.
	uint16_t &due(const Record *record)
	{
		size_t place = place_of(record);
		return timers_[place / 8].due[place % 8];
	}
	void erase(const Record *record)
	{
		size_t place = place_of(record);
		erase_slot(static_cast<uint32_t>(place / 8), static_cast<uint32_t>(place % 8));
	}
	// Takes out the bucket's entries that are due at `tick`. @return bit per slot.
	uint32_t bury(uint32_t bucket, uint16_t tick)
	{
		__m128i late =
			_mm_sub_epi16(_mm_set1_epi16(static_cast<short>(tick)),
		                  _mm_load_si128(reinterpret_cast<const __m128i *>(timers_[bucket].due)));
		__m128i is_due = _mm_cmpgt_epi16(late, _mm_set1_epi16(-1));
		uint32_t dead = static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(is_due, is_due))) &
		                buckets_[bucket].used;
		for (uint32_t m = dead; m; m &= m - 1)
			erase_slot(bucket, static_cast<uint32_t>(std::countr_zero(m)));
		return dead;
	}
	// Calls `visit(due)` for each entry; takes it out where that says so.
	template <typename Visit> void each_entry(Visit visit)
	{
		for (uint32_t b = 0; b <= mask_; b++)
			for (uint32_t m = buckets_[b].used; m; m &= m - 1) {
				auto slot = static_cast<uint32_t>(std::countr_zero(m));
				if (visit(timers_[b].due[slot]))
					erase_slot(b, slot);
			}
	}

	Record *lookup(const Key &key, Hash hash)
	{
		uint32_t home = hash.home & mask_;
		if (Record *r = in_bucket(home, hash.tag(), key))
			return r;
		uint64_t bits = filter_bits(hash.other);
		if ((buckets_[home].filter & bits) != bits)
			return nullptr;
		return in_bucket(hash.other & mask_, hash.tag(), key);
	}

	// Runs `step` key by key; where it takes several at once, after hashing all, prefetching all
	// buckets, matching all tags and prefetching all records. Looking ahead, the records of one piece
	// come while the keys of the next are hashed.
	template <typename Step> void each(const uint8_t *keys, uint32_t n, Step step)
	{
		const auto key_at = [keys](uint32_t i) { return Key::load(keys + size_t{i} * Size); };
		if (depth_ == 1) {
			for (uint32_t i = 0; i < n; i++)
				step(i, key_at(i), hash_of(key_at(i)));
			return;
		}
		Hash hashes[2][tracker_max_depth];
		const auto hashes_of = [&](uint32_t first) { return hashes[first / depth_ % 2]; };
		in_pieces(
			n, depth_, look_ahead_,
			[&](uint32_t first, uint32_t count) {
				if (look_ahead_ && first > 0)
					ask_records(hashes_of(first - depth_), depth_);
				Hash *const h = hashes_of(first);
				for (uint32_t i = 0; i < count; i++) {
					h[i] = hash_of(key_at(first + i));
					_mm_prefetch(&buckets_[h[i].home & mask_], _MM_HINT_T0);
					if (timers_)
						_mm_prefetch(&timers_[h[i].home & mask_], _MM_HINT_T0);
				}
			},
			[&](uint32_t first, uint32_t count) {
				const Hash *const h = hashes_of(first);
				if (!look_ahead_ || first + count == n) // nothing comes behind them
					ask_records(h, count);
				for (uint32_t i = 0; i < count; i++)
					step(first + i, key_at(first + i), h[i]);
			});
	}

	// NULL: no room. With timers, dead entries make room at `tick`.
	Record *insert(const Key &key, Hash hash, uint16_t tick = 0)
	{
		uint32_t home = hash.home & mask_, other = hash.other & mask_;
		if (has_room(home, tick))
			return place(home, key, hash, false);
		if (has_room(other, tick) || (make_hole(other, tick) && other != home))
			return place(other, key, hash, true);
		if (make_hole(home, tick))
			return place(home, key, hash, false);
		return nullptr;
	}

private:
	// Where the tag is found, or else where the filter leads to.
	void ask_records(const Hash *hashes, uint32_t count)
	{
		asm volatile(""); // gcc drops calls of what only prefetches
		for (uint32_t i = 0; i < count; i++) {
			const uint32_t home = hashes[i].home & mask_;
			const uint64_t bits = filter_bits(hashes[i].other);
			if (const uint32_t m = match(buckets_[home], hashes[i].tag()))
				_mm_prefetch(&record_at(home, static_cast<uint32_t>(std::countr_zero(m))),
				             _MM_HINT_T0);
			else if ((buckets_[home].filter & bits) == bits)
				_mm_prefetch(&buckets_[hashes[i].other & mask_], _MM_HINT_T0);
		}
	}
	// Stride of the store: a power of two, as in the original, so that records straddle no line.
	static constexpr size_t stride = std::bit_ceil(sizeof(Record));

	size_t place_of(const Record *record) const
	{
		return static_cast<size_t>(reinterpret_cast<const uint8_t *>(record) -
		                           record_pages_.data()) /
		       stride;
	}
	void erase_slot(uint32_t bucket, uint32_t slot)
	{
		CuckooBucket &b = buckets_[bucket];
		auto bit = static_cast<uint8_t>(1u << slot);
		if (b.guest & bit)
			forget_moved(buckets_[b.other[slot] & mask_]);
		b.used &= static_cast<uint8_t>(~bit);
		b.guest &= static_cast<uint8_t>(~bit);
		flows_--;
	}
	bool has_room(uint32_t bucket, uint16_t tick)
	{
		return buckets_[bucket].used != 0xff || (timers_ && bury(bucket, tick));
	}

	static Hash hash_of(const Key &key)
	{
		return {crc_hash(key), crc_hash_reverse(key, reverse_seed)};
	}
	Record &record_at(uint32_t bucket, uint32_t slot)
	{
		return *reinterpret_cast<Record *>(record_pages_.data() +
		                                   (size_t{bucket} * 8 + slot) * stride);
	}
	// Two bits of 64, from the hash that leads elsewhere.
	static uint64_t filter_bits(uint32_t other)
	{
		return uint64_t{1} << (other >> 26) | uint64_t{1} << (other >> 20 & 63);
	}
	static void forget_moved(CuckooBucket &home)
	{
		if (--home.nb_moved == 0)
			home.filter = 0;
	}
	static uint32_t match(const CuckooBucket &b, uint16_t tag)
	{
		__m128i tags = _mm_load_si128(reinterpret_cast<const __m128i *>(b.tag));
		__m128i equal = _mm_cmpeq_epi16(tags, _mm_set1_epi16(static_cast<short>(tag)));
		return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(equal, equal))) & b.used;
	}

	Record *in_bucket(uint32_t bucket, uint16_t tag, const Key &key)
	{
		for (uint32_t m = match(buckets_[bucket], tag); m; m &= m - 1) {
			Record &r = record_at(bucket, static_cast<uint32_t>(std::countr_zero(m)));
			if (r.key == key)
				return &r;
		}
		return nullptr;
	}

	Record *place(uint32_t bucket, const Key &key, Hash hash, bool as_guest)
	{
		CuckooBucket &b = buckets_[bucket];
		auto slot = static_cast<uint32_t>(std::countr_one(b.used));
		fill(b, slot, hash.tag(), as_guest ? hash.home : hash.other, as_guest);
		if (as_guest)
			note_moved(buckets_[hash.home & mask_], hash.other);
		Record &r = record_at(bucket, slot);
		r.key = key;
		flows_++;
		return &r;
	}
	static void fill(CuckooBucket &b, uint32_t slot, uint16_t tag, uint32_t other, bool as_guest)
	{
		auto bit = static_cast<uint8_t>(1u << slot);
		b.tag[slot] = tag;
		b.other[slot] = other;
		b.used |= bit;
		b.guest = static_cast<uint8_t>(as_guest ? b.guest | bit : b.guest & ~bit);
	}
	static void note_moved(CuckooBucket &home, uint32_t other)
	{
		home.nb_moved++;
		home.filter |= filter_bits(other);
	}

	// Breadth-first search for a bucket with room, then moves entries along the path so that
	// `bucket` has a hole. At most 512 buckets are looked at, as in the original.
	bool make_hole(uint32_t bucket, uint16_t tick)
	{
		constexpr uint32_t most = 512;
		struct Step {
			uint32_t bucket;
			int16_t from; // index of the step before, -1 for the first
			uint8_t slot; // of that step's bucket, whose entry would come here
		};
		Step steps[most];
		uint32_t nb = 1;
		steps[0] = {bucket, -1, 0};
		for (uint32_t i = 0; i < nb; i++) {
			CuckooBucket &b = buckets_[steps[i].bucket];
			if (has_room(steps[i].bucket, tick))
				return shift(steps, static_cast<int>(i));
			for (uint8_t slot = 0; slot < 8 && nb < most; slot++) {
				uint32_t next = b.other[slot] & mask_;
				bool seen = false;
				for (int at = static_cast<int>(i); at >= 0 && !seen; at = steps[at].from)
					seen = steps[at].bucket == next;
				if (!seen)
					steps[nb++] = {next, static_cast<int16_t>(i), slot};
			}
		}
		return false;
	}

	template <typename Steps> bool shift(Steps &steps, int last)
	{
		for (int i = last; steps[i].from >= 0; i = steps[i].from) {
			uint32_t from = steps[steps[i].from].bucket, to = steps[i].bucket;
			uint32_t slot = steps[i].slot;
			CuckooBucket &source = buckets_[from], &target = buckets_[to];
			auto hole = static_cast<uint32_t>(std::countr_one(target.used));
			bool was_guest = source.guest >> slot & 1;
			Record &record = record_at(from, slot);
			Hash hash = hash_of(record.key);
			fill(target, hole, source.tag[slot], was_guest ? hash.other : hash.home, !was_guest);
			record_at(to, hole) = record;
			if (timers_)
				timers_[to].due[hole] = timers_[from].due[slot];
			if (was_guest)
				forget_moved(target);
			else
				note_moved(source, hash.other);
			source.used &= static_cast<uint8_t>(~(1u << slot));
			source.guest &= static_cast<uint8_t>(~(1u << slot));
		}
		return true;
	}

	uint32_t depth_;
	bool look_ahead_;
	uint32_t mask_ = 0;
	uint64_t flows_ = 0;
	base::Pages bucket_pages_, record_pages_, timer_pages_;
	CuckooBucket *buckets_ = nullptr;
	CuckooTimers *timers_ = nullptr; // NULL without
};

} // namespace reframer::conntrack
