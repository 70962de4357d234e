// The stage as one would write it without thought of cost: the executable meaning of reframer.h.
// What it leaves out: a full bucket of the group table, TCP repair and ACK thinning.
#pragma once

#include "reframer/reframer.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace reframer::test {

struct ModelPacket {
	uint64_t id;
	uint32_t hash;
	uint32_t wire;
	uint64_t arrival = 0;
	bool pass = false;        // bypass by header
	bool ends = false;        // FIN, RST, PSH that count
	bool ruled = false;       // a rule matched: "new flow" does not apply
	uint64_t class_delay = 0; // of a rule; 0: the policy's T
};

struct ModelRun {
	uint32_t first, count, hash, reason;
	bool operator==(const ModelRun &) const = default;
};

struct ModelGroup {
	uint32_t hash;
	uint64_t deadline;
	uint32_t reason;
	std::deque<ModelPacket> packets;
};

class Model {
public:
	Model(const reframer_params &params) : p(params)
	{
		queues.emplace_back();
		delays.push_back(0);
		for (uint32_t i = 0; i < p.nb_rules; i++)
			if (p.rules[i].delay_ns && queue_of(p.rules[i].delay_ns) == 0) {
				queues.emplace_back();
				delays.push_back(p.rules[i].delay_ns);
			}
		eager = p.bypass || p.early || p.nb_rules;
		set_policy(p.policy, p.delay_ns);
	}

	void push(const std::vector<ModelPacket> &burst, bool hashed, uint64_t caller_now)
	{
		tick(caller_now);
		if (policy == REFRAMER_BURST && groups() > 0)
			all_ready(REFRAMER_BY_DEADLINE);
		polled = false;
		// 64 at a time: bounds are kept after each such part.
		for (size_t first = 0; first < burst.size(); first += 64) {
			const size_t end = std::min(first + 64, burst.size());
			for (size_t i = first; i < end; i++) {
				unread.push_back(burst[i]);
				unread.back().arrival = now;
				waiting++;
				bytes += burst[i].wire;
			}
			const size_t allowed = hashed || eager || policy == REFRAMER_BURST
			                           ? 0
			                           : std::min<size_t>(p.lookahead, waiting / 8);
			while (unread.size() > allowed)
				read_one();
			if (over()) {
				read_all();
				while (over())
					ready(first_due(UINT64_MAX), REFRAMER_BY_CAPACITY);
			}
		}
	}

	// A burst that the engine passes on ungrouped. It may, while nothing else is held.
	bool push_straight(const std::vector<ModelPacket> &burst, uint64_t caller_now)
	{
		tick(caller_now);
		if (policy != REFRAMER_ADAPTIVE || delays[0] != 0 || waiting > 0 || !ready_groups.empty())
			return false;
		polled = false;
		for (const ModelPacket &packet : burst) {
			straight.push_back(packet);
			straight.back().arrival = now;
		}
		return true;
	}

	// A burst that the caller keeps. It may, while nothing at all is held.
	bool pass(uint64_t caller_now)
	{
		tick(caller_now);
		polled = true;
		last_poll = now;
		return policy == REFRAMER_ADAPTIVE && delays[0] == 0 && waiting == 0 &&
		       ready_groups.empty() && straight.empty();
	}

	void poll(uint64_t caller_now, uint32_t room, uint32_t run_room)
	{
		tick(caller_now);
		if (!unread.empty() &&
		    ((polled && now > last_poll) || now - unread.front().arrival >= delays[0]))
			read_all();
		polled = true;
		last_poll = now;
		give(room, run_room, now, REFRAMER_BY_DEADLINE);
	}

	void drain(uint64_t caller_now, uint32_t room, uint32_t run_room)
	{
		tick(caller_now);
		read_all();
		give(room, run_room, UINT64_MAX, REFRAMER_BY_DRAIN);
	}

	uint32_t release_bucket(uint32_t mask, uint32_t value)
	{
		read_all();
		uint32_t n = 0;
		for (size_t q = 0; q < queues.size(); q++)
			for (auto g = queues[q].begin(); g != queues[q].end();) {
				const auto next = std::next(g);
				if ((g->hash & mask) == value) {
					ready({q, g}, REFRAMER_BY_DRAIN);
					n++;
				}
				g = next;
			}
		return n;
	}

	void set_policy(uint32_t new_policy, uint64_t delay)
	{
		read_all();
		if (new_policy == REFRAMER_BURST)
			all_ready(REFRAMER_BY_DRAIN);
		policy = new_policy;
		set_delay(new_policy == REFRAMER_FIXED ? delay : 0);
	}

	void set_delay(uint64_t delay)
	{
		const bool shorter = delay < delays[0];
		delays[0] = delay;
		if (!shorter)
			return;
		uint64_t latest = UINT64_MAX;
		for (auto g = queues[0].rbegin(); g != queues[0].rend(); ++g) {
			latest = std::min({latest, g->deadline, g->packets.front().arrival + delay});
			g->deadline = latest;
		}
	}

	uint64_t next_deadline() const
	{
		if (!straight.empty())
			return straight.front().arrival - offset;
		if (!ready_groups.empty())
			return now - offset;
		uint64_t earliest = UINT64_MAX;
		if (!unread.empty())
			earliest = unread.front().arrival + delays[0];
		for (const auto &q : queues)
			if (!q.empty())
				earliest = std::min(earliest, q.front().deadline);
		return earliest == UINT64_MAX ? UINT64_MAX : earliest - offset;
	}

	// What the last poll or drain gave out.
	std::vector<uint64_t> out;
	std::vector<ModelRun> runs;
	uint64_t now = 0, offset = 0, backwards = 0, bypassed = 0;

