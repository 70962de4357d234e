/**
 * What programs built with 0.1 ask of the library: it stays for one release, and headers of now do
 * without it.
 */
#ifndef REFRAMER_DEPRECATED_H
#define REFRAMER_DEPRECATED_H

#include <reframer/reframer.h>

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct reframer_stats of 0.1, hold times inside. reframer_stats_get() and
 * reframer_dpdk_stats_get() know by the size who asks.
 */
struct reframer_stats_0_1 {
	uint64_t packets_in, packets_out, packets_thinned;
	uint64_t bytes_in, bytes_out;
	uint64_t runs_in, runs_out;
	uint64_t released[REFRAMER_NB_REASONS];
	uint64_t bypassed;
	uint64_t repaired;
	uint64_t unparsed;
	uint64_t clock_backwards;
	uint32_t groups_held, packets_held;
	uint64_t bytes_held;
	uint32_t packets_held_max;
	uint64_t hold_max_ns;
	uint64_t hold_histogram[REFRAMER_HISTOGRAM_BUCKETS];
	uint64_t delay_ns;
	uint64_t passed;
};

/** reframer_hold_quantile() of a struct that has the hold times inside. */
__attribute__((deprecated("use reframer_hold_quantile()"))) uint64_t reframer_histogram_quantile(
	const struct reframer_stats_0_1 *stats, double q);

#ifdef __cplusplus
}
#endif
#endif
