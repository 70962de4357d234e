// What most packets are: acknowledgements with timestamps in a TCP header of 32 bytes, right behind an
// IP header without options or extensions, untagged. They go a short way, see engine_burst.cpp.
#pragma once

#include "nf/balancer/cookie.hpp"
#include "nf/balancer/masks.hpp"
#include "nf/balancer/packet.hpp"
#include "nf/balancer/pool.hpp"
#include "reframer/balancer.h"

#include <emmintrin.h>

#include <bit>

namespace reframer::balance {

// Bits that must be as they usually are, in 16 bytes of a frame.
struct Pattern {
	uint32_t at;
	uint8_t mask[16], value[16];

	bool fits(const uint8_t *f) const
	{
		const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i *>(f + at));
		const __m128i bits =
			_mm_and_si128(bytes, _mm_loadu_si128(reinterpret_cast<const __m128i *>(mask)));
		const __m128i equal =
			_mm_cmpeq_epi8(bits, _mm_loadu_si128(reinterpret_cast<const __m128i *>(value)));
		return _mm_movemask_epi8(equal) == 0xffff;
	}
};

// The sum of a segment in which one word took the place of another, and `change` besides: as
// nf::update_checksum(), folded once for all.
inline void add_change(uint8_t *field, uint32_t before, uint32_t after, uint16_t change)
{
	const uint16_t sum_before = load16(field);
	uint64_t sum = uint64_t{static_cast<uint16_t>(~sum_before)} + ~before + after + change;
	// Adding both halves in either order carries from the lower to the upper one.
	const auto words = static_cast<uint32_t>((sum + std::rotr(sum, 32)) >> 32);
	store16(field, static_cast<uint16_t>(~((words + std::rotr(words, 16)) >> 16)));
}
// The same of a change alone.
inline void add_change(uint8_t *field, uint16_t change)
{
	const uint16_t sum_before = load16(field);
	const uint32_t sum = uint32_t{static_cast<uint16_t>(~sum_before)} + change;
	store16(field, static_cast<uint16_t>(~(sum + (sum >> 16))));
}

// Where things are in a frame whose TCP header begins at `l4`.
template <uint32_t l4> struct UsualTcp {
	static constexpr uint32_t ports_at = l4, sum_at = l4 + 16, echo_at = l4 + 28, size = l4 + 32;

	// An acknowledgement, no SYN; 32 bytes of header that end with NOP, NOP, timestamps.
	static Pattern tcp()
	{
		constexpr uint32_t at = l4 + 12, flags_at = 1, options_at = 8;
		Pattern p{at, {}, {}};
		p.mask[0] = 0xf0;
		p.value[0] = 0x80;
		p.mask[flags_at] = tcp_syn | tcp_ack;
		p.value[flags_at] = tcp_ack;
		store32(p.mask + options_at, ~0u);
		store32(p.value + options_at, __builtin_bswap32(0x0101080a));
		return p;
	}
};

struct UsualV4 : UsualTcp<34> {
	static constexpr uint32_t words = words_v4;

	// No fragment, TCP; to the service.
	static Pattern ip(Address service)
	{
		constexpr uint32_t at = 18, place_at = 20, protocol_at = 23;
		Pattern p{at, {}, {}};
		p.mask[place_at - at] = 0x3f;
		p.mask[place_at + 1 - at] = 0xff;
		p.mask[protocol_at - at] = 0xff;
		p.value[protocol_at - at] = 6;
		store32(p.mask + (address_at - at), ~0u);
		store32(p.value + (address_at - at), service.v4());
		return p;
	}
	static bool is(const uint8_t *f)
	{
		constexpr uint32_t first = 0x450008, bytes = 0xffffff; // type 0x0800, header of 20 bytes
		return (load32(f + type_at) & bytes) == first;
	}
	static void input(const uint8_t *f, uint64_t *to)
	{
		to[0] = load32(f + client_at) | uint64_t{load32(f + ports_at)} << 32;
	}
	// Returns what that adds to the complement of a sum.
	static uint16_t rewrite(uint8_t *f, const Server &s)
	{
		const uint16_t change = s.change;
		store32(f + address_at, s.address);
		add_change(f + ip_sum_at, change);
		return change;
	}

	enum At : uint32_t { type_at = 12, ip_sum_at = 24, client_at = 26, address_at = 30 };
};

// Where every packet goes by hash: any TCP segment, and its key.
struct HashedV4 : UsualV4 {
	static constexpr uint32_t words = words_key, size = 54;

	static Pattern tcp() { return {ports_at, {}, {}}; }
	static void input(const uint8_t *f, uint64_t *to)
	{
		Key key{};
		std::memcpy(&key.source, f + client_at, 8);
		std::memcpy(&key.source_port, f + ports_at, 4);
		key.protocol = 6;
		key.used = key_of_ipv4;
		uint64_t both[2];
		std::memcpy(both, &key, sizeof(both));
		to[0] = both[0];
		to[mask_group] = both[1];
	}
};

