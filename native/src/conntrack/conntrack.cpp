// The C interface: parameters, life cycle, and the calls that are not on a packet's way.
#include "api/sized.hpp"
#include "base/entropy.hpp"
#include "conntrack/parameters.hpp"
#include "conntrack/table.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>

using namespace reframer::conntrack;

namespace {

// Places come from NIC hashes then, so there is nothing to compute digests from.
bool lacks_digests(const conntrack_table &t, const uint64_t *digests)
{
	return !digests && t.flags & CONNTRACK_NIC_HASH;
}

// A burst of none is right without arrays.
bool lacks(const conntrack_table *t, const void *array, uint32_t count)
{
	REFRAMER_DEBUG_CHECK(count <= reframer::api::most_packets);
	return !t || (count > 0 && !array);
}

// Where the parts of a cell lie that a line has no room for.
void lay_out(Table &t)
{
	const uint32_t key = t.key_size > sizeof(Token) ? t.key_size : 0;
	t.inline_state = t.state_size == sizeof(Line::word[0]);
	t.state_at = key;
	t.position_at = key + (t.inline_state ? 0 : t.state_size);
	t.body_stride = t.position_at + (t.flags & CONNTRACK_NIC_HASH ? 8 : 0);
}

} // namespace

namespace reframer::conntrack {

int create_table(const conntrack_params &p, Isa isa, conntrack_table **out)
{
	auto fail = [&](conntrack_table *t, int error) {
		conntrack_free(t);
		return error;
	};
	auto *t = new (std::nothrow) conntrack_table;
	if (!t)
		return -ENOMEM;
	t->key_size = p.key_size;
	t->state_size = p.state_size;
	t->flags = p.flags;
	lay_out(*t);
	t->tick_ns = p.tick_ns;
	t->max_flows = p.flags & CONNTRACK_FIXED_SIZE ? p.initial_flows : p.max_flows;
	t->protected_classes = p.protected_classes;
	t->on_removed = p.on_removed;
	t->context = p.context;
	t->seed = p.seed ? p.seed : reframer::base::draw_seed();
	t->hash_key = expand_seed(t->seed);
	t->group_bits = static_cast<uint32_t>(std::countr_zero(p.nb_groups));
	t->check_sweeps_at = sweep_grace;
	timeout_ticks(p, t->timeout, t->arm);
	t->operations = find_operations(isa, t->key_size);
	try {
		t->group_storage.assign(p.nb_groups, nullptr);
		t->growing.reserve(p.nb_groups);
	} catch (const std::bad_alloc &) {
		return fail(t, -ENOMEM);
	}
	t->groups = t->group_storage.data();
	// Groups are not equally large: a tenth more each, beyond what the load leaves free. How far one
	// may grow without new addresses is a guess.
	uint64_t each = p.initial_flows / p.nb_groups, most = t->max_flows;
	if (p.nb_groups > 1) {
		each += each / 10 + 16;
		most = std::min(most, 16 * (most / p.nb_groups + 1));
	}
	for (uint32_t i = 0; i < p.nb_groups; i++) {
		auto *g = t->groups[i] = new (std::nothrow) conntrack_group;
		if (!g || !size_group(*t, *g, each, p.load_percent, most))
			return fail(t, -ENOMEM);
		g->index = i;
		g->seed = t->seed;
		g->key_size = t->key_size;
		g->state_size = t->state_size;
		g->nb_groups = p.nb_groups;
		g->tick_ns = t->tick_ns;
	}
	*out = t;
	return 0;
}

} // namespace reframer::conntrack

