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
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/trial.hpp"

#include <bit>

namespace reframer::lab {

void run_rsspp_trial_job(const Json &spec)
{
	SpecReader in(spec, "");
	RssppTrial t;
	in.read("profile", t.profile);
	if (t.profile != "campus" && t.profile != "campus4")
		in.fail("profile", "is campus or campus4");
	in.read("method", t.method);
	in.read("seed", t.seed, 0, UINT32_MAX);
	in.read("cores", t.cores, 1, 64);
	in.read("entries", t.entries, 2, RSSPP_MAX_BUCKETS);
	if (!std::has_single_bit(t.entries))
		in.fail("entries", "must be a power of two");
	in.read("ringDepth", t.ring_depth, 32, 65536);
	in.read("load", t.load, 0.01, 10);
	in.read("exactLoad", t.exact_load);
	in.read("serviceNs", t.service_ns, 0, 1e6);
	in.read(
		"service", t.service,
		{{"fixed", Service::fixed}, {"drawn", Service::drawn}, {"measured", Service::measured}});
	in.read("seconds", t.seconds, 0.1, 3600);
	in.read("warmupSeconds", t.warmup_seconds, 0, 3600);
	in.read("stillSeconds", t.still_seconds, 0, 3600);
	in.read("warmupLimitSeconds", t.warmup_limit_seconds, 0, 3600);
	in.read("intervalMs", t.interval_ms, 1, 10'000);
	in.read("overloadIntervalMs", t.overload_interval_ms, 0, 10'000);
	if (t.overload_interval_ms > t.interval_ms)
		in.fail("overloadIntervalMs", "is not above intervalMs");
	in.read("handOver", t.passes, {{"pass", true}, {"serve", false}});
	in.read("prepareMs", t.prepare_ms, 0, 10'000);
	in.read("movingBurst", t.moving_burst, 1, 32);
	in.read("absorbNs", t.absorb_ns, 0, 1e6);
	in.read("autoscale", t.autoscale);
	in.read("targetLoad", t.target_load, 0.11, 1);
	in.read("movesPerSecond", t.moves_per_second, 0, 1e5);
	in.read("scaling", t.paper_scaling, {{"ours", false}, {"paper", true}});
	in.read("dispatchNs", t.dispatch_ns, 1, 1e6);
	in.read("writeUs", t.write_us, 0, 1e6);
	in.read("write", t.write_pauses, {{"gradual", false}, {"pause", true}});
	in.read("pathUs", t.path_us, 0, 1e6);
	in.read("rampLow", t.ramp_low, 0, 1);
	in.read("rampPeriodSeconds", t.ramp_period_seconds, 0, 3600);
	if (t.method == "flows" && t.entries > RSSPP_MAX_BUCKETS / 2)
		in.fail("entries", "must leave room for as many rules");
	in.finish();

	const RssppTrialResult r = run_rsspp_trial(t);
	Json record = NAMED(
		t.method, t.profile, t.cores, t.entries, t.seed, r.seconds, r.service_ns, r.offered,
		r.processed, r.dropped, r.in_flight, r.lost, r.lost_to_writes, r.reordered, r.offered_pps,
		r.goodput_pps, r.mean_load, r.latency_p50_us, r.latency_p95_us, r.latency_p99_us,
		r.latency_p999_us, r.latency_mean_us, r.imbalance_percent, r.floor_percent,
		r.warmed_seconds, r.still_seconds, r.moves, r.epochs, r.held, r.held_max, r.hold_max_us,
		r.hold_beyond_us, r.forwarded, r.handed_over, r.solve_us, r.mean_cores, r.reversals,
		r.cores_by_second, r.drops_by_second, r.imbalance_by_second, r.floor_by_second);
	const double offered = double(r.offered), epochs = double(r.epochs);
	emit(joined(record, {{"dropsPerSecond", double(r.dropped) / r.seconds},
	                     {"dropFree", r.dropped == 0 ? 1 : 0},
	                     {"goodputShare", r.offered ? double(r.processed) / offered : 0},
	                     {"movesPerEpoch", r.epochs ? double(r.moves) / epochs : 0}}));
}

} // namespace reframer::lab
