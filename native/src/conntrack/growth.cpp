// Growth in small steps: homes move in order, so one number tells where a key lives.
#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace reframer::conntrack {

bool Generation::map(uint32_t buckets, uint32_t stride)
{
	size_t all = size_t{buckets} + max_distance;
	if (!header_pages.map(all * sizeof(Header)) ||
	    !entry_pages.map(all * slots_per_bucket * stride)) {
		header_pages.release();
		return false;
	}
	headers = reinterpret_cast<Header *>(header_pages.data());
	entries = entry_pages.data();
	nb_buckets = buckets;
	return true;
}

namespace {

void set_growth_point(const Table &t, Group &g)
{
	g.grow_at = t.flags & CONNTRACK_FIXED_SIZE
	    ? UINT64_MAX
	    : static_cast<uint64_t>(double(g.now.nb_buckets) * slots_per_bucket * grow_at_load);
}

Slot empty_from(const Table &t, Group &g, uint32_t position, uint32_t distance)
{
	Place home = locate(t, g, position);
	for (uint32_t bucket = home.bucket; bucket <= home.bucket + distance; bucket++)
		if (uint32_t empty = empty_slots(home.generation->headers[bucket]))
			return {home.generation, bucket, static_cast<uint32_t>(std::countr_zero(empty))};
	return {};
}

// Moves one entry to where the digest lives from now on. The frontier is already past its home.
void move_entry(Table &t, Group &g, Header &from, uint32_t slot, uint8_t *entry)
{
	uint64_t digest = (uint64_t{from.tag[slot]} << 56) | meta_of(t, entry).position;
	Slot to = empty_from(t, g, digest_position(digest), max_distance);
	if (!to)
		digest = digest_of_entry(t, entry);
	for (uint32_t spill = 1; !to && spill <= nb_spill_homes; spill++) {
		to = empty_from(t, g, spill_position(digest, spill), near_distance);
		to.spill = spill;
	}
	const uint8_t tag = from.tag[slot];
	const bool patient = from.patient >> slot & 1, shielded = from.shielded >> slot & 1;
	// At once: the next entry may come here, if it has to stay in this half.
	from.tag[slot] = 0;
	if ((from.guest | from.patient | from.shielded) >> slot & 1)
		for (uint16_t *bits : {&from.guest, &from.patient, &from.shielded})
			set_bit(*bits, slot, false);
	t.moved++;
	if (!to) {
		// Every home is full although the new half is the emptier one: nothing but a
		// flood aimed at this place does that.
		if (t.on_removed)
			t.on_removed(t.context, entry, state_of(t, entry), CONNTRACK_EVICTED);
		t.evicted++;
		t.flows--;
		g.flows--;
		return;
	}
	Header &h = to.header();
	h.tag[to.slot] = tag;
	h.deadline[to.slot] = from.deadline[slot];
	if (shielded)
		set_bit(h.shielded, to.slot, true);
	if (patient)
		set_bit(h.patient, to.slot, true);
	uint8_t *copy = entry_at(t, *to.generation, to.bucket, to.slot);
	std::memcpy(copy, entry, t.stride);
	meta_of(t, copy).spilled = 0;
	note_residence(t, g, locate(t, g, digest_position(digest)), digest, to, copy);
}

// Does the entry at `bucket` have home `b`, or a spill home there if it is spilled?
bool belongs_to(const Table &t, const Group &g, uint32_t b, uint8_t *entry)
{
	auto bucket_of = [&](uint32_t position) {
		uint64_t inside = static_cast<uint32_t>(uint64_t{position} << t.group_bits);
		return static_cast<uint32_t>(inside * g.now.nb_buckets >> 32);
	};
	if (!meta_of(t, entry).spilled)
		return bucket_of(meta_of(t, entry).position) == b;
	uint64_t digest = digest_of_entry(t, entry);
	for (uint32_t i = 1; i <= nb_spill_homes; i++)
		if (bucket_of(spill_position(digest, i)) == b)
			return true;
	return false;
}

void move_bucket(Table &t, Group &g, uint32_t b)
{
	Header &old = g.now.headers[b];
	uint32_t last = b + std::max<uint32_t>(old.reach, g.spilled ? near_distance : 0);
	g.frontier = b + 1;
	if (old.nb_spilled) {
		// Positions of bucket b lie in [low, high]; so do the new homes that inherit its books.
		uint64_t n = g.now.nb_buckets;
		uint64_t low = ((uint64_t{b} << 32) + n - 1) / n;
		uint64_t high = (((uint64_t{b} + 1) << 32) + n - 1) / n - 1;
		for (uint64_t i = low * g.next.nb_buckets >> 32; i <= high * g.next.nb_buckets >> 32; i++) {
			g.next.headers[i].nb_spilled = unknown_spilled;
			g.next.headers[i].filter |= old.filter;
			if (g.next.headers[i].last_spill < old.last_spill)
				g.next.headers[i].last_spill = old.last_spill;
		}
	}
	g.away -= old.nb_away;
	for (uint32_t bucket = b; bucket <= last; bucket++) {
		Header &h = g.now.headers[bucket];
		// Who is no guest in b is at home there; behind it only guests can be.
		uint32_t used = ~empty_slots(h) & 0xffff;
		if (bucket != b)
			used &= h.guest;
		for (; used; used &= used - 1) {
			auto slot = static_cast<uint32_t>(std::countr_zero(used));
			uint8_t *entry = entry_at(t, g.now, bucket, slot);
			if (h.guest >> slot & 1 && !belongs_to(t, g, b, entry))
				continue;
			if (meta_of(t, entry).spilled) {
				Header &books = locate(t, g, meta_of(t, entry).position).header();
				if (books.nb_spilled != unknown_spilled)
					books.nb_spilled--;
				g.spilled--;
			}
			move_entry(t, g, h, slot, entry);
		}
	}
}

} // namespace

