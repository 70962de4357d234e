// Job `rsspp-trial`: one balancing method on a virtual multi-queue port.
//
// spec   {"profile": "campus"|"campus4", "method": "static"|"greedy"|"ours"|"lpt"|"exact"|
//         "classes" (Metron-like)|"flows" (Dyssect-like)|"sprayer"|"sw-rr"|"sw-flow"|"sw-load" (a
//         dispatching core: packets in turn, flows in turn, flows to the least loaded; "dispatchNs")|
//         "pooled" (one ring for all cores)|"shortest" (each packet to the shortest ring): bounds,
//         "seed", "cores", "entries", "ringDepth", "load" (mean core load; with "exactLoad" of the
//         packets that really come while measuring) or "serviceNs", "service": "fixed"|"drawn" (exponential)|"measured"
//         (what a chain takes here, packet by packet, brought to that mean; not the same in every run),
//         "seconds", "warmupSeconds", "stillSeconds" (the window begins when the number of cores has stood
//         still for so long; warm-up grows up to "warmupLimitSeconds"), "intervalMs", "overloadIntervalMs" (within a second of a core above 0.9),
//         "handOver": "pass" (a losing core takes its ring out at once, "absorbNs" a packet)|"serve"
//         (it serves it first), "prepareMs" (a pass before the table is written, waited for so long; 0:
//         none), "movingBurst" (packets served in a poll while buckets move), "autoscale", "scaling": "ours"|"paper",
//         "targetLoad", "movesPerSecond" (random ones, to load the hand-over), "rampLow",
//         "rampPeriodSeconds", "write": "gradual"|"pause" (nothing is received) for "writeUs",
//         "pathUs" (added to latencies)}
// record the figures of RssppTrialResult (holdMaxUs: longest hold, from the table write, or reception if later,
//        until the gaining core begins the packet's service; holdBeyondUs: longest, without the service of
//        earlier packets of its bucket meanwhile); times in microseconds of virtual time, rates in packets a
//        second. `lost` and, but for the sprayer, `reordered` must be 0.
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/trial.hpp"

#include <algorithm>
#include <bit>

