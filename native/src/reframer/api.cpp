// The C functions of reframer.h.
#include "api/sized.hpp"
#include "reframer/histogram.hpp"
#include "reframer/params.hpp"
#include "reframer/stage.hpp"
#include "reframer/stats_0_1.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

using namespace reframer;
using stage::Output;

namespace {

// Runs that nobody wants are cut into pieces of this many: one poll fills `out` all the same.
constexpr uint32_t unwanted_runs = 64;

// `give` is Stage::poll or Stage::drain.
uint32_t give_out(reframer_stage *r, void (stage::Stage::*give)(uint64_t, Output &),
                  uint64_t now_ns, void **out, uint32_t nb_out, reframer_run *runs,
                  uint32_t *nb_runs)
{
	if (!r || (nb_out > 0 && !out) || (runs && !nb_runs))
		return 0;
	REFRAMER_DEBUG_CHECK(nb_out <= api::most_packets);
	if (runs) {
		REFRAMER_DEBUG_CHECK(*nb_runs <= api::most_packets);
		Output output{out, nb_out, runs, *nb_runs};
		(r->stage.get()->*give)(now_ns, output);
		*nb_runs = output.nb_runs;
		return output.nb_packets;
	}
	if (nb_runs)
		*nb_runs = 0;
	reframer_run unwanted[unwanted_runs];
	uint32_t nb = 0;
	for (uint32_t cut = unwanted_runs; cut == unwanted_runs && nb < nb_out;) {
		Output output{out + nb, nb_out - nb, unwanted, unwanted_runs};
		(r->stage.get()->*give)(now_ns, output);
		nb += output.nb_packets;
		cut = output.nb_runs;
	}
	return nb;
}

} // namespace

void stage::pass(reframer_stage *r, const Passed &burst, uint64_t now_ns)
{
	r->stage->pass(burst, now_ns);
}

