// The word that a client sees in place of a server's timestamp, see balancer.h: how a server's id is
// put at its top, and how id and timestamp come out of the echo.
#pragma once

#include "nf/balancer/keyed_hash.hpp"

#include <bit>
#include <cstdint>

namespace reframer::balance {

class Cookie {
public:
	static constexpr uint32_t no_server = UINT32_MAX;

	Cookie(uint32_t max_servers, uint32_t version_bits, uint32_t check_bits)
		: width_(static_cast<uint32_t>(std::bit_width(max_servers - 1)) + check_bits),
		  check_(check_bits), version_(version_bits), low_(32 - version_bits - width_),
		  recent_(((1u << (version_bits - 1)) - 1) << low_), cookie_ones_(ones(width_)),
		  check_ones_(ones(check_)), low_ones_(ones(low_)), clock_ones_(ones(32 - width_))
	{
	}

	// Bits of the clock that are in the word; what lies above them must be known otherwise.
	uint32_t clock_bits() const { return 32 - width_; }
	// Steps of the version by which a word is still newer than another: less than half of them.
	uint32_t half() const { return 1u << (version_ - 1); }

	// `bias` is added to the version: of a connection that was idle for too long.
	uint32_t word(uint32_t clock, uint32_t id, uint32_t mask, uint32_t bias = 0) const
	{
		const uint32_t cookie = ((id << check_) ^ mask) & cookie_ones_;
		return ((clock >> low_) + bias) << (32 - version_) | cookie << low_ | (clock & low_ones_);
	}
	// no_server where the check bits are wrong. The id may be one that no server has.
	uint32_t id(uint32_t word, uint32_t mask) const
	{
		const uint32_t cookie = ((word >> low_) ^ mask) & cookie_ones_;
		return cookie & check_ones_ ? no_server : cookie >> check_;
	}
	// The latest clock not after `latest` that gives this word.
	uint32_t clock(uint32_t word, uint32_t latest, uint32_t bias = 0) const
	{
		// Above the version bits there may be anything: it falls out of the difference.
		const uint32_t part = ((word >> (32 - version_)) - bias) << low_ | (word & low_ones_);
		return latest - ((latest - part) & clock_ones_);
	}
	uint32_t version(uint32_t clock) const { return (clock >> low_) & ones(version_); }
	// Whether a client that has the word of `before` takes that of `now`, which is not older.
	bool newer(uint32_t before, uint32_t now) const
	{
		return static_cast<int32_t>(word(now, 0, 0) - word(before, 0, 0)) >= 0;
	}
	// Whether `newer` surely holds, without a look at the words: the version is less than half of its
	// circle ahead.
	bool surely_newer(uint32_t before, uint32_t now) const { return now - before < recent_; }
	// A bias with which a word for `now` is newer than that for `before` with `bias`: as it is where
	// that does, else the version goes one step on, which is right whatever the low bits are.
	uint32_t bias_after(uint32_t before, uint32_t now, uint32_t bias) const
	{
		if (static_cast<int32_t>(word(now, 0, 0, bias) - word(before, 0, 0, bias)) > 0)
			return bias;
		return (bias + 1 + version(before) - version(now)) & ones(version_);
	}

private:
	static constexpr uint32_t ones(uint32_t bits) { return bits == 32 ? ~0u : (1u << bits) - 1; }

	uint32_t width_, check_, version_, low_;
	uint32_t recent_; // ticks
	uint32_t cookie_ones_, check_ones_, low_ones_, clock_ones_;
};

} // namespace reframer::balance