namespace reframer::lab {

void run_rsspp_trial_job(const Json &spec)
{
	SpecReader in(spec, "");
	RssppTrial t;
	t.profile = in.text("profile", t.profile);
	if (t.profile != "campus" && t.profile != "campus4")
		in.fail("profile", "is campus or campus4");
	t.method = in.text("method", t.method);
	t.seed = in.integer("seed", t.seed, 0, UINT32_MAX);
	t.cores = uint32_t(in.integer("cores", t.cores, 1, 64));
	t.entries = uint32_t(in.integer("entries", t.entries, 2, RSSPP_MAX_BUCKETS));
	if (!std::has_single_bit(t.entries))
		in.fail("entries", "must be a power of two");
	t.ring_depth = uint32_t(in.integer("ringDepth", t.ring_depth, 32, 65536));
	t.load = in.real("load", t.load, 0.01, 10);
	t.exact_load = in.boolean("exactLoad", false);
	t.service_ns = in.real("serviceNs", 0, 0, 1e6);
	t.service = in.choice<Service>(
		"service", Service::fixed,
		{{"fixed", Service::fixed}, {"drawn", Service::drawn}, {"measured", Service::measured}});
	t.seconds = in.real("seconds", t.seconds, 0.1, 3600);
	t.warmup_seconds = in.real("warmupSeconds", t.warmup_seconds, 0, 3600);
	t.still_seconds = in.real("stillSeconds", 0, 0, 3600);
	t.warmup_limit_seconds = in.real("warmupLimitSeconds", t.warmup_limit_seconds, 0, 3600);
	t.interval_ms = uint32_t(in.integer("intervalMs", t.interval_ms, 1, 10'000));
	t.overload_interval_ms = uint32_t(in.integer("overloadIntervalMs", 0, 0, 10'000));
	if (t.overload_interval_ms > t.interval_ms)
		in.fail("overloadIntervalMs", "is not above intervalMs");
	t.passes = in.choice<bool>("handOver", true, {{"pass", true}, {"serve", false}});
	t.prepare_ms = in.real("prepareMs", t.prepare_ms, 0, 10'000);
	t.moving_burst = uint32_t(in.integer("movingBurst", t.moving_burst, 1, 32));
	t.absorb_ns = in.real("absorbNs", t.absorb_ns, 0, 1e6);
	t.autoscale = in.boolean("autoscale", false);
	t.target_load = in.real("targetLoad", t.target_load, 0.11, 1);
	t.moves_per_second = in.real("movesPerSecond", 0, 0, 1e5);
	t.paper_scaling = in.choice<bool>("scaling", false, {{"ours", false}, {"paper", true}});
	t.dispatch_ns = in.real("dispatchNs", t.dispatch_ns, 1, 1e6);
	t.write_us = in.real("writeUs", 0, 0, 1e6);
	t.write_pauses = in.choice<bool>("write", false, {{"gradual", false}, {"pause", true}});
	t.path_us = in.real("pathUs", 0, 0, 1e6);
	t.ramp_low = in.real("rampLow", 1, 0, 1);
	t.ramp_period_seconds = in.real("rampPeriodSeconds", 0, 0, 3600);
	if (t.method == "flows" && t.entries > RSSPP_MAX_BUCKETS / 2)
		in.fail("entries", "must leave room for as many rules");
	in.finish();

	const RssppTrialResult r = run_rsspp_trial(t);
	emit({{"method", t.method},
	      {"profile", t.profile},
	      {"cores", t.cores},
	      {"entries", t.entries},
	      {"seed", t.seed},
	      {"seconds", r.seconds},
	      {"serviceNs", r.service_ns},
	      {"offered", r.offered},
	      {"processed", r.processed},
	      {"dropped", r.dropped},
	      {"inFlight", r.in_flight},
	      {"lost", r.lost},
	      {"lostToWrites", r.lost_to_writes},
	      {"dropsPerSecond", double(r.dropped) / r.seconds},
	      {"dropFree", r.dropped == 0 ? 1 : 0},
	      {"goodputShare", r.offered ? double(r.processed) / double(r.offered) : 0},
	      {"reordered", r.reordered},
	      {"offeredPps", r.offered_pps},
	      {"goodputPps", r.goodput_pps},
	      {"meanLoad", r.mean_load},
	      {"latencyP50Us", r.latency_p50_us},
	      {"latencyP95Us", r.latency_p95_us},
	      {"latencyP99Us", r.latency_p99_us},
	      {"latencyP999Us", r.latency_p999_us},
	      {"latencyMeanUs", r.latency_mean_us},
	      {"imbalancePercent", r.imbalance_percent},
	      {"floorPercent", r.floor_percent},
	      {"movesPerEpoch", r.epochs ? double(r.moves) / double(r.epochs) : 0},
	      {"warmedSeconds", r.warmed_seconds},
	      {"stillSeconds", r.still_seconds},
	      {"moves", r.moves},
	      {"epochs", r.epochs},
	      {"held", r.held},
	      {"heldMax", r.held_max},
	      {"holdMaxUs", r.hold_max_us},
	      {"holdBeyondUs", r.hold_beyond_max_us},
	      {"forwarded", r.forwarded},
	      {"handedOver", r.handed_over},
	      {"solveUs", r.solve_us},
	      {"meanCores", r.mean_cores},
	      {"reversals", r.reversals},
	      {"coresBySecond", r.cores_by_second},
	      {"dropsBySecond", r.drops_by_second},
	      {"imbalanceBySecond", r.imbalance_by_second},
	      {"floorBySecond", r.floor_by_second}});
}

} // namespace reframer::lab
