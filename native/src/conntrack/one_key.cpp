// One key at a time: what a burst does with the keys that its fast steps do not settle.
#include "conntrack/table.hpp"

#include <algorithm>
#include <cstring>

namespace reframer::conntrack {

namespace {

bool has_time_left(const Table &t, const Cell &c)
{
	return !is_due(c.clock().deadline(), t.tick) || !is_dead(t, c.clock());
}

// A live entry of the key, refreshed; a dead one is taken out.
Cell find_live(Table &t, Group &g, const Sought &key, bool timed)
{
	Cell c = find_cell(t, g, key);
	if (!c || !timed)
		return c;
	if (!has_time_left(t, c)) [[unlikely]] {
		vacate(t, g, c, CONNTRACK_EXPIRED);
		return {};
	}
	const uint32_t timeout_class = c.clock().timeout_class();
	c.clock() = Clock::make(static_cast<uint16_t>(t.tick + t.arm[timeout_class]), timeout_class, 0);
	return c;
}

// Takes dead entries out of a line.
uint32_t bury(Table &t, Group &g, Region &r, Line &line)
{
	uint32_t nb = 0;
	for (uint32_t at = 0; at < 2; at++) {
		Cell c{&r, &line, at};
		if (c.token().empty() || has_time_left(t, c)) [[likely]]
			continue;
		vacate(t, g, c, CONNTRACK_EXPIRED);
		nb++;
	}
	return nb;
}

struct Victim {
	Cell cell;
	int left = INT32_MAX; // ticks to its deadline
};

// The unprotected entry of a line whose deadline comes first, if it comes before the victim's.
void consider(const Table &t, const Cell &c, const HandedOut &out, Victim &victim)
{
	if (c.token().empty() || t.protected_classes >> c.clock().timeout_class() & 1)
		return;
	int left = static_cast<int16_t>(c.clock().deadline() - static_cast<uint16_t>(t.tick));
	if (left >= victim.left)
		return;
	const void *state = state_of(t, c);
	for (uint32_t i = 0; i < out.nb; i++)
		if (out.states[i] == state)
			return;
	victim = {c, left};
}

// The unprotected entry whose deadline comes first: of the key's two lines in a region, or else of
// its page.
Cell victim_in(const Table &t, Region &r, uint64_t digest, const HandedOut &out)
{
	Line *page = page_at(r, page_of(t, r, digest));
	const uint32_t home = digest_line(digest);
	Victim victim;
	for (uint32_t line : {home, home ^ digest_way(digest)})
		for (uint32_t at = 0; at < 2; at++)
			consider(t, {&r, page + line, at}, out, victim);
	for (uint32_t line = 0; !victim.cell && line < lines_per_page; line++)
		for (uint32_t at = 0; at < 2; at++)
			consider(t, {&r, page + (home ^ line), at}, out, victim);
	return victim.cell;
}

// Before a victim is chosen: what pointers of a long call lead to could not be told from others.
void keep_up(Table &t, const HandedOut &out)
{
	if (t.relocated)
		t.operations->look_again(t, out.keys, out.digests, out.nb, out.states);
	t.follows = true;
}

// @return whether there was one to take out.
bool evict(Table &t, Group &g, uint64_t digest, const HandedOut &out)
{
	keep_up(t, out);
	const Cell victim = victim_in(t, g.main, digest, out);
	if (victim)
		vacate(t, g, victim, CONNTRACK_EVICTED);
	return bool(victim);
}

// Where a NIC hash is flooded, what fills the table lies in a stash, which no other key's page
// leads to: without this, a flood on one page would keep all new flows out until it times out.
bool evict_flood(Table &t, uint64_t digest, const HandedOut &out)
{
	Group *g = t.groups[t.flooded_group];
	if (!g || !g->flooded.nb)
		return false;
	keep_up(t, out);
	const Cell victim = victim_in(t, g->stash, digest, out);
	if (victim)
		vacate(t, *g, victim, CONNTRACK_EVICTED);
	return bool(victim);
}

// The table is full by its count: a dead entry goes, or one that may be evicted.
bool make_place(Table &t, Group &g, Line *page, bool timed, uint64_t digest, const HandedOut &out)
{
	if (t.flows < t.max_flows)
		return true;
	if (!(t.flags & CONNTRACK_NO_EVICTION))
		return evict_flood(t, digest, out) || evict(t, g, digest, out);
	for (uint32_t line = 0; timed && line < lines_per_page; line++)
		if (bury(t, g, g.main, page[line]))
			return true;
	return false;
}

Cell place_in_stash(Table &t, Group &g, const Sought &key, Line &home, const HandedOut &out)
{
	Cell c = place(t, g.stash, key.digest, out);
	if (!c) {
		// The next call finds it larger.
		g.stash.grow_at = std::min(g.stash.grow_at, g.stash.flows);
		start_growth(t, g, g.stash);
		return c;
	}
	if (home.nb_spilled != full_count)
		home.nb_spilled++;
	home.filter |= static_cast<uint16_t>(1u << digest_filter(key.digest));
	if (t.flags & CONNTRACK_NIC_HASH && home.nb_spilled > many_spilled) {
		g.flooded.add(digest_position(key.digest));
		t.flooded_group = g.index;
	}
	return c;
}

Cell insert(Table &t, Group &g, const Sought &key, bool timed, const HandedOut &out)
{
	Region &r = g.main;
	Line *page = page_at(r, page_of(t, r, key.digest));
	const uint32_t home = digest_line(key.digest), second = home ^ digest_way(key.digest);
	if (timed) {
		bury(t, g, r, page[home]);
		bury(t, g, r, page[second]);
	}
	Cell to;
	if (make_place(t, g, page, timed, key.digest, out)) [[likely]] {
		// Where a NIC hash is flooded its page is full, and a search there finds only that.
		const bool flooded = g.flooded.nb && g.flooded.has(digest_position(key.digest));
		if (!flooded) [[likely]]
			to = place(t, r, key.digest, out);
		if (!to) [[unlikely]]
			to = place_in_stash(t, g, key, page[home], out);
		if (!to && flooded) [[unlikely]]
			to = place(t, r, key.digest, out);
		if (!to && !(t.flags & CONNTRACK_NO_EVICTION) && evict(t, g, key.digest, out)) [[unlikely]]
			to = place(t, r, key.digest, out);
	}
	if (!to) [[unlikely]] {
		t.refused++;
		return to;
	}
	fill(t, to, key.token, key.digest, key.swapped);
	to.clock() = Clock::make(static_cast<uint16_t>(t.tick + t.arm[0]), 0, 0);
	if (t.key_size == CONNTRACK_KEY_IPV6)
		std::memcpy(body_of(t, to), key.key, CONNTRACK_KEY_IPV6);
	std::memset(state_of(t, to), 0, t.state_size);
	t.flows++;
	t.inserted++;
	Region &in = *to.region;
	in.inserts += in.growing();
	if (in.flows >= in.grow_at && !in.growing()) [[unlikely]]
		start_growth(t, g, in);
	return to;
}

} // namespace

bool settle(Table &t, const Sought &key, uint32_t i, bool timed, bool inserting,
            const HandedOut &out, uint8_t *results)
{
	Group *g = t.groups[group_of(t, digest_position(key.digest))];
	if (!g) [[unlikely]] {
		t.not_owned++;
		return false;
	}
	Cell c = find_live(t, *g, key, timed);
	if (inserting && !c) {
		c = insert(t, *g, key, timed, out);
		if (c && results)
			results[i] = CONNTRACK_NEW;
	}
	if (!c)
		return false;
	out.states[i] = state_of(t, c);
	return true;
}

bool remove_one(Table &t, const Sought &key, bool timed)
{
	Group *g = t.groups[group_of(t, digest_position(key.digest))];
	if (!g) {
		t.not_owned++;
		return false;
	}
	Cell c = find_cell(t, *g, key);
	if (!c)
		return false;
	bool dead = timed && !has_time_left(t, c);
	vacate(t, *g, c, dead ? CONNTRACK_EXPIRED : CONNTRACK_REMOVED);
	return !dead;
}

void find_again(Table &t, const Sought &key, void **state)
{
	Group *g = t.groups[group_of(t, digest_position(key.digest))];
	if (Cell c = *state && g ? find_cell(t, *g, key) : Cell())
		*state = state_of(t, c);
}

} // namespace reframer::conntrack
