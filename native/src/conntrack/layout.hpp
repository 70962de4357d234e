// What lies in memory: pages of 64 lines, a line of two cells, a cell a flow.
//
// A key may live in two lines of one 4 KiB page, both known from its digest: one walk of the page
// table brings both, and one wait answers whether it is there.
#pragma once

#include "conntrack/clock.hpp"

#include <cstddef>
#include <cstdint>

namespace reframer::conntrack {

constexpr uint32_t lines_per_page = 64;
constexpr uint32_t cells_per_page = 2 * lines_per_page;
constexpr size_t page_bytes = 4096;
// Of nine cells eight can be filled, if hardly a key is to leave its page: two cells in each of two
// lines take 89.7 % in an endless table (Dietzfelbinger and Weidling 2007), a page of 128 somewhat
// less.
constexpr uint64_t fillable = 8, out_of = 9;

// (Functions here and in table.hpp that the burst functions use are inlined by force: a copy that
// the linker kept could be one for another instruction set.)

// What a cell compares. Of 16-byte keys the key itself under the first round key; of longer ones a
// keyed hash of 128 bits (the key lies in the cell's body). Zero is an empty cell: 2^-128 that a
// key gives it.
struct Token {
	uint64_t low, high;

	[[gnu::always_inline]] bool empty() const { return (low | high) == 0; }
	bool operator==(const Token &) const = default;
};

// Tick at which an entry is due, modulo 2^16; its timeout class; and how many whole horizons it was
// idle before this deadline was armed.
struct Clock {
	uint32_t word;

	static constexpr uint32_t most_rounds = (1u << 12) - 1;
	[[gnu::always_inline]] static Clock make(uint16_t deadline, uint32_t timeout_class,
	                                         uint64_t rounds)
	{
		return {static_cast<uint32_t>(rounds) << 20 | timeout_class << 16 | deadline};
	}
	[[gnu::always_inline]] uint16_t deadline() const { return static_cast<uint16_t>(word); }
	[[gnu::always_inline]] uint32_t timeout_class() const { return word >> 16 & 15; }
	[[gnu::always_inline]] uint32_t rounds() const { return word >> 20; }
};
static_assert(max_timeout_ticks / horizon <= Clock::most_rounds);

struct alignas(64) Line {
	Token token[2];
	uint64_t word[2]; // states of 8 bytes; unused where they are longer
	Clock clock[2];
	uint16_t filter;    // bit digest_filter(): a key at home here may live elsewhere
	uint8_t nb_away;    // keys at home here that live in their second line
	uint8_t nb_spilled; // keys at home here that live in the stash; full_count is that many or more
	uint8_t bits[2];    // a cell's: is in its second line; came turned round; how to the other line
	uint8_t filter_of[2]; // a cell's digest_filter()
};
static_assert(sizeof(Line) == 64, "a flow with 8 bytes of state is half a cache line");
static_assert(offsetof(Line, word) == 32 && offsetof(Line, clock) == 48 &&
              offsetof(Line, filter) == 56);
static_assert(sizeof(Line) * lines_per_page == page_bytes);

constexpr uint8_t full_count = UINT8_MAX;
constexpr uint8_t bit_second = 1, bit_swapped = 2;

// Digest: where (group, then place in it) below, a keyed hash of the whole key above; of its bits
// 0..5 are the home line, 6..10 the way to the second line, 11..14 the filter's.
[[gnu::always_inline]] inline uint32_t digest_position(uint64_t digest)
{
	return static_cast<uint32_t>(digest);
}
[[gnu::always_inline]] inline uint32_t digest_line(uint64_t digest)
{
	return digest >> 32 & 63;
}
// Odd, so that it never leads to the same line; the same way back.
[[gnu::always_inline]] inline uint32_t digest_way(uint64_t digest)
{
	return (digest >> 37 & 62) | 1;
}
[[gnu::always_inline]] inline uint32_t digest_filter(uint64_t digest)
{
	return digest >> 43 & 15;
}
// Where in the stash: all keyed bits, so that keys of one NIC hash part.
[[gnu::always_inline]] inline uint32_t stash_position(uint64_t digest)
{
	return static_cast<uint32_t>(digest >> 32) * 0x9e3779b1u;
}
[[gnu::always_inline]] inline uint32_t way_of(const Line &line, uint32_t at)
{
	return (line.bits[at] >> 2 << 1) | 1;
}
[[gnu::always_inline]] inline uint8_t bits_of(uint64_t digest, bool second)
{
	return static_cast<uint8_t>(digest_way(digest) >> 1 << 2 | (second ? bit_second : 0));
}

} // namespace reframer::conntrack