extern "C" {

int conntrack_create(const struct conntrack_params *params, struct conntrack_table **out)
{
	reframer::api::Why why;
	conntrack_params p;
	if (!out || !take_params(params, p, why))
		return -EINVAL;
	return create_table(p, best_isa(), out);
}

void conntrack_free(struct conntrack_table *t)
{
	if (!t)
		return;
	for (conntrack_group *g : t->group_storage)
		delete g;
	delete t;
}

uint32_t conntrack_key_size(const struct conntrack_table *t)
{
	return t ? t->key_size : 0;
}

uint32_t conntrack_flags(const struct conntrack_table *t)
{
	return t ? t->flags : 0;
}

void conntrack_digest_burst(struct conntrack_table *t, const void *keys, const uint32_t *nic_hashes,
                            uint32_t count, uint64_t *digests)
{
	if (lacks(t, keys, count) || !digests || (t->flags & CONNTRACK_NIC_HASH && !nic_hashes))
		return;
	t->operations->digest(*t, static_cast<const uint8_t *>(keys), nic_hashes, count, digests);
}

void conntrack_prefetch_hashes(struct conntrack_table *t, const uint32_t *nic_hashes,
                               uint32_t count)
{
	if (lacks(t, nic_hashes, count) || !(t->flags & CONNTRACK_NIC_HASH))
		return;
	// Which lines of the page it will be the key tells. The walk to the page is the dear part.
	for (uint32_t i = 0; i < count; i++) {
		uint32_t position = nic_position(t->hash_key, nic_hashes[i], t->group_bits);
		if (Group *g = t->groups[group_of(*t, position)])
			__builtin_prefetch(
				page_at(g->main, g->main.page_of(position_in(*t, g->main, position), 0)));
	}
}

void conntrack_prefetch_burst(struct conntrack_table *t, const uint64_t *digests, uint32_t count)
{
	if (lacks(t, digests, count))
		return;
	if (t->key_size == sizeof(Token) && t->inline_state)
		return; // the lines are all there is
	for (uint32_t i = 0; i < count; i++)
		prefetch_bodies(*t, digests[i]);
}

uint32_t conntrack_find_burst(struct conntrack_table *t, const void *keys, const uint64_t *digests,
                              uint32_t count, uint64_t now_ns, void **states)
{
	if (lacks(t, keys, count) || !states)
		return 0;
	if (lacks_digests(*t, digests)) {
		std::fill_n(states, count, nullptr);
		return 0;
	}
	bool timed = advance(*t, now_ns);
	return t->operations->find(*t, static_cast<const uint8_t *>(keys), digests, count, timed,
	                           states);
}

uint32_t conntrack_find_or_insert_burst(struct conntrack_table *t, const void *keys,
                                        const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                        void **states, uint8_t *results)
{
	if (lacks(t, keys, count) || !states)
		return 0;
	if (lacks_digests(*t, digests)) {
		std::fill_n(states, count, nullptr);
		if (results)
			std::fill_n(results, count, uint8_t{0});
		return 0;
	}
	bool timed = advance(*t, now_ns);
	if (!t->growing.empty())
		settle_debts(*t);
	if (t->room < count)
		ensure_room(*t, count);
	t->room -= count;
	return t->operations->find_or_insert(*t, static_cast<const uint8_t *>(keys), digests, count,
	                                     timed, states, results);
}

uint32_t conntrack_remove_burst(struct conntrack_table *t, const void *keys,
                                const uint64_t *digests, uint32_t count, uint64_t now_ns)
{
	if (lacks(t, keys, count) || lacks_digests(*t, digests))
		return 0;
	bool timed = advance(*t, now_ns);
	return t->operations->remove(*t, static_cast<const uint8_t *>(keys), digests, count, timed);
}

void *conntrack_find(struct conntrack_table *t, const void *key, const uint64_t *digest,
                     uint64_t now_ns)
{
	void *state = nullptr;
	conntrack_find_burst(t, key, digest, 1, now_ns, &state);
	return state;
}

void *conntrack_find_or_insert(struct conntrack_table *t, const void *key, const uint64_t *digest,
                               uint64_t now_ns, int *is_new)
{
	void *state = nullptr;
	uint8_t result = 0;
	conntrack_find_or_insert_burst(t, key, digest, 1, now_ns, &state, &result);
	if (is_new)
		*is_new = result & CONNTRACK_NEW;
	return state;
}

int conntrack_remove(struct conntrack_table *t, const void *key, const uint64_t *digest,
                     uint64_t now_ns)
{
	return conntrack_remove_burst(t, key, digest, 1, now_ns) ? 0 : -ENOENT;
}

int conntrack_is_reply(const struct conntrack_table *t, const void *key, const void *state)
{
	if (!t || !key || !state)
		return -EINVAL;
	if (!(t->flags & CONNTRACK_SYMMETRIC))
		return -ENOTSUP;
	uint8_t turned[CONNTRACK_KEY_IPV6];
	std::memcpy(turned, key, t->key_size);
	const bool swapped = conntrack_key_symmetric(turned, t->key_size) == 1;
	const Cell c = cell_of_state(*t, state);
	return swapped != ((c.line->bits[c.at] & bit_swapped) != 0);
}

int conntrack_set_class(struct conntrack_table *t, void *state, uint32_t timeout_class,
                        uint64_t now_ns)
{
	if (!t || !state || timeout_class >= CONNTRACK_NB_CLASSES)
		return -EINVAL;
	// The call must not move or sweep anything: the caller holds other states.
	// So the table's clock stays, and a deadline must be told from it in 16 bits: a later time than
	// this would read as one that has passed.
	uint64_t tick = now_ns == CONNTRACK_NO_TIME
	                    ? t->tick
	                    : std::clamp(now_ns / t->tick_ns, t->tick, t->tick + horizon - 1);
	cell_of_state(*t, state).clock() =
		Clock::make(static_cast<uint16_t>(tick + t->arm[timeout_class]), timeout_class, 0);
	return 0;
}

uint32_t conntrack_expire(struct conntrack_table *t, uint64_t now_ns, uint32_t nb_buckets)
{
	if (!t || !advance(*t, now_ns))
		return 0;
	settle_debts(*t);
	// Moving the keys of two buckets costs what sweeping some does.
	if (!t->growing.empty())
		move_lines(*t, *t->growing.back(), nb_buckets / 4);
	uint32_t expired = 0;
	for (size_t tried = 0; nb_buckets && tried <= t->group_storage.size(); tried++) {
		Group *g = t->groups[t->sweep_group];
		if (g) {
			expired += sweep(*t, *g, nb_buckets);
			if (g->main.sweep_next != 0)
				break;
		}
		t->sweep_group = (t->sweep_group + 1) % static_cast<uint32_t>(t->group_storage.size());
	}
	return expired;
}

uint32_t conntrack_sweep_budget(const struct conntrack_table *t, uint64_t interval_ns,
                                uint64_t period_ns)
{
	if (!t)
		return 0;
	uint64_t buckets = 0;
	for (const conntrack_group *g : t->group_storage)
		if (g)
			buckets += pieces_of(*g);
	return buckets_per_interval(buckets, interval_ns, period_ns);
}

uint64_t conntrack_iterate(struct conntrack_table *t, uint64_t now_ns, conntrack_visit_fn visit,
                           void *context)
{
	if (!t || !visit)
		return 0;
	bool timed = advance(*t, now_ns);
	uint64_t visited = 0;
	auto visit_cell = [&](const Cell &c) {
		if (timed && is_due(c.clock().deadline(), t->tick) && is_dead(*t, c.clock()))
			return;
		alignas(8) uint8_t key[CONNTRACK_KEY_IPV6];
		key_of(*t, c, key);
		visit(context, key, state_of(*t, c), static_cast<int>(c.clock().timeout_class()));
		visited++;
	};
	for (conntrack_group *g : t->group_storage)
		if (g) {
			each_cell(g->main, visit_cell);
			each_cell(g->stash, visit_cell);
		}
	return visited;
}

int conntrack_prepare(struct conntrack_table *t)
{
	if (!t)
		return -EINVAL;
	const bool fixed = t->flags & CONNTRACK_FIXED_SIZE, nic_hash = t->flags & CONNTRACK_NIC_HASH;
	if (fixed && !nic_hash)
		return -ENOTSUP;
	for (const conntrack_group *g : t->group_storage)
		if (g && ((!fixed && !populate_ahead(*t, g->main)) ||
		          (nic_hash && !populate_ahead(*t, g->stash))))
			return -ENOMEM;
	return 0;
}

struct conntrack_group *conntrack_detach_group(struct conntrack_table *t, uint32_t group,
                                               uint64_t now_ns)
{
	if (!t)
		return nullptr;
	advance(*t, now_ns);
	if (group >= t->group_storage.size() || !t->groups[group])
		return nullptr;
	Group *g = t->groups[group];
	t->groups[group] = nullptr;
	std::erase(t->growing, g);
	g->tick = t->tick;
	t->flows -= g->flows();
	return g;
}

int conntrack_attach_group(struct conntrack_table *t, struct conntrack_group *g, uint64_t now_ns)
{
	if (!t || !g || g->seed != t->seed || g->key_size != t->key_size ||
	    g->state_size != t->state_size || g->nb_groups != t->group_storage.size() ||
	    g->tick_ns != t->tick_ns)
		return -EINVAL;
	if (t->groups[g->index])
		return -EEXIST;
	advance(*t, now_ns);
	// The other table may have seen a later time.
	advance(*t, g->tick * t->tick_ns);
	t->groups[g->index] = g;
	t->flows += g->flows();
	t->room = 0;
	if (g->growing())
		t->growing.push_back(g);
	if (t->tick - g->tick > sweep_limit)
		sweep_leap(*t, *g, g->tick);
	return 0;
}

void conntrack_free_group(struct conntrack_group *group)
{
	delete group;
}

} // extern "C"
