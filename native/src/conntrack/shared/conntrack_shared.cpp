// The C interface of shared tables: life cycle, calls, time.
#include "api/sized.hpp"
#include "base/entropy.hpp"
#include "conntrack/parameters.hpp"
#include "conntrack/shared/table.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>

namespace reframer::conntrack::shared {

namespace {

// Stops all calls, brings every deadline exactly to tick `to`, lets them go on.
void leap(Thread &thread, uint64_t to)
{
	Table &t = *thread.table;
	std::lock_guard guard(t.leap);
	uint64_t from = t.tick.load();
	if (to <= from)
		return;
	t.gate.store(true);
	for (uint32_t i = 0; i < CONNTRACK_SHARED_THREADS; i++)
		for (Patience patience; t.threads[i].active.load() != 0;)
			patience.wait();
	sweep_all(thread, from, to);
	t.tick.store(to);
	t.swept_at.store(to);
	t.gate.store(false);
}

uint64_t advance(Thread &thread, uint64_t now_ns)
{
	Table &t = *thread.table;
	uint64_t tick = t.tick.load(std::memory_order_acquire);
	if (now_ns == CONNTRACK_NO_TIME)
		return tick;
	uint64_t want = now_ns / t.tick_ns;
	while (want > tick) {
		if (want - t.swept_at.load(std::memory_order_relaxed) > sweep_limit)
			leap(thread, want);
		else if (t.tick.compare_exchange_strong(tick, want))
			return want;
		tick = t.tick.load(std::memory_order_acquire);
	}
	return tick;
}

} // namespace

Call::Call(Thread &thread, uint64_t now_ns) : timed(now_ns != CONNTRACK_NO_TIME), thread_(thread)
{
	Table &t = *thread.table;
	advance(thread, now_ns);
	for (Patience patience;; patience.wait()) {
		thread.active.store(t.epoch.load());
		if (!t.gate.load()) [[likely]]
			break;
		thread.active.store(0);
	}
	// Not before: the clock may have leapt since.
	tick = t.tick.load(std::memory_order_acquire);
}

void free_retired(Table &t)
{
	// What retires after this look may have been entered after it, too: not to be freed by it.
	uint64_t oldest = t.epoch.load();
	for (uint32_t i = 0; i < CONNTRACK_SHARED_THREADS; i++)
		if (uint64_t epoch = t.threads[i].active.load())
			oldest = std::min(oldest, epoch);
	std::lock_guard guard(t.retire);
	std::erase_if(t.retired, [&](Generation *g) {
		if (g->retired_in >= oldest)
			return false;
		delete g;
		return true;
	});
}

} // namespace reframer::conntrack::shared

using namespace reframer::conntrack;
using shared::Call;
using shared::Generation;

namespace {

const uint8_t *bytes(const void *p)
{
	return static_cast<const uint8_t *>(p);
}

// A burst of none is right without arrays.
bool lacks(const conntrack_thread *thread, const void *keys, const void *results, uint32_t count)
{
	REFRAMER_DEBUG_CHECK(count <= reframer::api::most_packets);
	return !thread || (count > 0 && (!keys || !results));
}

conntrack_stats stats_of(const conntrack_shared &t)
{
	conntrack_stats out = {};
	int64_t away = 0;
	for (uint32_t i = 0; i < CONNTRACK_SHARED_THREADS; i++) {
		const conntrack_thread &thread = t.threads[i];
		out.inserted += static_cast<uint64_t>(thread.inserted.read());
		out.removed += static_cast<uint64_t>(thread.removed.read());
		out.expired += static_cast<uint64_t>(thread.expired.read());
		out.evicted += static_cast<uint64_t>(thread.evicted.read());
		out.refused += static_cast<uint64_t>(thread.refused.read());
		out.moved += static_cast<uint64_t>(thread.moved.read());
		away += thread.away.read();
	}
	out.away = static_cast<uint64_t>(std::max<int64_t>(away, 0));
	// Threads count on while this is read: of a flow the end may be seen, and the insert not.
	const uint64_t ended = out.removed + out.expired + out.evicted;
	out.flows = out.inserted - std::min(ended, out.inserted);
	out.bytes = sizeof(t) + CONNTRACK_SHARED_THREADS * sizeof(conntrack_thread);
	auto &table = const_cast<conntrack_shared &>(t);
	// Keeps the generations that are read here.
	std::lock_guard retiring(table.retire);
	const Generation *g = t.current.load();
	for (const Generation *old : t.retired)
		out.bytes += old->bytes();
	out.slots = uint64_t{g->nb_buckets} * shared::slots_per_bucket;
	out.bytes += g->bytes();
	if (const Generation *next = shared::get(g->next)) {
		out.bytes += next->bytes();
		out.slots = uint64_t{next->nb_buckets} * shared::slots_per_bucket;
		out.growing = 1;
	}
	return out;
}

} // namespace

