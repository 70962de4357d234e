// The table, its groups, and where a digest leads.
#pragma once

#include "base/pages.hpp"
#include "conntrack/digest.hpp"
#include "conntrack/layout.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <vector>

namespace reframer::conntrack {

// Load of the fillable cells at which a region starts to grow, at least: 66 % of all. From there on
// more than one insert in five would find both its lines full.
constexpr double grow_at_load = 0.74, highest_grow_load = 0.9;
// New size over old. An entry moves five times on the way to a large table; with steps of a seventh,
// which hold memory within 56 bytes a flow instead of 61, it moves eight times, and inserts cost two
// fifths more.
constexpr uint64_t grow_numerator = 5, grow_denominator = 4;
// Home lines whose keys move for each insert: some 20 entries. What has not moved then fills by 3 % of
// its cells.
constexpr uint32_t lines_per_move = 16;
// The same of a stash, half as many: where a NIC hash is flooded each insert of a burst pays for a
// move. A page takes eight moves, and 13 inserts may come before its stash is crowded. (With four
// lines and growth from 0.42 on, four times as many keys found no place.)
constexpr uint32_t lines_per_stash_move = 8;
static_assert(lines_per_page % lines_per_move == 0 && lines_per_page % lines_per_stash_move == 0);
// Load of the fillable cells at which growth in small steps has long ended. A call that may get
// there (many keys, small table) moves all at once instead.
constexpr double crowded_load = 0.95;
// The same of a stash, whose full pages have nowhere to go: at half of 113 flows a page, one that
// would take 118 is seven deviations away.
constexpr double stash_grow_at_load = 0.5, crowded_stash_load = 0.62;
// A home with more keys in the stash than this is one that NIC hashes collide in: its keys are
// looked for there first.
constexpr uint32_t many_spilled = 16;
// Bursts that may be submitted and not collected, and keys in each.
constexpr uint32_t most_submitted = 4, longest_submitted = 256;

// Pages that grow where they are. A position p (32 bits) was in page p * nb_pages >> 32, and will be
// in page p * next_pages >> 32. Keys move by old page and home line, from the last to the first; those
// from `frontier` on have moved. So entries always move up, into pages that are new or whose own have
// moved.
struct Region {
	Line *lines = nullptr;
	uint8_t *bodies = nullptr; // NULL where a line holds all
	uint32_t nb_pages = 0, next_pages = 0;
	uint32_t frontier = 0;   // old page and home line: page * lines_per_page + line
	uint32_t inserts = 0;    // since growth began, not yet paid for with moves
	uint32_t sweep_next = 0; // piece
	uint64_t flows = 0;
	uint64_t grow_at = 0; // flows
	double grow_load = grow_at_load;
	bool stash = false;
	base::Reserve line_memory, body_memory;

	[[gnu::always_inline]] bool growing() const { return next_pages != nb_pages; }
	[[gnu::always_inline]] uint32_t page_of(uint32_t position, uint32_t home_line) const
	{
		auto old = static_cast<uint32_t>(uint64_t{position} * nb_pages >> 32);
		return old * lines_per_page + home_line >= frontier
		           ? static_cast<uint32_t>(uint64_t{position} * next_pages >> 32)
		           : old;
	}
	// Old pages that may hold anything: those below this one.
	uint32_t end_unmoved() const { return (frontier + lines_per_page - 1) / lines_per_page; }
	// First page above them that may.
	uint32_t first_moved() const
	{
		if (!growing() || frontier == nb_pages * lines_per_page)
			return next_pages;
		const uint64_t page = frontier / lines_per_page;
		const uint64_t low = ((page << 32) + nb_pages - 1) / nb_pages;
		return std::max(static_cast<uint32_t>(low * next_pages >> 32), end_unmoved());
	}
	bool holds(const void *p) const
	{
		return p >= lines && p < lines + size_t{next_pages} * lines_per_page;
	}
};

constexpr uint32_t lines_per_piece = 8; // of a sweep: 16 cells
constexpr uint32_t pieces_per_page = lines_per_page / lines_per_piece;

// Positions that so many keys share that most live in the stash: what keys with one NIC hash do.
struct Flooded {
	static constexpr uint32_t most = 4; // further ones take the place of the oldest
	uint32_t position[most] = {};
	uint32_t nb = 0; // known
	uint32_t oldest = 0;

