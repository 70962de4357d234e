// Growth where the table is, in small steps: keys move from the last page to the first.
#include "conntrack/table.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace reframer::conntrack {

namespace {

constexpr HandedOut nothing{nullptr, 0};

uint64_t cells_at(uint64_t pages, double load)
{
	return static_cast<uint64_t>(double(pages) * cells_per_page * fillable / out_of * load);
}

size_t body_bytes(const Table &t, uint64_t pages)
{
	return pages * cells_per_page * t.body_stride;
}

void set_growth_point(const Table &t, Region &r)
{
	r.grow_at =
		t.flags & CONNTRACK_FIXED_SIZE && !r.stash ? UINT64_MAX : cells_at(r.nb_pages, r.grow_load);
}

void point(Region &r)
{
	r.lines = reinterpret_cast<Line *>(r.line_memory.data());
	r.bodies = r.body_memory.data();
}

bool size_region(const Table &t, Region &r, uint64_t pages, uint64_t most)
{
	// A stash grows while a NIC hash is flooded, which nobody prepares for: clearing a huge page took
	// 0.1 ms and more inside a poll.
	const auto size = r.stash ? base::PageSize::small : base::PageSize::huge;
	if (!r.line_memory.take(pages * page_bytes, most * page_bytes, size))
		return false;
	if (t.body_stride && !r.body_memory.take(body_bytes(t, pages), body_bytes(t, most), size))
		return false;
	point(r);
	r.nb_pages = r.next_pages = static_cast<uint32_t>(pages);
	r.frontier = r.nb_pages * lines_per_page;
	set_growth_point(t, r);
	return true;
}

bool has_room(const Table &t, const Region &r, uint64_t pages)
{
	return pages * page_bytes <= r.line_memory.room() &&
	       body_bytes(t, pages) <= r.body_memory.room();
}

// Copies an entry to an empty cell of another page.
void copy_entry(const Table &t, const Cell &from, const Cell &to, uint64_t digest)
{
	fill(t, to, from.token(), digest, from.line->bits[from.at] & bit_swapped);
	to.clock() = from.clock();
	to.line->word[to.at] = from.line->word[from.at];
	if (t.body_stride)
		std::memcpy(body_of(t, to), body_of(t, from), t.body_stride);
}

// Takes an entry that was copied elsewhere out of its page.
void forget(const Cell &c)
{
	c.token() = {};
	if (c.line->bits[c.at] & bit_second) {
		Line &home = c.other_line();
		if (--home.nb_away == 0 && home.nb_spilled == 0)
			home.filter = 0;
	}
	c.region->flows--;
}

void note_spilled(Line &home, uint64_t digest)
{
	if (home.nb_spilled != full_count)
		home.nb_spilled++;
	home.filter |= static_cast<uint16_t>(1u << digest_filter(digest));
}

Line &home_of(const Table &t, Region &r, uint64_t digest)
{
	return page_at(r, page_of(t, r, digest))[digest_line(digest)];
}

// Keys that move together: of an old page those with `nb_lines` home lines.
struct Batch {
	uint32_t page, first_line, nb_lines;

