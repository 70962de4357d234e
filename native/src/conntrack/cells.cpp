// One entry: where it is, what it was, how it goes, how others make room for it.
#include "conntrack/parameters.hpp"
#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace reframer::conntrack {

namespace {

bool same_body(const Table &t, const Cell &c, const uint8_t *key)
{
	return t.key_size == CONNTRACK_KEY_IPV4 ||
	       std::memcmp(body_of(t, c), key, CONNTRACK_KEY_IPV6) == 0;
}

Cell find_in(const Table &t, Region &r, const Sought &key, Line **home_line)
{
	Line *page = page_at(r, page_of(t, r, key.digest));
	const uint32_t home = digest_line(key.digest);
	if (home_line)
		*home_line = page + home;
	for (Line *line : {page + home, page + (home ^ digest_way(key.digest))})
		for (uint32_t at = 0; at < 2; at++)
			if (Cell c{&r, line, at}; c.token() == key.token && same_body(t, c, key.key))
				return c;
	return {};
}

// The line of the main region in whose books this entry of the stash is.
Line &books_of(const Table &t, Group &g, uint64_t digest)
{
	Region &r = g.main;
	return page_at(r, page_of(t, r, digest))[digest_line(digest)];
}

// An entry that waits for its sweep is looked at again here: where it goes, the sweep may have
// been.
void settle_clock(const Table &t, Clock &clock)
{
	if (!is_due(clock.deadline(), t.tick) || !is_dead(t, clock))
		return;
	// Due now, and in its last horizon: with fewer rounds it would have the rest of a long timeout anew.
	const uint32_t timeout_class = clock.timeout_class();
	clock = Clock::make(static_cast<uint16_t>(t.tick), timeout_class,
	                    (t.timeout[timeout_class] - 1) / horizon);
}

void follow(void **states, uint32_t nb, const void *from, void *to)
{
	for (uint32_t i = 0; i < nb; i++)
		states[i] = states[i] == from ? to : states[i];
}

// Moves an entry to an empty cell of its other line.
void move_over(Table &t, const Cell &from, const Cell &to, const HandedOut &out)
{
	Line &l = *from.line, &m = *to.line;
	m.token[to.at] = l.token[from.at];
	m.word[to.at] = l.word[from.at];
	settle_clock(t, l.clock[from.at]);
	m.clock[to.at] = l.clock[from.at];
	m.bits[to.at] = l.bits[from.at] ^ bit_second;
	m.filter_of[to.at] = l.filter_of[from.at];
	l.token[from.at] = {};
	if (l.bits[from.at] & bit_second) {
		if (--m.nb_away == 0 && m.nb_spilled == 0)
			m.filter = 0;
	} else {
		l.nb_away++;
		l.filter |= static_cast<uint16_t>(1u << l.filter_of[from.at]);
	}
	if (t.body_stride)
		std::memcpy(body_of(t, to), body_of(t, from), t.body_stride);
	// Of a long call those that it is at work on, where it asks them for directions.
	const uint32_t followed = t.follows                       ? out.nb
	                          : t.flags & CONNTRACK_SYMMETRIC ? std::min(out.nb, latest_followed)
	                                                          : 0;
	t.relocated |= followed != out.nb;
	follow(out.states + (out.nb - followed), followed, state_of(t, from), state_of(t, to));
}

[[gnu::always_inline]] inline uint32_t empty_cell(const Line &line)
{
	return line.token[0].empty() ? 0 : line.token[1].empty() ? 1 : 2;
}

// Both lines are full: breadth-first over the other lines of their entries, inside the page, until
// one has room; then moves along the way back. @return the cell that got empty in one of the two
// lines.
Cell make_hole(Table &t, Region &r, Line *page, uint32_t first, uint32_t second,
               const HandedOut &out)
{
	struct Step {
		uint8_t line, parent, at; // at: the parent's cell whose entry would come here
	};
	constexpr uint8_t none = UINT8_MAX;
	Step steps[lines_per_page];
	uint32_t nb = 0;
	uint64_t seen = uint64_t{1} << first | uint64_t{1} << second;
	steps[nb++] = {static_cast<uint8_t>(first), none, 0};
	steps[nb++] = {static_cast<uint8_t>(second), none, 0};
	for (uint32_t root : {first, second})
		for (uint32_t at = 0; at < 2; at++)
			__builtin_prefetch(page + (root ^ way_of(page[root], at)), 1);
	for (uint32_t i = 0; i < nb; i++)
		for (uint32_t at = 0; at < 2; at++) {
			const uint32_t line = steps[i].line, next = line ^ way_of(page[line], at);
			if (seen >> next & 1)
				continue;
			seen |= uint64_t{1} << next;
			uint32_t hole = empty_cell(page[next]);
			if (hole == 2) {
				steps[nb++] = {static_cast<uint8_t>(next), static_cast<uint8_t>(i),
				               static_cast<uint8_t>(at)};
				continue;
			}
			Cell to{&r, page + next, hole}, from{&r, page + line, at};
			for (uint32_t step = i;; step = steps[step].parent) {
				move_over(t, from, to, out);
				if (steps[step].parent == none)
					return from;
				to = from;
				from = {&r, page + steps[steps[step].parent].line, steps[step].at};
			}
		}
	return {};
}

} // namespace

uint64_t digest_of(const Table &t, const Cell &c)
{
	uint64_t digest = t.operations->token_digest(t, c.token());
	if (t.flags & CONNTRACK_NIC_HASH) {
		uint32_t position;
		std::memcpy(&position, body_of(t, c) + t.position_at, sizeof(position));
		digest = (digest & ~uint64_t{UINT32_MAX}) | position;
	}
	return digest;
}