	[[gnu::always_inline]] bool has(uint32_t p) const
	{
		bool any = false;
		for (uint32_t i = 0; i < most; i++)
			any |= position[i] == p && i < nb;
		return any;
	}
	void add(uint32_t p)
	{
		if (has(p))
			return;
		position[nb < most ? nb++ : oldest++ % most] = p;
	}
};

} // namespace reframer::conntrack

// A movable part of a table: everything about the keys of one RETA entry, or of all.
struct conntrack_group {
	// A key lives in `main`, by its position; if its page there is full, in the stash, by its keyed
	// hash.
	reframer::conntrack::Region main, stash;
	uint64_t swept_at = 0; // tick at which the sweep under way began
	uint32_t index = 0;    // which group of its table
	uint64_t tick = 0;     // latest one seen
	uint64_t seed = 0;
	uint32_t key_size = 0, state_size = 0, nb_groups = 0;
	uint64_t tick_ns = 0;
	reframer::conntrack::Flooded flooded;

	uint64_t flows() const { return main.flows + stash.flows; }
	bool growing() const { return main.growing() || stash.growing(); }
};

namespace reframer::conntrack {

struct Operations;

struct Submitted {
	const uint8_t *keys;
	uint32_t count;
	uint64_t digests[longest_submitted];
};

} // namespace reframer::conntrack

struct conntrack_table {
	// Read for every key.
	conntrack_group **groups = nullptr;
	uint32_t group_bits = 0;
	uint32_t key_size = 0, state_size = 0;
	uint32_t flags = 0;
	// Body of a cell: key if it is longer than a token, state if it is longer than a word, position
	// where nobody could compute it again.
	uint32_t body_stride = 0, state_at = 0, position_at = 0; // bytes
	bool inline_state = false;
	bool home_only = false; // most lookups miss: the second line is asked for on demand
	uint64_t tick_ns = 0;
	uint64_t tick = 0;                           // latest one seen
	uint16_t arm[CONNTRACK_NB_CLASSES] = {};     // ticks from a refresh to the first deadline
	uint32_t timeout[CONNTRACK_NB_CLASSES] = {}; // ticks; 0 never
	reframer::conntrack::HashKey hash_key = {};
	const reframer::conntrack::Operations *operations = nullptr;

	// Read now and then.
	uint32_t looked_up = 0, missed = 0; // of late
	bool follows = true;                // this call's pointers follow every entry that moves
	bool relocated = false;             // some did not: an entry that was handed out may have moved
	uint64_t flows = 0, max_flows = 0;
	uint64_t room = 0;            // inserts before ensure_room() must look at the groups again
	uint64_t check_sweeps_at = 0; // tick
	uint32_t sweep_group = 0;
	uint32_t flooded_group = 0; // where a NIC hash was last found to be flooded
	uint16_t protected_classes = 0;
	uint64_t seed = 0;
	conntrack_removed_fn on_removed = nullptr;
	void *context = nullptr;
	uint64_t inserted = 0, removed = 0, expired = 0, evicted = 0, refused = 0, not_owned = 0;
	uint64_t moved = 0;
	std::vector<conntrack_group *> group_storage;
	std::vector<conntrack_group *> growing;
	// Bursts whose lines are on their way: those from first_submitted on.
	uint32_t first_submitted = 0, nb_submitted = 0;
	reframer::conntrack::Submitted submitted[reframer::conntrack::most_submitted];
};

