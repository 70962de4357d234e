// A burst, packets in order. What most of it is, data of connections whose cookie tells all, goes by a
// way of its own: headers as they usually are, masks of all such packets at once, one rewrite.
#include "nf/balancer/engine.hpp"

#include <emmintrin.h>

#include <algorithm>

namespace reframer::balance {

namespace {

// Headers under way, two lines each: 8 and 24 were slower.
constexpr uint32_t ahead = 16;

// Ethernet, IPv4 and TCP without options but timestamps.
enum At : uint32_t {
	type_at = 12,
	place_at = 20,
	protocol_at = 23,
	ip_sum_at = 24,
	client_at = 26,
	address_at = 30,
	ports_at = 34,
	length_at = 46,
	flags_at = 47,
	sum_at = 50,
	stamps_at = 54,
	echo_at = 62,
	usual_size = 66,
};

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

// No fragment, TCP; the service's address is filled in.
Pattern ip_pattern(uint32_t service)
{
	constexpr uint32_t at = 18;
	Pattern p{at, {}, {}};
	p.mask[place_at - at] = 0x3f;
	p.mask[place_at + 1 - at] = 0xff;
	p.mask[protocol_at - at] = 0xff;
	p.value[protocol_at - at] = 6;
	store32(p.mask + address_at - at, ~0u);
	store32(p.value + address_at - at, service);
	return p;
}

// An acknowledgement, no SYN; 32 bytes of header that end with NOP, NOP, timestamps.
Pattern tcp_pattern()
{
	constexpr uint32_t at = length_at;
	Pattern p{at, {}, {}};
	p.mask[0] = 0xf0;
	p.value[0] = 0x80;
	p.mask[flags_at - at] = tcp_syn | tcp_ack;
	p.value[flags_at - at] = tcp_ack;
	store32(p.mask + stamps_at - at, ~0u);
	store32(p.value + stamps_at - at, __builtin_bswap32(0x0101080a));
	return p;
}

inline bool is_usual(const uint8_t *f, uint32_t captured, const Pattern &ip, const Pattern &tcp)
{
	constexpr uint32_t ipv4 = 0x450008, first_bytes = 0xffffff; // type 0x0800, header of 20 bytes
	return captured >= usual_size && (load32(f + type_at) & first_bytes) == ipv4 && ip.fits(f) &&
	       tcp.fits(f);
}

// What decides on a usual packet, apart from the engine: a store to a frame could be one to a member,
// as far as a compiler knows, and these can stay in registers.
struct UsualWay {
	const Cookie cookie;
	const Server *const servers;
	const uint32_t nb_ids;