void key_of(const Table &t, const Cell &c, uint8_t *key)
{
	if (t.key_size == CONNTRACK_KEY_IPV6) {
		std::memcpy(key, body_of(t, c), CONNTRACK_KEY_IPV6);
		return;
	}
	const uint64_t words[2] = {c.token().low ^ t.hash_key.round[0][0],
	                           c.token().high ^ t.hash_key.round[0][1]};
	std::memcpy(key, words, sizeof(words));
}

Cell cell_of_state(const Table &t, const void *state)
{
	if (t.inline_state) {
		auto address = reinterpret_cast<uintptr_t>(state);
		auto *line = reinterpret_cast<Line *>(address & ~uintptr_t{63});
		return {nullptr, line, static_cast<uint32_t>(address >> 3 & 1)};
	}
	const uint8_t *body = static_cast<const uint8_t *>(state) - t.state_at;
	Group *g = t.groups[0];
	if (t.group_bits) {
		uint32_t position;
		std::memcpy(&position, body + t.position_at, sizeof(position));
		g = t.groups[group_of(t, position)];
	}
	const auto inside = [&](const Region &r) {
		return body >= r.bodies && body < r.bodies + r.body_memory.room();
	};
	Region &r = inside(g->main) ? g->main : g->stash;
	size_t index = static_cast<size_t>(body - r.bodies) / t.body_stride;
	return {&r, r.lines + index / 2, static_cast<uint32_t>(index % 2)};
}

void prefetch_bodies(const Table &t, uint64_t digest)
{
	Group *g = t.groups[group_of(t, digest_position(digest))];
	if (!g)
		return;
	const Region &r = g->main;
	const Line *page = page_at(r, page_of(t, r, digest));
	asm volatile(""); // gcc drops calls of what only prefetches
	for (bool second : {false, true}) {
		const Line *line = page + (digest_line(digest) ^ (second ? digest_way(digest) : 0));
		for (uint32_t at = 0; at < 2; at++)
			if (!((line->bits[at] ^ bits_of(digest, second)) & ~bit_swapped) &&
			    line->filter_of[at] == digest_filter(digest))
				prefetch_body(t, body_of(t, r, line, at));
	}
}

Cell find_cell(const Table &t, Group &g, const Sought &key)
{
	Line *home = nullptr;
	if (Cell c = find_in(t, g.main, key, &home))
		return c;
	if (home->nb_spilled && home->filter >> digest_filter(key.digest) & 1 && g.stash.flows)
		return find_in(t, g.stash, key, nullptr);
	return {};
}

bool is_dead_since(const Table &t, Clock &clock, uint64_t deadline)
{
	uint64_t idle = uint64_t{clock.rounds()} * horizon;
	if (is_over(t.timeout[clock.timeout_class()], horizon, idle, deadline, t.tick))
		return true;
	clock = Clock::make(static_cast<uint16_t>(deadline), clock.timeout_class(), idle / horizon);
	return false;
}

bool is_dead(const Table &t, Clock &clock)
{
	auto late = static_cast<uint16_t>(static_cast<uint16_t>(t.tick) - clock.deadline());
	return is_dead_since(t, clock, t.tick - late);
}

void vacate(Table &t, Group &g, const Cell &c, int reason)
{
	if (t.on_removed) {
		alignas(8) uint8_t key[CONNTRACK_KEY_IPV6];
		key_of(t, c, key);
		t.on_removed(t.context, key, state_of(t, c), reason);
	}
	Line &line = *c.line;
	if (c.region->stash) {
		Line &books = books_of(t, g, digest_of(t, c));
		if (books.nb_spilled != full_count && --books.nb_spilled == 0 && books.nb_away == 0)
			books.filter = 0;
	}
	line.token[c.at] = {};
	if (line.bits[c.at] & bit_second) {
		Line &home = c.other_line();
		if (--home.nb_away == 0 && home.nb_spilled == 0)
			home.filter = 0;
	}
	c.region->flows--;
	t.flows--;
	if (c.region->stash && c.region->flows == 0)
		g.flooded.nb = 0;
	(reason == CONNTRACK_EXPIRED   ? t.expired
	 : reason == CONNTRACK_EVICTED ? t.evicted
	                               : t.removed)++;
}

Cell place(Table &t, Region &r, uint64_t digest, const HandedOut &out)
{
	Line *page = page_at(r, page_of(t, r, digest));
	const uint32_t home = digest_line(digest), second = home ^ digest_way(digest);
	for (uint32_t line : {home, second})
		if (uint32_t at = empty_cell(page[line]); at != 2)
			return {&r, page + line, at};
	return make_hole(t, r, page, home, second, out);
}

void fill(const Table &t, const Cell &c, const Token &token, uint64_t digest, bool swapped)
{
	Line &line = *c.line;
	const bool second = static_cast<uint32_t>(c.line - c.page()) != digest_line(digest);
	line.token[c.at] = token;
	line.bits[c.at] = static_cast<uint8_t>(bits_of(digest, second) | (swapped ? bit_swapped : 0));
	line.filter_of[c.at] = static_cast<uint8_t>(digest_filter(digest));
	if (second) {
		Line &home = c.other_line();
		home.nb_away++;
		home.filter |= static_cast<uint16_t>(1u << digest_filter(digest));
	}
	if (t.flags & CONNTRACK_NIC_HASH) {
		uint32_t position = digest_position(digest);
		std::memcpy(body_of(t, c) + t.position_at, &position, sizeof(position));
	}
	c.region->flows++;
}

} // namespace reframer::conntrack
