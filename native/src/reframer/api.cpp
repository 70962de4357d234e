// The C functions of reframer.h.
#include "reframer/histogram.hpp"
#include "reframer/stage.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

using reframer::stage::Output;

extern "C" {

int reframer_create(const struct reframer_params *params, struct reframer_stage **out)
{
	if (!params || !out || reframer::stage::check_params(*params) != 0)
		return -EINVAL;
	auto *r = new (std::nothrow) reframer_stage;
	if (!r)
		return -ENOMEM;
	const int error = r->stage.init(*params);
	if (error) {
		delete r;
		return error;
	}
	*out = r;
	return 0;
}

void reframer_free(struct reframer_stage *r) { delete r; }

uint32_t reframer_push(struct reframer_stage *r, const struct reframer_burst *burst, uint64_t now_ns)
{
	return r->stage.push(*burst, now_ns);
}

uint32_t reframer_poll(struct reframer_stage *r, uint64_t now_ns, void **out, uint32_t nb_out,
                       struct reframer_run *runs, uint32_t *nb_runs)
{
	Output output{out, nb_out, runs, *nb_runs};
	r->stage.poll(now_ns, output);
	*nb_runs = output.nb_runs;
	return output.nb_packets;
}

uint32_t reframer_drain(struct reframer_stage *r, uint64_t now_ns, void **out, uint32_t nb_out,
                        struct reframer_run *runs, uint32_t *nb_runs)
{
	Output output{out, nb_out, runs, *nb_runs};
	r->stage.drain(now_ns, output);
	*nb_runs = output.nb_runs;
	return output.nb_packets;
}

int reframer_passes(const struct reframer_stage *r) { return r->stage.passes(); }

void reframer_pass(struct reframer_stage *r, const struct reframer_burst *burst, uint64_t now_ns)
{
	r->stage.pass(*burst, now_ns);
}

uint32_t reframer_release_bucket(struct reframer_stage *r, uint32_t mask, uint32_t value)
{
	return r->stage.release_bucket(mask, value);
}

uint32_t reframer_take_thinned(struct reframer_stage *r, void **out, uint32_t nb_out)
{
	return r->stage.take_thinned(out, nb_out);
}

uint64_t reframer_next_deadline(const struct reframer_stage *r) { return r->stage.next_deadline(); }

int reframer_backlogged(const struct reframer_stage *r, uint64_t now_ns) { return r->stage.backlogged(now_ns); }

int reframer_set_policy(struct reframer_stage *r, uint32_t policy, uint64_t delay_ns)
{
	return r->stage.set_policy(policy, delay_ns);
}

void reframer_report_load(struct reframer_stage *r, const struct reframer_load *load)
{
	r->stage.report_load(*load);
}

void reframer_get_stats(const struct reframer_stage *r, struct reframer_stats *out)
{
	r->stage.get_stats(*out);
}

void reframer_reset_stats(struct reframer_stage *r) { r->stage.reset_stats(); }

uint64_t reframer_histogram_low_ns(uint32_t bucket)
{
	return reframer::stage::histogram_low(std::min(bucket, REFRAMER_HISTOGRAM_BUCKETS - 1u));
}

uint64_t reframer_histogram_quantile(const struct reframer_stats *stats, double q)
{
	uint64_t total = 0;
	for (const uint64_t count : stats->hold_histogram)
		total += count;
	const double wanted = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
	uint64_t seen = 0;
	for (uint32_t bucket = 0; bucket < REFRAMER_HISTOGRAM_BUCKETS; bucket++) {
		seen += stats->hold_histogram[bucket];
		if (seen > 0 && static_cast<double>(seen) >= wanted)
			return reframer::stage::histogram_low(bucket);
	}
	return 0;
}

const char *reframer_strerror(int error)
{
	switch (-error) {
	case 0: return "no error";
	case EINVAL: return "a parameter is out of its range, or of another version of the header";
	case ENOMEM: return "out of memory";
	case ENOTSUP: return "not supported";
	default: return std::strerror(error < 0 ? -error : error);
	}
}

} // extern "C"
