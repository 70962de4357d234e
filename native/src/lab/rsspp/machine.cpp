// What a core does in a poll, and what becomes of a decision to move buckets.
#include "lab/rsspp/machine.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::lab {

void Machine::serve(Core &core, const Arrival &a)
{
	const uint64_t work = service();
	core.now_ns += work;
	core.busy_ns += work;
	own_ns[a.slot] += uint32_t(work);
	core.packets++;
	served++;
	uint32_t &last = next_out[a.order];
	if (a.sequence != last + 1)
		result.reordered++;
	last = std::max(last, a.sequence);
	if (measuring) {
		result.processed++;
		latency.add(core.now_ns - a.time_ns);
	}
}

// Up to so many packets, with what the hand-over refused before, in `refused`.
void Machine::receive(uint16_t id, uint32_t most)
{
	Core &core = cores[id];
	Ring &ring = port.rings[id];
	std::vector<Arrival *> &in = core.refused;
	while (in.size() < most && ring.length() > 0 && !free_list.empty()) {
		Arrival *a = free_list.back();
		free_list.pop_back();
		*a = ring.pop();
		a->polled_ns = core.now_ns;
		a->polled_by = id;
		a->own_ns = own_ns[a->slot];
		if (policy->wants_flows() && (core.received + in.size()) % sample_every == 0)
			sampled[a->hash]++;
		in.push_back(a);
	}
}

// Buckets leave, or will: all that is in the ring comes out without service, at the price of receiving
// alone. Not beyond one ring of packets inside, so that no method has more room than twice the ring; where
// there is time for it, not before all of the ring finds room. Announced buckets take several passes, the
// last one when the table is written, and an overloaded core's ring fills between them: for those there is
// half a ring more, and a little for the last.
void Machine::pass(uint16_t id)
{
	Core &core = cores[id];
	std::vector<Arrival *> &in = core.refused;
	const uint32_t spare = trial.prepare_ms > 0 ? trial.ring_depth / 2 : 0;
	const auto due = [&] {
		const uint32_t inside = rsspp_handover_backlog(handover, id);
		return (inside < trial.ring_depth + spare + spare / 4 &&
		        rsspp_handover_draining(handover, id)) ||
		       (inside + port.rings[id].length() <= trial.ring_depth + spare &&
		        rsspp_handover_preparing(handover, id));
	};
	while (due()) {
		receive(id, burst_size);
		uint32_t hashes[burst_size];
		for (size_t i = 0; i < in.size(); i++) {
			hashes[i] = in[i]->slot;
			in[i]->queued_by = id;
		}
		const uint32_t nb = uint32_t(in.size());
		const uint32_t taken = rsspp_handover_absorb(
			handover, id, reinterpret_cast<void *const *>(in.data()), hashes, nb);
		in.erase(in.begin(), in.begin() + taken);
		core.received += taken;
		const uint64_t work = uint64_t(trial.absorb_ns * taken);
		core.now_ns += work;
		core.busy_ns += work;
		const int64_t waiting = int64_t(port.rings[id].length() + in.size());
		core.gives_up =
			rsspp_handover_poll(handover, id, core.received, waiting, core.leaving.data());
		if (core.gives_up > 0 || nb == 0 || taken < nb)
			break;
	}
}

// A core with nothing to do sleeps until something can happen to it: a packet, which wakes it, or `until`.
void Machine::rest(uint16_t id, uint64_t until_ns)
{
	Core &core = cores[id];
	if (ring_of(id).length() > 0 || !core.refused.empty() ||
	    rsspp_handover_in_progress(handover) > 0 || write_pending || !planned.empty() ||
	    rsspp_handover_backlog(handover, id) > 0)
		return;
	core.rests_from_ns = core.now_ns;
	core.now_ns = std::max(core.now_ns, until_ns);
	port.sleep(id);
}

void Machine::wake_all(uint64_t at_ns)
{
	for (uint16_t c = 0; port.sleepers() > 0 && c < trial.cores; c++)
		if (port.sleeps(c))
			wake(c, at_ns);
}

void Machine::wake(uint16_t id, uint64_t at_ns)
{
	port.wake(id);
	Core &core = cores[id];
	core.now_ns = std::min(core.now_ns, std::max(core.rests_from_ns, at_ns));
}

// How long a packet waited because its bucket moved: from the table write, or from when it was received
// if that was later, until its service begins. Before the write it waited as it would have in its ring, and
// so it does behind packets that its own core has inside. Besides: what of that was not the service of
// earlier packets of its bucket, which order demands whoever serves them.
void Machine::note_hold(uint16_t id, const Arrival &a)
{
	const bool came_along = a.polled_by != id; // set aside for this core, or forwarded
	if (!came_along && (a.polled_ns > given_ns[a.slot] || a.queued_by == id))
		return;
	const uint64_t written = written_ns[a.slot];
	const uint64_t hold = cores[id].now_ns - std::max(a.polled_ns, written);
	const uint32_t own = own_ns[a.slot] - (a.polled_ns > written ? a.own_ns : own_at_write[a.slot]);
	hold_max_ns = std::max(hold_max_ns, hold);
	hold_beyond_max_ns = std::max(hold_beyond_max_ns, hold - std::min<uint64_t>(hold, own));
}