	bool has(uint32_t line) const { return line - first_line < nb_lines; }
};

// Takes the keys in the stash out of the books. @return whether there are any.
bool forget_spilled(const Region &r, Batch batch)
{
	bool any = false;
	Line *first = page_at(r, batch.page) + batch.first_line;
	for (Line *line = first; line < first + batch.nb_lines; line++) {
		any |= line->nb_spilled != 0;
		line->nb_spilled = 0;
		if (line->nb_away == 0)
			line->filter = 0;
	}
	return any;
}

// Keys of a batch of the main region that live in the stash: into their new page while it has room,
// else into the books of their new homes. The stash is small, or holds a flood, and then few pages
// have any there.
void recall_spilled(Table &t, Group &g, Batch batch)
{
	Region &r = g.main;
	uint32_t full = UINT32_MAX; // page
	each_cell(g.stash, [&](const Cell &c) {
		const uint64_t digest = digest_of(t, c);
		const uint64_t old = uint64_t{position_in(t, r, digest)} * r.nb_pages >> 32;
		if (old != batch.page || !batch.has(digest_line(digest)))
			return;
		const uint32_t page = page_of(t, r, digest);
		const Cell to = page == full ? Cell() : place(t, r, digest, nothing);
		if (to) {
			copy_entry(t, c, to, digest);
			forget(c);
			t.moved++;
			return;
		}
		full = page;
		note_spilled(home_of(t, r, digest), digest);
	});
	if (g.stash.flows == 0)
		g.flooded.nb = 0;
}

// @return whether it went into the stash; into the books recall_spilled() will put it.
bool move_entry(Table &t, Group &g, Region &r, const Cell &c, uint64_t digest)
{
	Cell to = place(t, r, digest, nothing);
	if (!to && !r.stash) [[unlikely]]
		to = place(t, g.stash, digest, nothing);
	if (to) [[likely]] {
		copy_entry(t, c, to, digest);
		forget(c);
		t.moved++;
		return to.region->stash && !r.stash;
	}
	// Its page and the stash's are full although the table has grown: nothing but a flood aimed at
	// this place does that.
	vacate(t, g, c, CONNTRACK_EVICTED);
	return false;
}

void prefetch_page(const Region &r, uint32_t page)
{
	asm volatile(""); // gcc drops calls of what only prefetches
	for (const Line *line = page_at(r, page); line < page_at(r, page + 1); line++)
		__builtin_prefetch(line, 1);
}

void move_batch(Table &t, Group &g, Region &r)
{
	const uint32_t nb_lines = r.stash ? lines_per_stash_move : lines_per_move;
	r.frontier -= nb_lines;
	const Batch batch{r.frontier / lines_per_page, r.frontier % lines_per_page, nb_lines};
	bool spilled = !r.stash && forget_spilled(r, batch);
	Line *page = page_at(r, batch.page);
	for (uint32_t i = 0; i < cells_per_page; i++) {
		const Cell c{&r, page + i / 2, i % 2};
		if (c.token().empty())
			continue;
		const uint32_t away = c.line->bits[c.at] & bit_second ? way_of(*c.line, c.at) : 0;
		if (!batch.has(i / 2 ^ away))
			continue;
		// The first pages keep some of theirs; so they stay where they are.
		const uint64_t digest = digest_of(t, c);
		if (page_of(t, r, digest) != batch.page)
			spilled |= move_entry(t, g, r, c, digest);
	}
	if (spilled)
		recall_spilled(t, g, batch);
	if (batch.first_line == 0 && batch.page) {
		const uint64_t next = batch.page - 1;
		prefetch_page(r, batch.page - 1);
		prefetch_page(r, static_cast<uint32_t>(next * r.next_pages / r.nb_pages));
	}
}

void finish(Table &t, Group &g, Region &r)
{
	r.frontier = r.next_pages * lines_per_page;
	std::atomic_ref(r.nb_pages).store(r.next_pages, std::memory_order_relaxed);
	r.inserts = 0;
	set_growth_point(t, r);
	if (!g.growing())
		std::erase(t.growing, &g);
}

void move_lines_of(Table &t, Group &g, Region &r, uint32_t nb)
{
	if (!r.growing())
		return;
	// Addresses for them must be there, which is seen to here where no state pointer is alive.
	if (!has_room(t, r, r.next_pages)) {
		const uint64_t most = uint64_t{r.next_pages} * 2;
		auto extend = [&](uint64_t pages) {
			return r.line_memory.extend(size_t{r.nb_pages} * page_bytes, pages * page_bytes) &&
			       (!t.body_stride ||
			        r.body_memory.extend(body_bytes(t, r.nb_pages), body_bytes(t, pages)));
		};
		const bool extended = extend(most) || extend(r.next_pages);
		point(r);
		if (!extended) {
			std::atomic_ref(r.next_pages).store(r.nb_pages, std::memory_order_relaxed);
			finish(t, g, r);
			// Ask again when another sixteenth has come.
			r.grow_at =
				r.flows + std::max<uint64_t>(uint64_t{r.nb_pages} * cells_per_page / 16, 16);
			return;
		}
	}
	if (r.flows == 0 && (r.stash || g.stash.flows == 0))
		r.frontier = 0; // nothing to move
	for (; nb && r.frontier; nb--)
		move_batch(t, g, r);
	if (r.frontier == 0)
		finish(t, g, r);
}

void start_growth_to(Table &t, Group &g, Region &r, uint64_t pages)
{
	if (!g.growing())
		t.growing.push_back(&g);
	r.frontier = r.nb_pages * lines_per_page;
	r.inserts = 0;
	std::atomic_ref(r.next_pages).store(static_cast<uint32_t>(pages), std::memory_order_relaxed);
}

uint64_t step_from(uint64_t pages)
{
	return std::max(pages * grow_numerator / grow_denominator, pages + 1);
}

// Makes a region take `count` more at once, if it would not in small steps.
// @return how many it takes before it must be asked again.
uint64_t room_in(Table &t, Group &g, Region &r, uint64_t count)
{
	auto crowded = [&] {
		return cells_at(r.nb_pages, r.stash ? crowded_stash_load : crowded_load);
	};
	if (r.flows + count > crowded() && r.growing())
		move_lines_of(t, g, r, UINT32_MAX);
	if (r.flows + count > crowded()) {
		start_growth_to(t, g, r,
		                (r.flows + count + count / 4) * out_of * 4 / fillable / cells_per_page /
		                        (r.stash ? 2 : 3) +
		                    1);
		move_lines_of(t, g, r, UINT32_MAX);
	}
	// Where there was no memory: when another sixteenth has come.
	return r.flows + count > crowded() ? std::max<uint64_t>(uint64_t{r.nb_pages} * 8, count)
	                                   : crowded() - r.flows;
}

} // namespace

