#include "rsspp/handover.hpp"

#include "api/sized.hpp"
#include "rsspp/params.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>

using namespace reframer::rsspp;

namespace {

// A bucket's way in, its announced way out and its way out may all be unread.
constexpr uint32_t commands_per_bucket = 3;

uint32_t round_up(uint32_t x)
{
	return std::bit_ceil(std::max(x, 2u));
}

} // namespace

namespace reframer::rsspp {

CoreState::CoreState(uint32_t nb_buckets, const rsspp_handover_params &params)
	: part(nb_buckets, Part::elsewhere), store(params.hold_capacity), hold(nb_buckets, store),
	  parcels(nb_buckets), forward(params.forward_capacity),
	  mailbox(round_up(commands_per_bucket * nb_buckets)), counters(nb_buckets),
	  is_express(nb_buckets), gained_mark(nb_buckets)
{
	// A bucket is in each of these lists at most once, so they never grow.
	leaving.reserve(nb_buckets);
	preparing.reserve(nb_buckets);
	told.reserve(nb_buckets);
	sent.reserve(nb_buckets);
	gained.reserve(nb_buckets);
	coming.reserve((1 + commands_per_bucket) * nb_buckets);
}

} // namespace reframer::rsspp

rsspp_handover::rsspp_handover(const rsspp_handover_params &params)
	: nb_buckets(params.nb_buckets), mask(params.nb_buckets - 1),
	  nb_cores(uint16_t(params.nb_cores)), owner(params.nb_buckets), next(params.nb_buckets),
	  readiness(params.nb_buckets), begun_in(params.nb_buckets), parcels(params.nb_buckets)
{
	for (uint32_t c = 0; c < nb_cores; c++)
		cores.push_back(std::make_unique<CoreState>(nb_buckets, params));
	for (uint32_t b = 0; b < nb_buckets; b++) {
		const uint16_t first = params.owner ? params.owner[b] : uint16_t(b % nb_cores);
		owner[b].store(first, std::memory_order_relaxed);
		next[b].store(nobody, std::memory_order_relaxed);
		readiness[b].store(Readiness::no, std::memory_order_relaxed);
		cores[first]->part[b] = Part::serving;
	}
}

extern "C" int rsspp_handover_create(const rsspp_handover_params *given, rsspp_handover **out)
{
	reframer::api::Why why;
	rsspp_handover_params params;
	if (!out || !take_params(given, params, why))
		return -EINVAL;
	try {
		*out = new rsspp_handover(params);
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
	return 0;
}

extern "C" void rsspp_handover_free(rsspp_handover *h)
{
	delete h;
}

// ---- balancer thread ----

extern "C" int rsspp_handover_prepare(rsspp_handover *h, uint32_t bucket)
{
	if (!h || bucket >= h->nb_buckets)
		return -EINVAL;
	if (h->next[bucket].load(std::memory_order_acquire) != nobody ||
	    h->readiness[bucket].load(std::memory_order_relaxed) != Readiness::no)
		return -EBUSY;
	h->readiness[bucket].store(Readiness::asked, std::memory_order_release);
	// Nothing moves, so the owner stays who it is.
	const uint16_t owner = h->owner[bucket].load(std::memory_order_acquire);
	if (h->cores[owner]->mailbox.push({0, uint16_t(bucket), nobody}))
		return 0;
	h->readiness[bucket].store(Readiness::no, std::memory_order_relaxed);
	return -EAGAIN;
}

extern "C" int rsspp_handover_prepared(const rsspp_handover *h, uint32_t bucket)
{
	return h && bucket < h->nb_buckets &&
	       h->readiness[bucket].load(std::memory_order_acquire) == Readiness::ready;
}

extern "C" int rsspp_handover_begin(rsspp_handover *h, uint32_t bucket, uint16_t to)
{
	if (!h || bucket >= h->nb_buckets || to >= h->nb_cores)
		return -EINVAL;
	if (h->next[bucket].load(std::memory_order_acquire) != nobody)
		return -EBUSY;
	const uint16_t from = h->owner[bucket].load(std::memory_order_acquire);
	if (from == to)
		return -EINVAL;
	// Before the table is written: the gaining core must find it when the first packet comes.
	h->next[bucket].store(to, std::memory_order_release);
	const Command command = {h->written.load(std::memory_order_relaxed) + 1, uint16_t(bucket), to};
	// A core that reads of a bucket that does not come forgets it.
	if (!h->cores[to]->mailbox.push(command) || !h->cores[from]->mailbox.push(command)) {
		h->next[bucket].store(nobody, std::memory_order_release);
		return -EAGAIN;
	}
	h->readiness[bucket].store(Readiness::no, std::memory_order_relaxed);
	h->begun++;
	h->begun_in[bucket] = command.epoch;
	return 0;
}

extern "C" int rsspp_handover_cancel(rsspp_handover *h, uint32_t bucket)
{
	// Until the write is said to be in force, no core has acted on the move.
	if (!h || bucket >= h->nb_buckets ||
	    h->begun_in[bucket] != h->written.load(std::memory_order_relaxed) + 1)
		return -EINVAL;
	h->begun_in[bucket] = 0;
	h->next[bucket].store(cancelled, std::memory_order_release);
	return 0;
}

extern "C" void rsspp_handover_written(rsspp_handover *h)
{
	if (h)
		h->written.fetch_add(1, std::memory_order_release);
}

extern "C" uint32_t rsspp_handover_in_progress(const rsspp_handover *h)
{
	return !h ? 0 : uint32_t(h->begun - h->finished.load(std::memory_order_acquire));
}

extern "C" uint16_t rsspp_handover_owner(const rsspp_handover *h, uint32_t bucket)
{
	return !h ? UINT16_MAX : h->owner[bucket & h->mask].load(std::memory_order_acquire);
}

extern "C" void rsspp_handover_counters(const rsspp_handover *h, uint64_t *packets)
{
	if (!h || !packets)
		return;
	std::fill_n(packets, h->nb_buckets, 0);
	for (const auto &core : h->cores)
		for (uint32_t b = 0; b < h->nb_buckets; b++)
			packets[b] += core->counters[b].load(std::memory_order_relaxed);
}

extern "C" void rsspp_handover_stats_get(const rsspp_handover *h, uint16_t core,
                                         rsspp_handover_stats *out, size_t size)
{
	if (!out)
		return;
	rsspp_handover_stats stats = {};
	if (h && core < h->nb_cores) {
		const CoreState &self = *h->cores[core];
		uint32_t parcels = 0; // sent ones are their new core's
		for (uint16_t bucket : self.sent)
			parcels += self.parcels[bucket].count;
		stats = {self.admitted, self.held,        self.forwarded,  self.refused,
		         self.moves,    self.handed_over, self.taken_over, self.store.size() - parcels,
		         self.held_max};
	}
	reframer::api::write_sized(out, size, stats);
}