bool Machine::poll(uint16_t id)
{
	Core &core = cores[id];
	const uint64_t started_at = core.now_ns;
	if (port.dispatch != Dispatch::table) { // no ownership to respect, no order kept
		Ring &ring = ring_of(id);
		if (ring.length() == 0)
			core.now_ns += empty_poll_ns;
		for (uint32_t n = 0; n < burst_size && ring.length() > 0; n++)
			serve(core, ring.pop());
		return false;
	}
	// What this core did in its last poll is over now, and not earlier for the others, whose clocks have
	// come up to here.
	if (core.gives_up > 0)
		rsspp_handover_release(handover, id);
	for (; core.gives_up > 0; core.gives_up--)
		given_ns[core.leaving[core.gives_up - 1]] = core.now_ns;
	if (trial.passes)
		pass(id);
	if (core.gives_up > 0)
		return true;
	std::vector<Arrival *> &in = core.refused;
	// What waits inside comes first, and is not added to.
	if (rsspp_handover_backlog(handover, id) < burst_size)
		receive(id, burst_size);
	void *out[burst_size];
	uint32_t hashes[burst_size], out_hashes[burst_size], nb_out = 0;
	const bool behind = rsspp_handover_backlog(handover, id) > 0;
	for (size_t i = 0; i < in.size(); i++) {
		hashes[i] = in[i]->slot;
		if (behind)
			in[i]->queued_by = id;
	}
	// A core that is in a long poll when the table is written keeps the gaining one waiting for all of it.
	const bool moving = !planned.empty() || rsspp_handover_in_progress(handover) > 0;
	const uint32_t room = moving ? trial.moving_burst : burst_size;
	const uint32_t taken =
		rsspp_handover_admit(handover, id, reinterpret_cast<void *const *>(in.data()), hashes,
	                         uint32_t(in.size()), out, out_hashes, room, &nb_out);
	in.erase(in.begin(), in.begin() + taken);
	core.received += taken;
	for (uint32_t i = 0; i < nb_out; i++) {
		Arrival *a = static_cast<Arrival *>(out[i]);
		note_hold(id, *a);
		serve(core, *a);
		free_list.push_back(a);
	}
	const int64_t waiting = int64_t(port.rings[id].length() + in.size());
	core.gives_up = rsspp_handover_poll(handover, id, core.received, waiting, core.leaving.data());
	if (core.now_ns == started_at)
		core.now_ns += empty_poll_ns;
	if (port.sleepers() > 0) { // one of them may have got a late packet
		rsspp_handover_stats stats;
		rsspp_handover_get_stats(handover, id, &stats);
		if (stats.forwarded != core.forwarded)
			wake_all(core.now_ns);
		core.forwarded = stats.forwarded;
	}
	return nb_out == room;
}

void Machine::apply(const std::vector<rsspp_move> &moves)
{
	if (moves.empty())
		return;
	wake_all(now_ns);
	const bool prepares = trial.passes && trial.prepare_ms > 0;
	for (const rsspp_move &move : moves) {
		if (!prepares)
			planned.push_back({move, 0});
		else if (rsspp_handover_prepare(handover, move.bucket) == 0)
			planned.push_back({move, now_ns + uint64_t(trial.prepare_ms * 1e6)});
		else
			policy->reject(move); // a bucket on its way stays
	}
	begin_prepared();
}

void Machine::begin_prepared()
{
	if (planned.empty() || write_pending) // a table that is being written takes no second write
		return;
	std::vector<std::pair<uint32_t, uint16_t>> entries;
	std::erase_if(planned, [&](const Planned &plan) {
		const rsspp_move &move = plan.move;
		if (now_ns < plan.until_ns && !rsspp_handover_prepared(handover, move.bucket))
			return false;
		if (rsspp_handover_begin(handover, move.bucket, move.to) == 0) {
			entries.emplace_back(move.bucket, move.to);
			written_ns[move.bucket] = now_ns;
			own_at_write[move.bucket] = own_ns[move.bucket];
		} else {
			policy->reject(move);
		}
		return true;
	});
	if (entries.empty())
		return;
	port.write(entries, now_ns, uint64_t(trial.write_us * 1e3), trial.write_pauses);
	write_pending = true;
	if (measuring)
		result.moves += entries.size();
}

void Machine::end_write()
{
	if (!write_pending || port.writing(now_ns))
		return;
	rsspp_handover_written(handover);
	write_pending = false;
}

} // namespace reframer::lab