bool size_group(const Table &t, Group &g, uint64_t flows, uint32_t load_percent, uint64_t most)
{
	auto pages = [](uint64_t flows, double load) {
		return static_cast<uint64_t>(double(flows) / load * out_of / fillable / cells_per_page) + 1;
	};
	const double load = load_percent / 100.0;
	g.stash.stash = true;
	g.stash.grow_load = stash_grow_at_load;
	g.main.grow_load = std::clamp(load, grow_at_load, highest_grow_load);
	const uint64_t now = pages(flows, load);
	const uint64_t limit = t.flags & CONNTRACK_FIXED_SIZE ? now : pages(most, g.main.grow_load) + 1;
	return size_region(t, g.main, now, std::max(now, step_from(limit))) &&
	       size_region(t, g.stash, 1, std::max(now, limit));
}

int start_growth(Table &t, Group &g, Region &r)
{
	if (!r.growing())
		start_growth_to(t, g, r, step_from(r.nb_pages));
	return 0;
}

void ensure_room(Table &t, uint32_t count)
{
	t.room = UINT64_MAX;
	for (Group *g : t.group_storage) {
		if (!g)
			continue;
		if (!(t.flags & CONNTRACK_FIXED_SIZE))
			t.room = std::min(t.room, room_in(t, *g, g->main, count));
		// Keys of one NIC hash all go to the stash, of others hardly one in a thousand.
		const uint64_t share = t.flags & CONNTRACK_NIC_HASH ? 1 : 64;
		t.room = std::min(t.room, room_in(t, *g, g->stash, count / share + 16) * share);
	}
	t.room = std::max<uint64_t>(t.room, count);
}

void move_lines(Table &t, Group &g, uint32_t nb)
{
	move_lines_of(t, g, g.main, nb);
	move_lines_of(t, g, g.stash, nb);
}

void settle_debts(Table &t)
{
	for (size_t i = t.growing.size(); i-- > 0;) {
		Group &g = *t.growing[i];
		for (Region *r : {&g.main, &g.stash}) {
			if (const uint32_t owed = std::exchange(r->inserts, 0))
				move_lines_of(t, g, *r, owed);
		}
	}
}

size_t bytes_of(const Table &t, const Region &r)
{
	// Of a stash that never held anything nothing is there.
	if (r.stash && r.flows == 0)
		return 0;
	const bool moving = r.growing() && r.frontier < r.nb_pages * lines_per_page;
	const uint64_t pages = moving ? r.next_pages : r.nb_pages;
	return r.line_memory.resident(pages * page_bytes) +
	       r.body_memory.resident(body_bytes(t, pages));
}

bool populate_ahead(const Table &t, const Region &r)
{
	const uint64_t now =
		std::atomic_ref(const_cast<uint32_t &>(r.nb_pages)).load(std::memory_order_relaxed);
	const uint64_t next =
		std::atomic_ref(const_cast<uint32_t &>(r.next_pages)).load(std::memory_order_relaxed);
	const uint64_t end = step_from(std::max(next, step_from(now)));
	return r.line_memory.populate(now * page_bytes, end * page_bytes) &&
	       r.body_memory.populate(body_bytes(t, now), body_bytes(t, end));
}

} // namespace reframer::conntrack