	// UINT32_MAX: nothing was done, and the packet has to go the long way.
	uint32_t operator()(uint8_t *f, uint32_t mask) const
	{
		const uint32_t before = load32(f + echo_at), echo = __builtin_bswap32(before);
		const uint32_t id = cookie.id(echo, mask);
		if (id >= nb_ids) [[unlikely]]
			return UINT32_MAX;
		const Server &s = servers[id];
		if (!s.present() || s.by_table() || !s.clock.known()) [[unlikely]]
			return UINT32_MAX;
		const uint32_t clock = cookie.clock(echo, s.clock.latest());
		if (!cookie.surely_newer(clock, s.clock.latest())) [[unlikely]]
			return UINT32_MAX;
		const uint32_t after = __builtin_bswap32(clock);
		const uint16_t change = s.change;
		store32(f + echo_at, after);
		store32(f + address_at, s.address);
		nf::update_checksum(f + ip_sum_at, change);
		nf::update_checksum(f + sum_at, nf::fold(nf::change32(before, after) + change));
		if (s.has_mac)
			std::memcpy(f, s.mac, sizeof(s.mac));
		return id;
	}
};

} // namespace

void Engine::process_one(balancer_frame &frame, uint64_t now)
{
	Packet p;
	const uint8_t read = read_packet(frame.data, frame.length, p);
	Outcome out{BALANCER_OTHER};
	if (read == nf::verdict_pass) [[likely]] {
		out = process(p, nullptr, now);
	} else if (read == nf::verdict_malformed) {
		out = {BALANCER_DROP};
		stats.malformed++;
	}
	count(out.verdict);
	frame.verdict = out.verdict;
	frame.server = out.server;
}

void Engine::process_by_cookie(balancer_frame *frames, uint32_t n, uint64_t now)
{
	uint64_t inputs[burst + 8] = {}, usual_ones = 0;
	uint32_t masks[burst + 8], nb = 0;
	const Pattern ip = ip_pattern(service_), tcp = tcp_pattern();
	// The echo lies across the first two lines of a frame whose buffer is aligned.
	const auto ask = [&](uint32_t i) {
		__builtin_prefetch(frames[i].data, 1);
		__builtin_prefetch(frames[i].data + 64, 1);
	};
	for (uint32_t i = 0; i < std::min(n, ahead); i++)
		ask(i);
	for (uint32_t i = 0; i < n; i++) {
		if (i + ahead < n)
			ask(i + ahead);
		const uint8_t *f = frames[i].data;
		const bool is = is_usual(f, frames[i].length, ip, tcp);
		usual_ones |= uint64_t{is} << i;
		if (is) [[likely]]
			inputs[nb++] = load32(f + client_at) | uint64_t{load32(f + ports_at)} << 32;
	}
	masks_(hash_, inputs, nb, masks);
	const UsualWay way{cookie_, &pool[0], pool.size()};
	uint32_t at = 0, done = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (usual_ones >> i & 1) [[likely]] {
			if (const uint32_t id = way(frames[i].data, masks[at++]); id != UINT32_MAX) [[likely]] {
				frames[i].server = id;
				frames[i].verdict = BALANCER_TO_SERVER;
				done++;
				continue;
			}
		}
		process_one(frames[i], now);
	}
	stats.by_cookie += done;
	verdicts[BALANCER_TO_SERVER] += done;
}

// By table or by hash.
void Engine::process_by_key(balancer_frame *frames, uint32_t n, uint64_t now)
{
	Packet packets[burst];
	nf::Ipv4Tuple keys[burst] = {};
	uint64_t digests[burst];
	uint8_t read[burst];
	for (uint32_t i = 0; i < std::min(n, ahead); i++)
		__builtin_prefetch(frames[i].data);
	for (uint32_t i = 0; i < n; i++) {
		if (i + ahead < n)
			__builtin_prefetch(frames[i + ahead].data);
		read[i] = read_packet(frames[i].data, frames[i].length, packets[i]);
		if (read[i] != nf::verdict_pass)
			packets[i].key = {};
		keys[i] = packets[i].key;
	}
	const bool tracks = params.memory == BALANCER_TRACK;
	if (tracks)
		tracker.digest(keys, n, digests);
	for (uint32_t i = 0; i < n; i++) {
		Outcome out{BALANCER_OTHER};
		if (read[i] == nf::verdict_pass) [[likely]] {
			out = process(packets[i], tracks ? &digests[i] : nullptr, now);
		} else if (read[i] == nf::verdict_malformed) {
			out = {BALANCER_DROP};
			stats.malformed++;
		}
		count(out.verdict);
		frames[i].verdict = out.verdict;
		frames[i].server = out.server;
	}
}

void Engine::process_burst(balancer_frame *frames, uint32_t n, uint64_t now)
{
	const bool by_cookie =
		params.memory == BALANCER_COOKIE && !(params.flags & BALANCER_ANY_DESTINATION);
	for (uint32_t at = 0; at < n; at += burst) {
		const uint32_t nb = std::min(n - at, burst);
		if (by_cookie)
			process_by_cookie(frames + at, nb, now);
		else
			process_by_key(frames + at, nb, now);
	}
	tracker.sweep(now);
}

} // namespace reframer::balance
