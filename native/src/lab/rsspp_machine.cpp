// What a core does in a poll, and what becomes of a decision to move buckets.
#include "lab/rsspp_machine.hpp"


#include <algorithm>
#include <cmath>

namespace reframer::lab {

void Machine::serve(Core &core, const Arrival &a)
{
	const uint64_t work = service();
	core.now_ns += work;
	core.busy_ns += work;
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
		if (policy->wants_flows() && (core.received + in.size()) % sample_every == 0)
			sampled[a->hash]++;
		in.push_back(a);
	}
}

// Buckets leave: all that is in the ring comes out without service, at the price of receiving alone. Not
// beyond one ring of packets inside, so that no method has more room than twice the ring.
void Machine::pass(uint16_t id)
{
	Core &core = cores[id];
	std::vector<Arrival *> &in = core.refused;
	while (rsspp_handover_draining(handover, id) && rsspp_handover_backlog(handover, id) < trial.ring_depth) {
		receive(id, burst_size);
		uint32_t hashes[burst_size];
		for (size_t i = 0; i < in.size(); i++) {
			hashes[i] = in[i]->slot;
			in[i]->absorbed_by = id;
		}
		const uint32_t nb = uint32_t(in.size());
		const uint32_t taken = rsspp_handover_absorb(handover, id, reinterpret_cast<void *const *>(in.data()), hashes, nb);
		in.erase(in.begin(), in.begin() + taken);
		core.received += taken;
		const uint64_t work = uint64_t(trial.absorb_ns * taken);
		core.now_ns += work;
		core.busy_ns += work;
		const int64_t waiting = int64_t(port.rings[id].length() + in.size());
		core.gives_up = rsspp_handover_poll(handover, id, core.received, waiting, leaving.data()) > 0;
		if (core.gives_up || nb == 0 || taken < nb)
			break;
	}
}

void Machine::poll(uint16_t id)
{
	Core &core = cores[id];
	port.run_until(core.now_ns);
	const uint64_t started_at = core.now_ns;
	if (port.dispatch != Dispatch::table) { // no ownership to respect, no order kept
		Ring &ring = ring_of(id);
		if (ring.length() == 0)
			core.now_ns += empty_poll_ns;
		for (uint32_t n = 0; n < burst_size && ring.length() > 0; n++)
			serve(core, ring.pop());
		return;
	}
	// What this core did in its last poll is over now, and not earlier for the others, whose clocks have
	// come up to here.
	if (core.gives_up)
		rsspp_handover_release(handover, id);
	core.gives_up = false;
	if (trial.passes)
		pass(id);
	if (core.gives_up)
		return;
	std::vector<Arrival *> &in = core.refused;
	// What waits inside comes first, and is not added to.
	if (rsspp_handover_backlog(handover, id) < burst_size)
		receive(id, burst_size);
	void *out[burst_size];
	uint32_t hashes[burst_size], out_hashes[burst_size], nb_out = 0;
	for (size_t i = 0; i < in.size(); i++)
		hashes[i] = in[i]->slot;
	const uint32_t taken = rsspp_handover_admit(handover, id, reinterpret_cast<void *const *>(in.data()), hashes,
	                                            uint32_t(in.size()), out, out_hashes, burst_size, &nb_out);
	in.erase(in.begin(), in.begin() + taken);
	core.received += taken;
	const uint64_t polled_at = core.now_ns;
	for (uint32_t i = 0; i < nb_out; i++) {
		Arrival *a = static_cast<Arrival *>(out[i]);
		// In the backlog of its own core a packet waits no longer than it would have in the ring.
		if (a->absorbed_by != id)
			hold_max_ns = std::max(hold_max_ns, polled_at - a->polled_ns);
		serve(core, *a);
		free_list.push_back(a);
	}
	const int64_t waiting = int64_t(port.rings[id].length() + in.size());
	core.gives_up = rsspp_handover_poll(handover, id, core.received, waiting, leaving.data()) > 0;
	if (core.now_ns == started_at)
		core.now_ns += empty_poll_ns;
}

void Machine::apply(const std::vector<rsspp_move> &moves)
{
	std::vector<std::pair<uint32_t, uint16_t>> entries;
	for (const rsspp_move &move : moves) {
		// A table that is being written takes no second write; a bucket on its way stays, too.
		if (!write_pending && rsspp_handover_begin(handover, move.bucket, move.to) == 0)
			entries.emplace_back(move.bucket, move.to);
		else
			policy->reject(move);
	}
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
	port.run_until(now_ns);
	rsspp_handover_written(handover);
	write_pending = false;
}

} // namespace reframer::lab
