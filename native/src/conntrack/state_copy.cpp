// States and entries as columns, for callers that cannot follow pointers into the table.
#include "api/sized.hpp"
#include "conntrack/table.hpp"

#include <cerrno>
#include <cstring>

using namespace reframer::conntrack;

namespace {

template <typename Number>
void add_to(void *const *states, uint32_t count, uint32_t offset, const uint32_t *amounts,
            uint32_t amount)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!states[i])
			continue;
		auto *at = static_cast<uint8_t *>(states[i]) + offset;
		Number number;
		std::memcpy(&number, at, sizeof(number));
		number += amounts ? amounts[i] : amount;
		std::memcpy(at, &number, sizeof(number));
	}
}

// Entries that are copied out, one behind the other.
struct Columns {
	const conntrack_table &t;
	uint64_t room, count;
	void *keys, *states;
	uint8_t *classes;

	void add(const void *key, const void *state, int timeout_class)
	{
		std::memcpy(static_cast<uint8_t *>(keys) + count * t.key_size, key, t.key_size);
		std::memcpy(static_cast<uint8_t *>(states) + count * t.state_size, state, t.state_size);
		classes[count++] = static_cast<uint8_t>(timeout_class);
	}
};
static_assert(CONNTRACK_SNAPSHOT_ROOM == cells_per_page);

// Where a pass over all pages stands, in one word.
struct Place {
	uint32_t group, page;
	bool stash;

	explicit Place(uint64_t word)
		: group(static_cast<uint32_t>(word >> 33)), page(static_cast<uint32_t>(word)),
		  stash(word >> 32 & 1)
	{
	}
	uint64_t packed() const { return uint64_t{group} << 33 | uint64_t{stash} << 32 | page; }
	void leave_region()
	{
		group += stash;
		stash = !stash;
		page = 0;
	}
};

} // namespace

extern "C" {

void conntrack_load_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                           void *out)
{
	if (!t || !states || !out)
		return;
	REFRAMER_DEBUG_CHECK(count <= reframer::api::most_packets);
	auto *to = static_cast<uint8_t *>(out);
	for (uint32_t i = 0; i < count; i++, to += t->state_size) {
		if (states[i])
			std::memcpy(to, states[i], t->state_size);
		else
			std::memset(to, 0, t->state_size);
	}
}

void conntrack_store_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                            const void *in)
{
	if (!t || !states || !in)
		return;
	REFRAMER_DEBUG_CHECK(count <= reframer::api::most_packets);
	const auto *from = static_cast<const uint8_t *>(in);
	for (uint32_t i = 0; i < count; i++, from += t->state_size)
		if (states[i])
			std::memcpy(states[i], from, t->state_size);
}

int conntrack_add_states(const struct conntrack_table *t, void *const *states, uint32_t count,
                         uint32_t offset, uint32_t bytes, const uint32_t *amounts, uint32_t amount)
{
	if (!t || !states || (bytes != 4 && bytes != 8) || offset % bytes != 0 ||
	    offset > t->state_size || bytes > t->state_size - offset)
		return -EINVAL;
	if (bytes == 4)
		add_to<uint32_t>(states, count, offset, amounts, amount);
	else
		add_to<uint64_t>(states, count, offset, amounts, amount);
	return 0;
}

uint64_t conntrack_snapshot(struct conntrack_table *t, uint64_t now_ns, uint64_t room, void *keys,
                            void *states, uint8_t *classes)
{
	if (!t || !keys || !states || !classes)
		return 0;
	Columns columns{*t, room, 0, keys, states, classes};
	auto add = [](void *context, const void *key, void *state, int timeout_class) {
		auto &c = *static_cast<Columns *>(context);
		if (c.count < c.room)
			c.add(key, state, timeout_class);
	};
	conntrack_iterate(t, now_ns, add, &columns);
	return columns.count;
}

uint64_t conntrack_snapshot_next(struct conntrack_table *t, uint64_t now_ns, uint64_t *cursor,
                                 uint64_t room, void *keys, void *states, uint8_t *classes)
{
	if (!t || !cursor || !keys || !states || !classes || room < cells_per_page)
		return 0;
	const bool timed = advance(*t, now_ns);
	Columns columns{*t, room, 0, keys, states, classes};
	Place at(*cursor);
	while (at.group < t->group_storage.size() && columns.room - columns.count >= cells_per_page) {
		conntrack_group *g = t->group_storage[at.group];
		Region *r = !g ? nullptr : at.stash ? &g->stash : &g->main;
		if (!r || at.page >= r->next_pages) {
			at.leave_region();
			continue;
		}
		// Between what has not moved yet and where it moves to is nothing.
		if (r->growing() && at.page >= r->end_unmoved() && at.page < r->first_moved()) {
			at.page = r->first_moved();
			continue;
		}
		Line *page = page_at(*r, at.page++);
		for (uint32_t i = 0; i < cells_per_page; i++) {
			const Cell c{r, page + i / 2, i % 2};
			if (c.token().empty() ||
			    (timed && is_due(c.clock().deadline(), t->tick) && is_dead(*t, c.clock())))
				continue;
			alignas(8) uint8_t key[CONNTRACK_KEY_IPV6];
			key_of(*t, c, key);
			columns.add(key, state_of(*t, c), static_cast<int>(c.clock().timeout_class()));
		}
	}
	*cursor = at.packed();
	return columns.count;
}

} // extern "C"