	size_t waiting = 0; // packets, and their bytes
	uint64_t bytes = 0;
	size_t groups() const
	{
		size_t n = 0;
		for (const auto &q : queues)
			n += q.size();
		return n;
	}

private:
	using Queue = std::list<ModelGroup>;
	struct Where {
		size_t queue;
		Queue::iterator group;
	};

	size_t queue_of(uint64_t delay) const
	{
		for (size_t q = 1; q < delays.size(); q++)
			if (delays[q] == delay)
				return q;
		return 0;
	}

	void tick(uint64_t caller_now)
	{
		uint64_t t = caller_now + offset;
		if (t < now) {
			backwards++;
			if (now - t > 10'000'000)
				offset = now - caller_now;
			t = now;
		}
		now = t;
	}

	bool over() const { return waiting > p.max_packets || bytes > p.max_bytes; }

	void read_all()
	{
		while (!unread.empty())
			read_one();
	}

	void read_one()
	{
		ModelPacket packet = unread.front();
		unread.pop_front();
		bool pass = packet.pass;
		if (p.bypass & REFRAMER_BYPASS_NEW_FLOW && seen.insert(packet.hash).second && !packet.ruled)
			pass = true;
		bypassed += pass;
		const size_t q = policy == REFRAMER_BURST ? 0 : queue_of(packet.class_delay);
		const uint64_t deadline = packet.arrival + delays[q];
		Where at = find(packet.hash);
		if (at.queue == queues.size()) {
			queues[q].push_back({packet.hash, deadline, 0, {packet}});
			at = {q, std::prev(queues[q].end())};
		} else {
			at.group->packets.push_back(packet);
			if (deadline < at.group->deadline) {
				at.group->deadline = deadline;
				queues[q].splice(queues[q].end(), queues[at.queue], at.group);
				at.queue = q;
			}
		}
		index[packet.hash] = at;
		if (pass)
			ready(at, REFRAMER_BY_BYPASS);
		else if (packet.ends)
			ready(at, REFRAMER_BY_EARLY);
		else if (at.group->packets.size() >= p.max_burst)
			ready(at, REFRAMER_BY_BURST);
	}

	Where find(uint32_t hash)
	{
		const auto it = index.find(hash);
		return it == index.end() ? Where{queues.size(), {}} : it->second;
	}

	Where first_due(uint64_t limit)
	{
		Where best{queues.size(), {}};
		for (size_t q = 0; q < queues.size(); q++)
			if (!queues[q].empty() && queues[q].front().deadline <= limit &&
			    (best.queue == queues.size() || queues[q].front().deadline < best.group->deadline))
				best = {q, queues[q].begin()};
		return best;
	}

	void ready(Where at, uint32_t reason)
	{
		at.group->reason = reason;
		waiting -= at.group->packets.size();
		for (const ModelPacket &packet : at.group->packets)
			bytes -= packet.wire;
		index.erase(at.group->hash);
		ready_groups.splice(ready_groups.end(), queues[at.queue], at.group);
	}

	void all_ready(uint32_t reason)
	{
		read_all();
		for (Where at = first_due(UINT64_MAX); at.queue != queues.size();
		     at = first_due(UINT64_MAX))
			ready(at, reason);
	}

	void give_ready(uint32_t room, uint32_t run_room)
	{
		while (!ready_groups.empty() && out.size() < room && runs.size() < run_room) {
			ModelGroup &g = ready_groups.front();
			const auto n = static_cast<uint32_t>(std::min(g.packets.size(), room - out.size()));
			runs.push_back({static_cast<uint32_t>(out.size()), n, g.hash, g.reason});
			for (uint32_t i = 0; i < n; i++) {
				out.push_back(g.packets.front().id);
				g.packets.pop_front();
			}
			if (g.packets.empty())
				ready_groups.pop_front();
		}
	}

	// Runs of what came in a row, at one time.
	void give_straight(uint32_t room, uint32_t run_room)
	{
		uint64_t arrival = 0;
		for (; !straight.empty() && out.size() < room; straight.pop_front()) {
			const ModelPacket &packet = straight.front();
			if (runs.empty() || runs.back().hash != packet.hash || arrival != packet.arrival) {
				if (runs.size() == run_room)
					return;
				runs.push_back(
					{static_cast<uint32_t>(out.size()), 0, packet.hash, REFRAMER_BY_DEADLINE});
			}
			arrival = packet.arrival;
			runs.back().count++;
			out.push_back(packet.id);
		}
	}

	void give(uint32_t room, uint32_t run_room, uint64_t limit, uint32_t reason)
	{
		out.clear();
		runs.clear();
		give_straight(room, run_room);
		if (!straight.empty())
			return;
		give_ready(room, run_room);
		while (out.size() < room && runs.size() < run_room) {
			const size_t q = first_due(limit).queue;
			if (q == queues.size())
				return;
			// A queue gives all that it has due before another one is looked at.
			while (!queues[q].empty() && queues[q].front().deadline <= limit && out.size() < room &&
			       runs.size() < run_room) {
				ready({q, queues[q].begin()}, reason);
				give_ready(room, run_room);
			}
		}
	}

	reframer_params p;
	uint32_t policy = REFRAMER_FIXED;
	bool eager = false;
	std::vector<Queue> queues; // one a distinct delay; the first is the policy's
	std::vector<uint64_t> delays;
	std::map<uint32_t, Where> index; // waiting groups by hash
	Queue ready_groups;
	std::deque<ModelPacket> unread, straight;
	std::set<uint32_t> seen;
	bool polled = false;
	uint64_t last_poll = 0;
};

} // namespace reframer::test
