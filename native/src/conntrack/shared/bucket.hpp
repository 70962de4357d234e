// A shared table's bucket: one line of tags and deadlines under a sequence lock.
#pragma once

#include "conntrack/shared/atomics.hpp"

#include <cstddef>
#include <type_traits>

namespace reframer::conntrack::shared {

constexpr uint32_t slots_per_bucket = 16;
// A key lives at home or up to this many buckets further on. At 85 % load one key in 40 is away and
// one in 10^5 more than 4 buckets; 31 leaves room for a bad day. The end of what a home's `reach`
// says, not of what every miss must read.
constexpr uint32_t max_reach = 31;

// Tag 0 is an empty slot. What belongs to slots changes under this bucket's lock; what belongs to
// the keys at home here changes under it too.
struct alignas(64) Bucket {
	uint8_t tag[slots_per_bucket];
	uint16_t deadline[slots_per_bucket]; // tick at which the entry is due, modulo 2^16
	uint32_t version;                    // bit 0 locked, bit 1 moved, changes from bit 2 on
	uint32_t filter;   // bit filter_bit(tag): a key at home here may live further on
	uint16_t nb_away;  // keys at home here that do
	uint16_t shielded; // bit per slot: not to be evicted early
	uint8_t reach;     // how far the farthest of them may be
	uint8_t unused[3];
};
static_assert(sizeof(Bucket) == 64, "the line that decides");
static_assert(offsetof(Bucket, tag) % 8 == 0 && offsetof(Bucket, deadline) % 8 == 0);

constexpr uint32_t version_locked = 1, version_moved = 2, version_step = 4;

inline uint32_t filter_bit(uint8_t tag)
{
	return 1u << (tag & 31);
}

// The version once nobody is at work in the bucket.
inline uint32_t wait_unlocked(const Bucket &b)
{
	Patience patience;
	for (;;) {
		uint32_t v = get(b.version);
		if (!(v & version_locked)) [[likely]]
			return v;
		patience.wait();
	}
}
// Locks the bucket if nothing has changed in it since `version` was read.
inline bool lock_from(Bucket &b, uint32_t version)
{
	return compare_and_swap(b.version, version, version | version_locked);
}
inline void lock(Bucket &b)
{
	while (!lock_from(b, wait_unlocked(b)))
		;
}
inline bool try_lock(Bucket &b)
{
	uint32_t v = get(b.version);
	return !(v & version_locked) && lock_from(b, v);
}
inline void unlock(Bucket &b, uint32_t mark = 0)
{
	put(b.version, ((get(b.version) & ~version_locked) + version_step) | mark);
}

#if defined(__SSE2__)
inline __m128i load_words(const void *p)
{
	return _mm_set_epi64x(static_cast<long long>(get(word(p, 8))),
	                      static_cast<long long>(get(word(p, 0))));
}
// One bit a slot.
inline uint32_t match_tag(const Bucket &b, uint8_t tag)
{
	return static_cast<uint32_t>(_mm_movemask_epi8(
		_mm_cmpeq_epi8(load_words(b.tag), _mm_set1_epi8(static_cast<char>(tag)))));
}
// Slots whose deadline has come at `tick`, empty ones too.
inline uint32_t passed_slots(const Bucket &b, uint64_t tick)
{
	__m128i now = _mm_set1_epi16(static_cast<short>(tick)), none = _mm_set1_epi16(-1);
	__m128i low = _mm_cmpgt_epi16(_mm_sub_epi16(now, load_words(b.deadline)), none);
	__m128i high = _mm_cmpgt_epi16(_mm_sub_epi16(now, load_words(b.deadline + 8)), none);
	return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
}
#else
// A bit for each slot whose number `is_it` says yes to.
template <typename Number, typename Test>
uint32_t slots_where(const Number (&numbers)[slots_per_bucket], Test is_it)
{
	constexpr uint32_t a_word = 8 / sizeof(Number);
	uint32_t bits = 0;
	for (uint32_t i = 0; i < slots_per_bucket; i += a_word) {
		const uint64_t w = get(word(numbers, i * sizeof(Number)));
		for (uint32_t k = 0; k < a_word; k++)
			bits |= uint32_t{is_it(static_cast<Number>(w >> 8 * sizeof(Number) * k))} << (i + k);
	}
	return bits;
}
inline uint32_t match_tag(const Bucket &b, uint8_t tag)
{
	return slots_where(b.tag, [&](uint8_t t) { return t == tag; });
}
inline uint32_t passed_slots(const Bucket &b, uint64_t tick)
{
	return slots_where(b.deadline, [&](uint16_t deadline) {
		return static_cast<int16_t>(static_cast<uint16_t>(tick) - deadline) >= 0;
	});
}
#endif
inline uint32_t empty_slots(const Bucket &b)
{
	return match_tag(b, 0);
}
// Slots whose deadline has come at `tick`, empty ones left out.
inline uint32_t due_slots(const Bucket &b, uint64_t tick)
{
	return passed_slots(b, tick) & ~empty_slots(b);
}

} // namespace reframer::conntrack::shared