extern "C" {

int reframer_create(const struct reframer_params *params, struct reframer_stage **out)
{
	api::Why why;
	reframer_params full;
	if (!out || !stage::take_params(params, full, why))
		return -EINVAL;
	std::unique_ptr<stage::Stage> made = stage::Stage::make(full);
	auto *r = made ? new (std::nothrow) reframer_stage{std::move(made)} : nullptr;
	if (!r)
		return -ENOMEM;
	*out = r;
	return 0;
}

void reframer_free(struct reframer_stage *r)
{
	delete r;
}

uint32_t reframer_push(struct reframer_stage *r, const struct reframer_burst *burst,
                       uint64_t now_ns)
{
	if (!r || !burst || (burst->count > 0 && !burst->packets)) [[unlikely]]
		return 0;
	REFRAMER_DEBUG_CHECK(burst->count <= api::most_packets);
	return r->stage->push(*burst, now_ns);
}

uint32_t reframer_poll(struct reframer_stage *r, uint64_t now_ns, void **out, uint32_t nb_out,
                       struct reframer_run *runs, uint32_t *nb_runs)
{
	return give_out(r, &stage::Stage::poll, now_ns, out, nb_out, runs, nb_runs);
}

uint32_t reframer_drain(struct reframer_stage *r, uint64_t now_ns, void **out, uint32_t nb_out,
                        struct reframer_run *runs, uint32_t *nb_runs)
{
	return give_out(r, &stage::Stage::drain, now_ns, out, nb_out, runs, nb_runs);
}

int reframer_passes(const struct reframer_stage *r)
{
	return r && r->stage->passes();
}

void reframer_pass(struct reframer_stage *r, const struct reframer_burst *burst, uint64_t now_ns)
{
	if (!r || !burst)
		return;
	const uint32_t *const lengths = burst->wire ? burst->wire : burst->captured;
	const auto length = [=](uint32_t i) { return lengths ? lengths[i] : 0; };
	const auto hash = [=](uint32_t i) { return burst->hash[i]; };
	r->stage->pass(burst->hash ? stage::count_passed<true>(burst->count, length, hash)
	                           : stage::count_passed<false>(burst->count, length, hash),
	               now_ns);
}

uint32_t reframer_release_bucket(struct reframer_stage *r, uint32_t mask, uint32_t value)
{
	return r ? r->stage->release_bucket(mask, value) : 0;
}

uint32_t reframer_take_thinned(struct reframer_stage *r, void **out, uint32_t nb_out)
{
	if (!r || !out)
		return 0;
	REFRAMER_DEBUG_CHECK(nb_out <= api::most_packets);
	return r->stage->take_thinned(out, nb_out);
}

uint64_t reframer_next_deadline(const struct reframer_stage *r)
{
	return r ? r->stage->next_deadline() : UINT64_MAX;
}

uint32_t reframer_room(const struct reframer_stage *r, uint64_t now_ns)
{
	return r ? r->stage->room(now_ns) : 0;
}

int reframer_set_policy(struct reframer_stage *r, uint32_t policy, uint64_t delay_ns)
{
	return r ? r->stage->set_policy(policy, delay_ns) : -EINVAL;
}

void reframer_report_load(struct reframer_stage *r, const struct reframer_load *load)
{
	if (r && load)
		r->stage->report_load(*load);
}

void reframer_stats_get(const struct reframer_stage *r, struct reframer_stats *out, size_t size)
{
	if (!out)
		return;
	reframer_stats full = {};
	if (r)
		r->stage->get_stats(full);
	if (size == sizeof(reframer_stats_0_1))
		stage::write_stats_0_1(r, full, reinterpret_cast<reframer_stats_0_1 *>(out));
	else
		api::write_sized(out, size, full);
}

void reframer_reset_stats(struct reframer_stage *r)
{
	if (r)
		r->stage->reset_stats();
}

void reframer_hold_histogram(const struct reframer_stage *r, uint64_t *packets, uint32_t nb_buckets)
{
	if (!packets)
		return;
	REFRAMER_DEBUG_CHECK(nb_buckets <= api::most_packets);
	const uint32_t nb = r ? std::min<uint32_t>(nb_buckets, REFRAMER_HISTOGRAM_BUCKETS) : 0;
	if (r)
		r->stage->hold_histogram(packets, nb);
	std::fill(packets + nb, packets + nb_buckets, 0);
}

uint64_t reframer_histogram_low_ns(uint32_t bucket)
{
	return stage::HoldBuckets::low(std::min(bucket, REFRAMER_HISTOGRAM_BUCKETS - 1u));
}

uint64_t reframer_hold_quantile(const uint64_t *packets, uint32_t nb_buckets, double q)
{
	if (!packets || !(q >= 0)) // not a number either
		return 0;
	const uint32_t nb = std::min<uint32_t>(nb_buckets, REFRAMER_HISTOGRAM_BUCKETS);
	uint64_t total = 0;
	for (uint32_t bucket = 0; bucket < nb; bucket++)
		total += packets[bucket];
	const double wanted = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
	uint64_t seen = 0;
	for (uint32_t bucket = 0; bucket < nb; bucket++) {
		seen += packets[bucket];
		if (seen > 0 && static_cast<double>(seen) >= wanted)
			return stage::HoldBuckets::low(bucket);
	}
	return 0;
}

uint64_t reframer_histogram_quantile(const struct reframer_stats_0_1 *stats, double q)
{
	return stats ? reframer_hold_quantile(stats->hold_histogram, REFRAMER_HISTOGRAM_BUCKETS, q) : 0;
}

const char *reframer_strerror(int error)
{
	switch (-error) {
	case 0:
		return "no error";
	case EINVAL:
		return "a parameter is out of its range (the check functions tell which)";
	case ENOMEM:
		return "out of memory";
	case ENOTSUP:
		return "not supported";
	default:
		return std::strerror(error < 0 ? -error : error);
	}
}

} // extern "C"
