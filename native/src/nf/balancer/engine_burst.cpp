// A burst, packets in order. What most of it is, data of connections whose cookie tells all, goes by a
// way of its own: headers as they usually are, masks of all such packets at once, one rewrite.
#include "nf/balancer/engine.hpp"
#include "nf/balancer/usual.hpp"

#include <algorithm>

namespace reframer::balance {

namespace {

// Headers under way, two lines each: 8 and 24 were slower.
constexpr uint32_t ahead = 16;

} // namespace

void Engine::process_one(balancer_frame &frame, uint64_t now)
{
	Packet p;
	const uint8_t verdict = this->read(frame.data, frame.length, p);
	Outcome out{BALANCER_OTHER};
	if (verdict == nf::verdict_pass) [[likely]] {
		out = process(p, nullptr, now);
	} else if (verdict == nf::verdict_malformed) {
		out = {BALANCER_DROP};
		stats.malformed++;
	}
	count(out.verdict);
	frame.verdict = out.verdict;
	frame.server = out.server;
}

void Engine::process_by_cookie(balancer_frame *frames, uint32_t n, uint64_t now)
{
	UsualBurst<UsualV4> v4(service(false));
	UsualBurst<UsualV6> v6(service(true));
	const bool serves_v4 = serves(false), serves_v6 = serves(true);
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
		if (!serves_v4 || !v4.take(frames[i], i)) [[unlikely]]
			if (serves_v6)
				v6.take(frames[i], i);
	}
	v4.hash(hash_, masks_.v4);
	v6.hash(hash_, masks_.v6);
	const UsualWay way{cookie_, &pool[0], pool.size()};
	uint32_t done = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = UINT32_MAX;
		if (v4.has(i)) [[likely]]
			id = way.go<UsualV4>(frames[i].data, v4.next_mask());
		else if (v6.has(i))
			id = way.go<UsualV6>(frames[i].data, v6.next_mask());
		if (id != UINT32_MAX) [[likely]] {
			frames[i].server = id;
			frames[i].verdict = BALANCER_TO_SERVER;
			done++;
		} else {
			process_one(frames[i], now);
		}
	}
	stats.by_cookie += done;
	verdicts[BALANCER_TO_SERVER] += done;
}

void Engine::process_by_hash(balancer_frame *frames, uint32_t n, uint64_t now)
{
	UsualBurst<HashedV4> v4(service(false));
	const bool serves_v4 = serves(false) && policy.by_hash(0) != Pool::none;
	for (uint32_t i = 0; i < std::min(n, ahead); i++)
		__builtin_prefetch(frames[i].data, 1);
	for (uint32_t i = 0; i < n; i++) {
		if (i + ahead < n)
			__builtin_prefetch(frames[i + ahead].data, 1);
		if (serves_v4)
			v4.take(frames[i], i);
	}
	v4.hash(hash_, masks_.keys);
	uint32_t done = 0;
	for (uint32_t i = 0; i < n; i++) {
		if (!v4.has(i)) [[unlikely]] {
			process_one(frames[i], now);
			continue;
		}
		const uint32_t id = policy.by_hash(uint64_t{v4.next_mask()} << 32);
		const Server &s = pool[id];
		uint8_t *f = frames[i].data;
		nf::update_checksum(f + HashedV4::sum_at, HashedV4::rewrite(f, s));
		if (s.has_mac)
			std::memcpy(f, s.mac, sizeof(s.mac));
		frames[i].server = id;
		frames[i].verdict = BALANCER_TO_SERVER;
		done++;
	}
	stats.by_hash += done;
	verdicts[BALANCER_TO_SERVER] += done;
}

// By table, and what is for any destination.
void Engine::process_by_key(balancer_frame *frames, uint32_t n, uint64_t now)
{
	Packet packets[burst];
	Key keys[burst] = {};
	uint64_t digests[burst];
	uint8_t verdict[burst];
	for (uint32_t i = 0; i < std::min(n, ahead); i++)
		__builtin_prefetch(frames[i].data);
	for (uint32_t i = 0; i < n; i++) {
		if (i + ahead < n)
			__builtin_prefetch(frames[i + ahead].data);
		verdict[i] = read(frames[i].data, frames[i].length, packets[i]);
		if (verdict[i] != nf::verdict_pass)
			packets[i].key = {};
		keys[i] = packets[i].key;
	}
	const bool tracks = params.memory == BALANCER_TRACK;
	if (tracks)
		tracker.digest(keys, n, digests);
	for (uint32_t i = 0; i < n; i++) {
		Outcome out{BALANCER_OTHER};
		if (verdict[i] == nf::verdict_pass) [[likely]] {
			out = process(packets[i], tracks ? &digests[i] : nullptr, now);
		} else if (verdict[i] == nf::verdict_malformed) {
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
	const bool one_service = !(params.flags & BALANCER_ANY_DESTINATION);
	const bool by_cookie = params.memory == BALANCER_COOKIE && one_service;
	const bool by_hash = params.memory == BALANCER_FORGET && one_service;
	for (uint32_t at = 0; at < n; at += burst) {
		const uint32_t nb = std::min(n - at, burst);
		if (by_cookie)
			process_by_cookie(frames + at, nb, now);
		else if (by_hash)
			process_by_hash(frames + at, nb, now);
		else
			process_by_key(frames + at, nb, now);
	}
	tracker.sweep(now);
}

} // namespace reframer::balance