namespace reframer::conntrack {

using Table = ::conntrack_table;
using Group = ::conntrack_group;

// What depends on what the processor can do. Entries of one never meet those of another: tables of
// a process all have the same, but in tests.
struct Operations {
	void (*digest)(Table &, const uint8_t *keys, const uint32_t *nic, uint32_t n, uint64_t *out);
	uint32_t (*find)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n, bool timed,
	                 void **states);
	uint32_t (*find_or_insert)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                           bool timed, void **states, uint8_t *results);
	uint32_t (*remove)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                   bool timed);
	// A cell's digest, as far as it is hashed.
	uint64_t (*token_digest)(const Table &, const Token &);
	// Pointers anew, of a call that did not follow what moved.
	void (*look_again)(Table &, const uint8_t *keys, const uint64_t *digests, uint32_t n,
	                   void **states);
};
enum class Isa { scalar, avx2, avx512 };
// Whether this processor has it.
bool has_isa(Isa isa);
Isa best_isa();
const Operations *find_operations(Isa isa, uint32_t key_size);
// conntrack_create() with the code of a given instruction set.
int create_table(const conntrack_params &p, Isa isa, conntrack_table **out);

[[gnu::always_inline]] inline uint32_t group_of(const Table &t, uint32_t position)
{
	return static_cast<uint32_t>(uint64_t{position} >> (32 - t.group_bits));
}
[[gnu::always_inline]] inline uint32_t position_in(const Table &t, const Region &r, uint64_t digest)
{
	return r.stash ? stash_position(digest) : digest_position(digest) << t.group_bits;
}
[[gnu::always_inline]] inline uint32_t page_of(const Table &t, const Region &r, uint64_t digest)
{
	return r.page_of(position_in(t, r, digest), digest_line(digest));
}
[[gnu::always_inline]] inline Line *page_at(const Region &r, uint32_t page)
{
	return r.lines + size_t{page} * lines_per_page;
}

// An entry, or a place for one.
struct Cell {
	Region *region = nullptr;
	Line *line = nullptr;
	uint32_t at = 0;

	[[gnu::always_inline]] explicit operator bool() const { return line != nullptr; }
	[[gnu::always_inline]] Token &token() const { return line->token[at]; }
	[[gnu::always_inline]] Clock &clock() const { return line->clock[at]; }
	[[gnu::always_inline]] Line *page() const
	{
		return reinterpret_cast<Line *>(reinterpret_cast<uintptr_t>(line) & ~(page_bytes - 1));
	}
	[[gnu::always_inline]] Line &other_line() const
	{
		return page()[(line - page()) ^ way_of(*line, at)];
	}
};

[[gnu::always_inline]] inline uint8_t *body_of(const Table &t, const Region &r, const Line *line,
                                               uint32_t at)
{
	return r.bodies + (size_t(line - r.lines) * 2 + at) * t.body_stride;
}
[[gnu::always_inline]] inline uint8_t *body_of(const Table &t, const Cell &c)
{
	return body_of(t, *c.region, c.line, c.at);
}
// Asks for all lines of a body.
[[gnu::always_inline]] inline void prefetch_body(const Table &t, const uint8_t *body)
{
	const auto last = reinterpret_cast<uintptr_t>(body) + t.body_stride - 1;
	for (auto at = reinterpret_cast<uintptr_t>(body);; at += 64) {
		__builtin_prefetch(reinterpret_cast<const void *>(at), 1);
		if ((at | 63) >= last)
			return;
	}
}
[[gnu::always_inline]] inline uint8_t *state_of(const Table &t, const Cell &c)
{
	return t.inline_state ? reinterpret_cast<uint8_t *>(&c.line->word[c.at])
	                      : body_of(t, c) + t.state_at;
}
// The cell whose state this is. Of a table whose lines hold the states it has no region.
Cell cell_of_state(const Table &t, const void *state);
uint64_t digest_of(const Table &t, const Cell &c);