bool size_group(const Table &t, Group &g, uint64_t flows, uint32_t load_percent)
{
	uint64_t slots = flows * 100 / load_percent;
	uint64_t buckets = std::max<uint64_t>(smallest_group, (slots + slots_per_bucket - 1) / slots_per_bucket);
	if (!g.now.map(static_cast<uint32_t>(buckets), t.stride))
		return false;
	set_growth_point(t, g);
	return true;
}

namespace {

int start_growth_to(Table &t, Group &g, uint64_t buckets, bool touch)
{
	if (!g.next.map(static_cast<uint32_t>(buckets), t.stride)) {
		g.next = Generation();
		return -ENOMEM;
	}
	if (touch) {
		g.next.header_pages.touch();
		g.next.entry_pages.touch();
	}
	g.next_touched = touch;
	g.frontier = 0;
	g.debt = 0;
	t.growing.push_back(&g);
	return 0;
}

uint64_t crowded_at(const Generation &gen)
{
	return static_cast<uint64_t>(double(gen.nb_buckets) * slots_per_bucket * crowded_load);
}

} // namespace

int start_growth(Table &t, Group &g, bool touch)
{
	if (g.growing())
		return 0;
	uint64_t buckets = uint64_t{g.now.nb_buckets} * grow_numerator / grow_denominator;
	int error = start_growth_to(t, g, buckets, touch);
	// Ask again when another sixteenth has come.
	if (error)
		g.grow_at += g.now.nb_buckets;
	return error;
}

void ensure_room(Table &t, uint32_t count)
{
	t.room = UINT64_MAX;
	if (t.flags & CONNTRACK_FIXED_SIZE)
		return;
	for (Group *g : t.group_storage) {
		if (!g)
			continue;
		if (g->growing() && g->flows + count > crowded_at(g->now))
			move_buckets(t, *g, UINT32_MAX);
		if (g->flows + count > crowded_at(g->now)) {
			uint64_t slots = (g->flows + 2 * uint64_t{count}) * 100 / 80;
			if (start_growth_to(t, *g, slots / slots_per_bucket + 1, false) != 0) {
				// No memory now. Ask again when another sixteenth has come.
				t.room = std::min<uint64_t>(t.room, g->now.nb_buckets);
				continue;
			}
			move_buckets(t, *g, UINT32_MAX);
		}
		t.room = std::min(t.room, crowded_at(g->now) - g->flows);
	}
	t.room = std::max<uint64_t>(t.room, count);
}

void move_buckets(Table &t, Group &g, uint32_t nb_buckets)
{
	uint32_t end = g.frontier + std::min(nb_buckets, g.now.nb_buckets - g.frontier);
	for (uint32_t b = g.frontier; b < end; b++)
		move_bucket(t, g, b);
	g.now.header_pages.give_back(size_t{g.frontier} * sizeof(Header));
	g.now.entry_pages.give_back(size_t{g.frontier} * slots_per_bucket * t.stride);
	if (g.frontier < g.now.nb_buckets)
		return;
	g.now = std::move(g.next);
	g.next = Generation();
	g.frontier = 0;
	g.debt = 0;
	g.sweep_next = 0;
	set_growth_point(t, g);
	std::erase(t.growing, &g);
}

void settle_debts(Table &t)
{
	for (size_t i = t.growing.size(); i-- > 0;) {
		Group &g = *t.growing[i];
		uint32_t debt = g.debt;
		g.debt = 0;
		if (debt)
			move_buckets(t, g, debt);
	}
}

} // namespace reframer::conntrack
