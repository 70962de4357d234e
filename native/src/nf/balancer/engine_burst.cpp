// A burst, packets in order. What most of it is, data of connections whose cookie tells all, goes by a
// way of its own: headers as they usually are, masks of all such packets at once, one rewrite.
#include "nf/balancer/engine.hpp"
#include "nf/balancer/usual.hpp"

#include <algorithm>

namespace reframer::balance {

namespace {

// Headers under way, two lines each.
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
	UsualGroup<UsualV4> v4(service(false));
	UsualGroup<UsualV6> v6(service(true));
	const bool serves_v4 = serves(false), serves_v6 = serves(true);
	const UsualWay way{cookie_, &pool[0], pool.size()};
	uint32_t done = 0;
	// From the type to the echo: two lines of a frame that begins with one, one of a frame that begins
	// 56 bytes behind.
	const auto ask = [&](uint32_t i) {
		ask_for(frames[i].data, UsualV4::type_at);
		ask_for(frames[i].data, UsualV4::size - 1);
	};
	for (uint32_t i = 0; i < std::min(n, ahead); i++)
		ask(i);
	for (uint32_t at = 0; at < n; at += mask_group) {
		balancer_frame *const group = frames + at;
		const uint32_t nb = std::min(n - at, mask_group);
		v4.clear();
		v6.clear();
		for (uint32_t i = 0; i < nb; i++) {
			if (at + i + ahead < n)
				ask(at + i + ahead);
			if (!serves_v4 || !v4.take(group[i], i)) [[unlikely]]
				if (serves_v6)
					v6.take(group[i], i);
		}
		v4.hash(hash_, masks_.v4);
		v6.hash(hash_, masks_.v6);
		for (uint32_t i = 0; i < nb; i++) {
			balancer_frame &frame = group[i];
			uint32_t id = UINT32_MAX;
			if (v4.has(i)) [[likely]]
				id = way.go<UsualV4>(frame.data, v4.mask(i));
			else if (v6.has(i))
				id = way.go<UsualV6>(frame.data, v6.mask(i));
			if (id != UINT32_MAX) [[likely]] {
				frame.server = id;
				frame.verdict = BALANCER_TO_SERVER;
				done++;
			} else {
				process_one(frame, now);
			}
		}
	}
	stats.by_cookie += done;
	verdicts[BALANCER_TO_SERVER] += done;
}

void Engine::process_by_hash(balancer_frame *frames, uint32_t n, uint64_t now)
{
	UsualGroup<HashedV4> v4(service(false));
	const bool serves_v4 = serves(false) && policy.by_hash(0) != Pool::none;
	uint32_t done = 0;
	const auto ask = [&](uint32_t i) { ask_for(frames[i].data, UsualV4::type_at); };
	for (uint32_t i = 0; i < std::min(n, ahead); i++)
		ask(i);
	for (uint32_t at = 0; at < n; at += mask_group) {
		const uint32_t nb = std::min(n - at, mask_group);
		v4.clear();
		for (uint32_t i = 0; i < nb; i++) {
			if (at + i + ahead < n)
				ask(at + i + ahead);
			if (serves_v4)
				v4.take(frames[at + i], i);
		}
		v4.hash(hash_, masks_.keys);
		for (uint32_t i = 0; i < nb; i++) {
			balancer_frame &frame = frames[at + i];
			if (!v4.has(i)) [[unlikely]] {
				process_one(frame, now);
				continue;
			}
			const uint32_t id = policy.by_hash(uint64_t{v4.mask(i)} << 32);
			const Server &s = pool[id];
			uint8_t *f = frame.data;
			add_change(f + HashedV4::sum_at, HashedV4::rewrite(f, s));
			if (s.has_mac)
				std::memcpy(f, s.mac, sizeof(s.mac));
			frame.server = id;
			frame.verdict = BALANCER_TO_SERVER;
			done++;
		}
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
		ask_for(frames[i].data, 0);
	for (uint32_t i = 0; i < n; i++) {
		if (i + ahead < n)
			ask_for(frames[i + ahead].data, 0);
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