struct UsualV6 : UsualTcp<54> {
	static constexpr uint32_t words = words_v6;

	static Pattern ip(Address service)
	{
		Pattern p{address_at, {}, {}};
		std::memset(p.mask, 0xff, sizeof(p.mask));
		std::memcpy(p.value, service.bytes, sizeof(p.value));
		return p;
	}
	static bool is(const uint8_t *f)
	{
		constexpr uint32_t first = 0x60dd86, bits = 0xf0ffff; // type 0x86dd, version 6
		return (load32(f + type_at) & bits) == first && f[next_at] == 6;
	}
	static void input(const uint8_t *f, uint64_t *to)
	{
		std::memcpy(to, f + client_at, sizeof(*to));
		std::memcpy(to + mask_group, f + client_at + 8, sizeof(*to));
		to[2 * mask_group] = load32(f + ports_at);
	}
	static uint16_t rewrite(uint8_t *f, const Server &s)
	{
		std::memcpy(f + address_at, s.address6.data(), s.address6.size());
		return s.change6;
	}

	enum At : uint32_t { type_at = 12, next_at = 20, client_at = 22, address_at = 38 };
};

// Those of a group of frames that are of one family, and the hashes of their inputs. As many as a
// vector holds: while they are rewritten the headers of the next ones are on their way.
template <typename Family> class UsualGroup {
public:
	explicit UsualGroup(Address service) : ip_(Family::ip(service)), tcp_(Family::tcp()) {}

	void clear() { taken_ = 0; }
	// Whether the frame, i-th of its group, is one of them.
	bool take(const balancer_frame &frame, uint32_t i)
	{
		const uint8_t *f = frame.data;
		const bool is =
			frame.length >= Family::size && Family::is(f) && ip_.fits(f) && tcp_.fits(f);
		taken_ |= uint32_t{is} << i;
		if (is) [[likely]]
			Family::input(f, inputs_ + i);
		return is;
	}
	void hash(const KeyedHash &hash, Masks kernel)
	{
		if (taken_ != 0)
			kernel(hash, inputs_, masks_);
	}
	bool has(uint32_t i) const { return taken_ >> i & 1; }
	uint32_t mask(uint32_t i) const { return masks_[i]; }

private:
	const Pattern ip_, tcp_;
	uint32_t taken_ = 0;
	uint64_t inputs_[Family::words * mask_group] = {}; // of those that are not taken, too
	uint32_t masks_[mask_group];
};

// Asks for a line of a frame, which may end before it, or be none.
inline void ask_for(const uint8_t *frame, uint32_t at)
{
	__builtin_prefetch(reinterpret_cast<const void *>(reinterpret_cast<uintptr_t>(frame) + at), 1);
}

// What the compiler must not put together again.
inline uint32_t load_halves(const uint8_t *p)
{
	uint32_t low = load16(p);
	asm("" : "+r"(low));
	return low | uint32_t{load16(p + 2)} << 16;
}
inline void store_halves(uint8_t *p, uint32_t value)
{
	uint32_t low = value;
	asm("" : "+r"(low));
	store16(p, static_cast<uint16_t>(low));
	store16(p + 2, static_cast<uint16_t>(value >> 16));
}

// What decides on a usual packet, apart from the engine: a store to a frame could be one to a member,
// as far as a compiler knows, and these can stay in registers.
struct UsualWay {
	const Cookie cookie;
	const Server *const servers;
	const uint32_t nb_ids;

	// UINT32_MAX: nothing was done, and the packet has to go the long way.
	template <typename Family> uint32_t go(uint8_t *f, uint32_t mask) const
	{
		// By halves: over IPv4 the echo lies across two lines of an aligned frame, and such accesses cost
		// an AMD core 15 ns.
		const uint32_t before = load_halves(f + Family::echo_at), echo = __builtin_bswap32(before);
		const uint32_t id = cookie.id(echo, mask);
		if (id >= nb_ids) [[unlikely]]
			return UINT32_MAX;
		const Server &s = servers[id];
		if (!s.short_way) [[unlikely]]
			return UINT32_MAX;
		const uint32_t clock = cookie.clock(echo, s.clock.latest());
		if (!cookie.surely_newer(clock, s.clock.latest())) [[unlikely]]
			return UINT32_MAX;
		const uint32_t after = __builtin_bswap32(clock);
		store_halves(f + Family::echo_at, after);
		const uint16_t change = Family::rewrite(f, s);
		add_change(f + Family::sum_at, before, after, change);
		if (s.has_mac)
			std::memcpy(f, s.mac, sizeof(s.mac));
		return id;
	}
};

} // namespace reframer::balance