// Bodies of cells that may be the key's, whose lines are there: those that lead to its other line
// by the same way and have the same bit in the filter; of strangers one in 512 does.
void prefetch_bodies(const Table &t, uint64_t digest);

// A key on its way through the table: what find and insert need of it.
struct Sought {
	const uint8_t *key; // not turned round any more
	Token token;
	uint64_t digest;
	bool swapped;
};

// Pointers that a call has handed out so far: what they lead to is not evicted, and they follow
// entries that move.
struct HandedOut {
	void **states;
	uint32_t nb;
	// Whose they are; digests may be NULL.
	const uint8_t *keys = nullptr;
	const uint64_t *digests = nullptr;
};
// Of a call with more keys than this at most the latest pointers follow at once. All are looked up
// again in the end, or before the first entry is evicted, should one have moved.
constexpr uint32_t most_followed = 512, latest_followed = 32;

// cells.cpp: one entry

Cell find_cell(const Table &t, Group &g, const Sought &key);
void key_of(const Table &t, const Cell &c, uint8_t *key);
// Empties a cell and keeps the books of the entry's home.
void vacate(Table &t, Group &g, const Cell &c, int reason);
// Tells whether a cell whose deadline has come is dead; if its timeout is longer than 16 bits
// reach, arms it anew instead.
bool is_dead(const Table &t, Clock &clock);
// The same of a deadline whose tick is known.
bool is_dead_since(const Table &t, Clock &clock, uint64_t deadline);
// An empty cell of the key's page in this region, made by moving others if need be. Then fills it.
Cell place(Table &t, Region &r, uint64_t digest, const HandedOut &out);
void fill(const Table &t, const Cell &c, const Token &token, uint64_t digest, bool swapped);

// one_key.cpp: what bursts do with keys that their fast steps do not settle

bool settle(Table &t, const Sought &key, uint32_t i, bool timed, bool insert, const HandedOut &out,
            uint8_t *results);
bool remove_one(Table &t, const Sought &key, bool timed);
// Pointers anew, after a call too long to correct them one by one.
void find_again(Table &t, const Sought &key, void **state);

// upkeep.cpp: time

// Takes the time of a call. False for CONNTRACK_NO_TIME: then nothing expires.
bool advance(Table &t, uint64_t now_ns);
// Sweeps up to `nb_pieces` of a group, not beyond its end, and counts them down. @return entries
// expired.
uint32_t sweep(Table &t, Group &g, uint32_t &nb_pieces);
uint32_t pieces_of(const Group &g);
// Exact sweep of a whole group after a leap of the clock from tick `from` to t.tick.
void sweep_leap(Table &t, Group &g, uint64_t from);

// growth.cpp

bool size_group(const Table &t, Group &g, uint64_t flows, uint32_t load_percent, uint64_t most);
int start_growth(Table &t, Group &g, Region &r);
// Sees to it that each group takes `count` new keys; sets t.room.
void ensure_room(Table &t, uint32_t count);
// Moves the keys of lines_per_move (lines_per_stash_move) home lines, `nb` times.
void move_lines(Table &t, Group &g, uint32_t nb);
// Moves what inserts owe to growing groups; called where no state pointer is alive.
void settle_debts(Table &t);
size_t bytes_of(const Table &t, const Region &r);
// Asks the kernel for the memory of the next steps of growth. Any thread may.
bool populate_ahead(const Table &t, const Region &r);

// Calls visit(cell) for every entry of a region.
template <typename Visit> void each_cell(Region &r, Visit visit)
{
	auto pages = [&](uint32_t first, uint32_t end) {
		for (Line *line = page_at(r, first); line < page_at(r, end); line++)
			for (uint32_t at = 0; at < 2; at++)
				if (!line->token[at].empty())
					visit(Cell{&r, line, at});
	};
	const uint32_t split = r.growing() ? r.end_unmoved() : r.nb_pages;
	pages(0, split);
	pages(r.growing() ? r.first_moved() : split, r.next_pages);
}

} // namespace reframer::conntrack