extern "C" {

int conntrack_shared_create(const struct conntrack_params *params, struct conntrack_shared **out)
{
	reframer::api::Why why;
	conntrack_params p;
	if (!out || !take_shared_params(params, p, why))
		return -EINVAL;
	auto *t = new (std::nothrow) conntrack_shared;
	if (!t)
		return -ENOMEM;
	t->key_size = p.key_size;
	t->state_size = p.state_size;
	t->stride = shared::entry_stride(p.key_size, p.state_size);
	t->flags = p.flags;
	t->tick_ns = p.tick_ns;
	t->max_flows = p.flags & CONNTRACK_FIXED_SIZE ? p.initial_flows : p.max_flows;
	t->protected_classes = p.protected_classes;
	t->on_removed = p.on_removed;
	t->context = p.context;
	t->hash_key = expand_seed(p.seed ? p.seed : reframer::base::draw_seed());
	timeout_ticks(p, t->timeout, t->arm);
	t->operations = shared::find_operations(t->key_size, t->stride);
	auto *g = new (std::nothrow) Generation;
	t->current = g;
	t->threads.reset(new (std::nothrow) conntrack_thread[CONNTRACK_SHARED_THREADS]);
	uint64_t slots = p.initial_flows * 100 / p.load_percent;
	uint64_t homes =
		std::max<uint64_t>(4, (slots + shared::slots_per_bucket - 1) / shared::slots_per_bucket);
	if (!g || !t->threads || !g->map(homes, t->stride)) {
		conntrack_shared_free(t);
		return -ENOMEM;
	}
	shared::set_growth_point(*t, *g);
	for (uint32_t i = 0; i < CONNTRACK_SHARED_THREADS; i++)
		t->threads[i].table = t;
	*out = t;
	return 0;
}

void conntrack_shared_free(struct conntrack_shared *t)
{
	if (!t)
		return;
	if (Generation *g = t->current) {
		delete g->next;
		delete g;
	}
	for (Generation *g : t->retired)
		delete g;
	delete t;
}

struct conntrack_thread *conntrack_shared_thread_create(struct conntrack_shared *t)
{
	for (uint32_t i = 0; t && i < CONNTRACK_SHARED_THREADS; i++)
		if (!t->threads[i].taken.exchange(true, std::memory_order_acq_rel))
			return &t->threads[i];
	return nullptr;
}

void conntrack_shared_thread_free(struct conntrack_thread *thread)
{
	if (!thread)
		return;
	thread->table->places_taken.fetch_sub(thread->places, std::memory_order_relaxed);
	thread->places = 0;
	shared::free_retired(*thread->table);
	thread->taken.store(false, std::memory_order_release);
}

void conntrack_shared_digest_burst(struct conntrack_thread *thread, const void *keys,
                                   uint32_t count, uint64_t *digests)
{
	if (lacks(thread, keys, digests, count))
		return;
	Call call(*thread, CONNTRACK_NO_TIME);
	thread->table->operations->digest(*thread, bytes(keys), count, digests);
}

uint32_t conntrack_shared_find_burst(struct conntrack_thread *thread, const void *keys,
                                     const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                     void *states, uint8_t *found)
{
	if (lacks(thread, keys, found, count))
		return 0;
	Call call(*thread, now_ns);
	return thread->table->operations->find(*thread, bytes(keys), digests, count, call.timed,
	                                       call.tick, static_cast<uint8_t *>(states), found);
}

uint32_t conntrack_shared_find_or_insert_burst(struct conntrack_thread *thread, const void *keys,
                                               const uint64_t *digests, uint32_t count,
                                               uint64_t now_ns, void *states, uint8_t *results)
{
	if (lacks(thread, keys, results, count) || (count > 0 && !states))
		return 0;
	Call call(*thread, now_ns);
	return thread->table->operations->find_or_insert(*thread, bytes(keys), digests, count,
	                                                 call.timed, call.tick,
	                                                 static_cast<uint8_t *>(states), results);
}

uint32_t conntrack_shared_store_burst(struct conntrack_thread *thread, const void *keys,
                                      const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                      const void *states, uint8_t *results)
{
	if (lacks(thread, keys, results, count) || (count > 0 && !states))
		return 0;
	Call call(*thread, now_ns);
	return thread->table->operations->store(*thread, bytes(keys), digests, count, call.timed,
	                                        call.tick, bytes(states), results);
}

uint32_t conntrack_shared_update_burst(struct conntrack_thread *thread, const void *keys,
                                       const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                       conntrack_update_fn update, void *context, uint8_t *results)
{
	if (lacks(thread, keys, keys, count) || !update)
		return 0;
	Call call(*thread, now_ns);
	return thread->table->operations->update(*thread, bytes(keys), digests, count, call.timed,
	                                         call.tick, update, context, results);
}

uint32_t conntrack_shared_remove_burst(struct conntrack_thread *thread, const void *keys,
                                       const uint64_t *digests, uint32_t count, uint64_t now_ns,
                                       uint8_t *removed)
{
	if (lacks(thread, keys, keys, count))
		return 0;
	Call call(*thread, now_ns);
	return thread->table->operations->remove(*thread, bytes(keys), digests, count, call.timed,
	                                         call.tick, removed);
}

uint32_t conntrack_shared_expire(struct conntrack_thread *thread, uint64_t now_ns,
                                 uint32_t nb_buckets)
{
	if (!thread)
		return 0;
	Call call(*thread, now_ns);
	if (!call.timed)
		return 0;
	shared::help_growth(*thread, nb_buckets / shared::slots_per_bucket);
	return shared::sweep(*thread, call.tick, nb_buckets);
}

uint32_t conntrack_shared_sweep_budget(struct conntrack_thread *thread, uint64_t interval_ns,
                                       uint64_t period_ns)
{
	if (!thread)
		return 0;
	Call call(*thread, CONNTRACK_NO_TIME);
	const Generation &g = *thread->table->current.load();
	const Generation *next = shared::get(g.next);
	uint64_t buckets = uint64_t{g.nb_all()} + (next ? next->nb_all() : 0);
	return buckets_per_interval(buckets, interval_ns, period_ns);
}

uint64_t conntrack_shared_iterate(struct conntrack_thread *thread, uint64_t now_ns,
                                  conntrack_visit_fn visit, void *context)
{
	if (!thread || !visit)
		return 0;
	Call call(*thread, now_ns);
	conntrack_shared &t = *thread->table;
	// From here on no growth begins; the one under way is brought to its end.
	std::lock_guard guard(t.growth);
	for (shared::Patience patience; shared::get(t.current.load()->next); patience.wait())
		shared::help_growth(*thread, UINT32_MAX);
	return shared::visit_all(t, call.timed, call.tick, visit, context);
}

void conntrack_shared_stats_get(const struct conntrack_shared *t, struct conntrack_stats *out,
                                size_t size)
{
	if (out)
		reframer::api::write_sized(out, size, t ? stats_of(*t) : conntrack_stats{});
}

} // extern "C"
