// What lies in memory: the line that decides (Header) and the line that holds (entry).
#pragma once

#include <cstddef>
#include <cstdint>
#include <immintrin.h>

namespace reframer::conntrack {

constexpr uint32_t slots_per_bucket = 16;
// A key that finds its home bucket full lives up to this many buckets further on. Simulated: of the
// keys that come between 87.5 and 90 % load 45 % are away then and 7 % spill; with 3 it would be 17 %,
// and each of these pays for lines that nothing announced.
constexpr uint32_t max_distance = 7;
// Of these, the ones that a key looks through at once, and all that a spill home offers.
constexpr uint32_t near_distance = 3;
// Where these are full too (1 % of the keys at 90 % load), a key spills to another home drawn from
// its own hash; each further one is full for one key in eight. Fifteen are for floods of
// one NIC hash, where most regions near the hit ones are full.
constexpr uint32_t nb_spill_homes = 15;
// Most ticks between a refresh and its 16-bit deadline: leaves the other half of the number circle
// to entries that are overdue. Longer timeouts are counted on in Entry::idle.
constexpr uint32_t horizon = 1u << 14;
// A group is swept at least this often (ticks), so that no deadline is ever looked at more than
// 2^15 ticks late: two sweeps and the grace between them are 18432.
constexpr uint64_t sweep_limit = 8192;
constexpr uint64_t sweep_grace = 1024;

// Everything about 16 entries that a lookup needs before it touches one of them. Tag 0 is an empty
// slot.
struct alignas(64) Header {
	uint8_t tag[slots_per_bucket];
	uint16_t deadline[slots_per_bucket]; // tick at which the entry is due, modulo 2^16
	uint16_t guest;     // bit per slot: its key is at home elsewhere
	uint16_t patient;   // bit per slot: a deadline that has come does not tell that it is dead
	uint32_t filter;    // bit filter_bit(tag) set: a key at home here may live elsewhere
	uint32_t nb_spilled;// keys at home here that live at a spill home; or unknown_spilled
	uint16_t shielded;  // bit per slot: not to be evicted early
	uint8_t nb_away;    // keys at home here that live 1..max_distance buckets further on
	uint8_t reach : 4;      // how far the farthest of them may be
	uint8_t last_spill : 4; // highest spill home that a key at home here may have taken
};
static_assert(sizeof(Header) == 64, "a lookup's first step is one cache line");
static_assert(offsetof(Header, guest) == 48);

// After growth nobody knows how many of a bucket's spilled keys belong to which of its successors.
constexpr uint32_t unknown_spilled = UINT32_MAX;

// What follows the key in an entry; the state follows it.
struct EntryMeta {
	uint32_t position;          // low half of the digest: where the key is at home
	uint32_t idle : 26;         // ticks without a packet before the armed deadline began
	uint32_t swapped : 1;       // symmetric tables: the first packet's key was turned round
	uint32_t spilled : 1;       // lives at a spill home
	uint32_t timeout_class : 4;
};
static_assert(sizeof(EntryMeta) == 8);
// As `idle`: nobody lives here. Only for those who noted the slot before; a tag of 0 tells the others.
constexpr uint32_t vacant_idle = (1u << 26) - 1;
// Of the word after `position`: all that a packet in time leaves 0.
constexpr uint32_t unusual_meta = vacant_idle | 1u << 27;
constexpr uint32_t max_timeout_ticks = (1u << 26) - 2 * horizon;

constexpr uint32_t entry_stride(uint32_t key_size, uint32_t state_size)
{
	// Multiples of 32: an IPv4 entry with 8 bytes of state is half a line and straddles none.
	return (key_size + static_cast<uint32_t>(sizeof(EntryMeta)) + state_size + 31) & ~31u;
}
static_assert(entry_stride(16, 8) == 32 && entry_stride(40, 16) == 64);

// Digest: position (32 bits: group, then place in it) below, keyed hash of the whole key above.
inline uint32_t digest_position(uint64_t digest) { return static_cast<uint32_t>(digest); }
inline uint8_t digest_tag(uint64_t digest)
{
	uint8_t tag = static_cast<uint8_t>(digest >> 56);
	return tag ? tag : 1;
}
// Spill home `number` (1..nb_spill_homes), drawn from the key's hash alone: keys with colliding NIC
// hashes part here.
inline uint32_t spill_position(uint64_t digest, uint32_t number)
{
	uint64_t x = (digest >> 32 | uint64_t{number} << 32) * 0x9e3779b97f4a7c15u;
	return static_cast<uint32_t>((x ^ x >> 29) * 0xbf58476d1ce4e5b9u >> 32);
}

inline uint32_t match_tag(const Header &h, uint8_t tag)
{
	__m128i tags = _mm_load_si128(reinterpret_cast<const __m128i *>(h.tag));
	return static_cast<uint32_t>(
	    _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)))));
}
inline uint32_t empty_slots(const Header &h) { return match_tag(h, 0); }

// Empty slots of `first` and the buckets behind it, up to near_distance: bit 16 * distance + slot.
// All at once, because how far it is to the first one is nothing that a branch could foresee.
inline uint64_t empty_near(const Header *first)
{
	static_assert(near_distance < 64 / slots_per_bucket);
	uint64_t empty = 0;
	for (uint32_t d = 0; d <= near_distance; d++)
		empty |= uint64_t{empty_slots(first[d])} << d * slots_per_bucket;
	return empty;
}

// Slots whose deadline has come at `tick`, empty ones included.
inline uint32_t due_slots(const Header &h, uint64_t tick)
{
	const auto *d = reinterpret_cast<const __m128i *>(h.deadline);
	__m128i now = _mm_set1_epi16(static_cast<short>(tick)), none = _mm_set1_epi16(-1);
	__m128i low = _mm_cmpgt_epi16(_mm_sub_epi16(now, _mm_load_si128(d)), none);
	__m128i high = _mm_cmpgt_epi16(_mm_sub_epi16(now, _mm_load_si128(d + 1)), none);
	return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(low, high)));
}

inline bool is_due(uint16_t deadline, uint64_t tick)
{
	return static_cast<int16_t>(static_cast<uint16_t>(tick) - deadline) >= 0;
}

} // namespace reframer::conntrack
