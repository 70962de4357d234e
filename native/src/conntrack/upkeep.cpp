// Time: what expires.
#include "conntrack/table.hpp"

#include <algorithm>
#include <cstring>

namespace reframer::conntrack {

namespace {

// Lines of a piece that hold an entry whose deadline has come. Which they are first, then what to
// do: a branch for each line would go wrong as often as one has something to do.
uint32_t sweep_piece(Table &t, Group &g, Region &r, uint32_t piece)
{
	Line *first = r.lines + size_t{piece} * lines_per_piece;
	Line *due[lines_per_piece];
	uint32_t nb = 0, expired = 0;
	for (Line *line = first; line < first + lines_per_piece; line++) {
		due[nb] = line;
		auto has = [&](uint32_t at) {
			return static_cast<uint32_t>(!line->token[at].empty()) &
			       static_cast<uint32_t>(is_due(line->clock[at].deadline(), t.tick));
		};
		nb += has(0) | has(1);
	}
	for (uint32_t i = 0; i < nb; i++)
		for (uint32_t at = 0; at < 2; at++) {
			Cell c{&r, due[i], at};
			if (c.token().empty() || !is_due(c.clock().deadline(), t.tick) ||
			    !is_dead(t, c.clock()))
				continue;
			vacate(t, g, c, CONNTRACK_EXPIRED);
			expired++;
		}
	return expired;
}

void prefetch_piece(const Region &r, uint32_t piece)
{
	const Line *first = r.lines + size_t{piece} * lines_per_piece;
	asm volatile(""); // gcc drops calls of what only prefetches
	for (uint32_t i = 0; i < lines_per_piece; i++)
		__builtin_prefetch(first + i, 1);
}

// @return whether the region's end was reached.
bool sweep_region(Table &t, Group &g, Region &r, uint32_t &nb_pieces, uint32_t &expired)
{
	const uint32_t end = r.next_pages * pieces_per_page;
	while (nb_pieces && r.sweep_next < end) {
		// Between what has not moved yet and where it moves to is nothing.
		if (r.growing() && r.sweep_next / pieces_per_page >= r.end_unmoved() &&
		    r.sweep_next / pieces_per_page < r.first_moved()) {
			r.sweep_next = r.first_moved() * pieces_per_page;
			continue;
		}
		expired += sweep_piece(t, g, r, r.sweep_next++);
		nb_pieces--;
		if (r.sweep_next < end)
			prefetch_piece(r, r.sweep_next); // for the next turn, or the next call
	}
	return r.sweep_next >= end;
}

void leap(Table &t, Group &g, Region &r, uint64_t from)
{
	each_cell(r, [&](const Cell &c) {
		// Sweeps keep every deadline within 2^15 ticks of the latest tick.
		uint64_t deadline = from + static_cast<uint64_t>(static_cast<int64_t>(static_cast<int16_t>(
									   c.clock().deadline() - static_cast<uint16_t>(from))));
		if (deadline > t.tick)
			return;
		if (is_dead_since(t, c.clock(), deadline))
			vacate(t, g, c, CONNTRACK_EXPIRED);
	});
	r.sweep_next = 0;
}

} // namespace

bool advance(Table &t, uint64_t now_ns)
{
	if (now_ns == CONNTRACK_NO_TIME)
		return false;
	uint64_t tick = now_ns / t.tick_ns;
	if (tick <= t.tick)
		return true;
	uint64_t from = t.tick;
	t.tick = tick;
	if (tick - from > sweep_limit) {
		for (uint32_t i = 0; i < t.group_storage.size(); i++)
			if (Group *g = t.groups[i])
				sweep_leap(t, *g, from);
		t.check_sweeps_at = tick + sweep_grace;
	} else if (tick >= t.check_sweeps_at) {
		for (uint32_t i = 0; i < t.group_storage.size(); i++) {
			Group *g = t.groups[i];
			while (g && tick - g->swept_at > sweep_limit) {
				uint32_t all = UINT32_MAX;
				sweep(t, *g, all);
			}
		}
		t.check_sweeps_at = tick + sweep_grace;
	}
	return true;
}

uint32_t pieces_of(const Group &g)
{
	return (g.main.next_pages + (g.stash.flows ? g.stash.next_pages : 0)) * pieces_per_page;
}

uint32_t sweep(Table &t, Group &g, uint32_t &nb_pieces)
{
	uint32_t expired = 0;
	if (!sweep_region(t, g, g.main, nb_pieces, expired))
		return expired;
	if (g.stash.flows && !sweep_region(t, g, g.stash, nb_pieces, expired))
		return expired;
	g.main.sweep_next = g.stash.sweep_next = 0;
	g.swept_at = t.tick;
	return expired;
}

void sweep_leap(Table &t, Group &g, uint64_t from)
{
	leap(t, g, g.main, from);
	leap(t, g, g.stash, from);
	g.swept_at = t.tick;
}

} // namespace reframer::conntrack
