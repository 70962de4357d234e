// The comparators of the experiment in virtual time: each does what its description says.
#include "lab/rsspp/trial.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

using namespace reframer::lab;

namespace {

RssppTrial short_trial(const char *method, uint32_t cores, double load)
{
	RssppTrial t;
	t.method = method;
	t.cores = cores;
	t.load = load;
	t.exact_load = true;
	t.profile = "campus";
	t.seconds = 1.1; // one whole second, for the imbalance of a second
	t.warmup_seconds = 1;
	return t;
}

} // namespace

TEST_CASE("every method accounts for every packet, and only spraying reorders")
{
	for (const char *method : {"static", "greedy", "ours", "lpt", "classes", "flows", "sprayer",
	                           "pooled", "shortest", "sw-rr", "sw-flow", "sw-load"}) {
		CAPTURE(method);
		const RssppTrialResult r = run_rsspp_trial(short_trial(method, 4, 0.7));
		CHECK(r.lost == 0);
		CHECK(r.offered > 300'000);
		const bool keeps_order =
			std::string(method) != "sprayer" && std::string(method) != "sw-rr" &&
			std::string(method) != "pooled" && std::string(method) != "shortest";
		if (keeps_order)
			CHECK(r.reordered == 0);
	}
}

TEST_CASE("the load of cores is that of the window, however long the epochs are")
{
	for (const uint32_t interval_ms : {100, 700, 5000}) {
		CAPTURE(interval_ms);
		RssppTrial t = short_trial("static", 4, 0.5);
		t.interval_ms = interval_ms;
		const RssppTrialResult r = run_rsspp_trial(t);
		const double served = double(r.processed) * r.service_ns * 1e-9 / (t.cores * t.seconds);
		CHECK(r.mean_load == doctest::Approx(served).epsilon(0.005));
	}
}

TEST_CASE("the same seed gives the same trial")
{
	const RssppTrialResult a = run_rsspp_trial(short_trial("ours", 4, 0.9)),
						   b = run_rsspp_trial(short_trial("ours", 4, 0.9));
	CHECK(a.processed == b.processed);
	CHECK(a.dropped == b.dropped);
	CHECK(a.moves == b.moves);
	CHECK(a.latency_p99_us == b.latency_p99_us);
}

TEST_CASE("service times fixed, drawn or measured: the same mean, a longer tail where they vary")
{
	double p99[3];
	for (const Service service : {Service::fixed, Service::drawn, Service::measured}) {
		RssppTrial t = short_trial("pooled", 4, 0.5);
		t.service = service;
		const RssppTrialResult r = run_rsspp_trial(t);
		CHECK(r.lost == 0);
		CHECK(r.mean_load == doctest::Approx(0.5).epsilon(0.05));
		p99[int(service)] = r.latency_p99_us;
	}
	CHECK(p99[1] > p99[0]);
	CHECK(p99[2] > p99[0]);
}

// Methods that move buckets may drop less than these: what a core sets aside for a hand-over waits in
// up to one more ring of packets.
TEST_CASE(
	"with room in rings alone, the shortest queue is as good as one queue for all, and beats fixed buckets")
{
	const RssppTrialResult pooled = run_rsspp_trial(short_trial("pooled", 4, 0.95));
	const RssppTrialResult ideal = run_rsspp_trial(short_trial("shortest", 4, 0.95));
	// Not to the packet: polls of 32 make room at other moments.
	CHECK(double(ideal.dropped) == doctest::Approx(double(pooled.dropped)).epsilon(0.05));
	const RssppTrialResult fixed = run_rsspp_trial(short_trial("static", 4, 0.95));
	CHECK(ideal.dropped <= fixed.dropped);
	CHECK(ideal.latency_p95_us <= fixed.latency_p95_us);
}

TEST_CASE("epochs of 10 ms under load work for the greedy as for ours")
{
	for (const char *method : {"greedy", "ours"}) {
		CAPTURE(method);
		RssppTrial t = short_trial(method, 4, 0.95);
		const RssppTrialResult slow = run_rsspp_trial(t);
		t.overload_interval_ms = 10;
		const RssppTrialResult fast = run_rsspp_trial(t);
		CHECK(fast.epochs > 2 * slow.epochs);
	}
}

TEST_CASE("traffic classes are measured when their cores stand still, others at once")
{
	RssppTrial t = short_trial("classes", 8, 0.5);
	t.warmup_seconds = 2;
	t.still_seconds = 7;
	const RssppTrialResult classes = run_rsspp_trial(t);
	CHECK(classes.still_seconds >= 7);
	CHECK(classes.warmed_seconds > 9); // a split in 3 s: two of them come first
	CHECK(classes.mean_cores > 4);
	CHECK(classes.lost == 0);
	t.warmup_seconds = 8;
	t.method = "static";
	CHECK(run_rsspp_trial(t).warmed_seconds == doctest::Approx(8).epsilon(0.01));
	// At the limit the window begins anyway, and the result says so.
	t.method = "classes";
	t.warmup_limit_seconds = 8;
	const RssppTrialResult early = run_rsspp_trial(t);
	CHECK(early.warmed_seconds == doctest::Approx(8).epsilon(0.01));
	CHECK(early.still_seconds < 7);
	CHECK(early.offered > 0);
}

TEST_CASE("spraying and round robin are even, whatever the flows")
{
	CHECK(run_rsspp_trial(short_trial("sprayer", 8, 0.6)).imbalance_percent < 1);
	CHECK(run_rsspp_trial(short_trial("sw-rr", 8, 0.6)).imbalance_percent < 1);
	// A flow stays where its first packet went: the elephant's core has more.
	CHECK(run_rsspp_trial(short_trial("sw-flow", 8, 0.6)).imbalance_percent > 20);
}

TEST_CASE("a software dispatcher is the limit when it is slower than the traffic")
{
	RssppTrial t = short_trial("sw-rr", 8, 0.3);
	t.dispatch_ns = 4000; // a quarter of a million packets a second, half of what comes
	const RssppTrialResult r = run_rsspp_trial(t);
	CHECK(r.goodput_pps == doctest::Approx(250'000).epsilon(0.02));
	CHECK(r.dropped > r.offered / 3);
}

TEST_CASE("traffic classes begin on one core and split until none is above the bound")
{
	RssppTrial t = short_trial("classes", 8, 0.35);
	t.interval_ms = 500;
	t.seconds = 4;
	t.warmup_seconds = 14; // a core rests three seconds after a split
	t.autoscale = true;
	const RssppTrialResult r = run_rsspp_trial(t);
	CHECK(r.mean_cores > 3);
	CHECK(r.lost == 0);
}

TEST_CASE(
	"single flows: heavy ones move by themselves, in order, and the load is more even than by RSS")
{
	const RssppTrialResult rss = run_rsspp_trial(short_trial("static", 8, 0.6)),
						   flows = run_rsspp_trial(short_trial("flows", 8, 0.6));
	CHECK(flows.reordered == 0);
	CHECK(flows.moves > 0);
	REQUIRE(flows.imbalance_by_second.size() == 1);
	CHECK(flows.imbalance_percent < rss.imbalance_percent);
}

TEST_CASE("one shared queue drops no more than any table, and balancing drops less than static RSS")
{
	RssppTrial t = short_trial("static", 4, 0.95);
	t.profile = "campus4";
	const uint64_t by_rss = run_rsspp_trial(t).dropped;
	t.method = "ours";
	t.overload_interval_ms = 10;
	const uint64_t by_ours = run_rsspp_trial(t).dropped;
	t.method = "pooled";
	const uint64_t by_pool = run_rsspp_trial(t).dropped;
	CHECK(by_ours < by_rss);
	CHECK(by_pool <= by_ours);
}

TEST_CASE(
	"random moves, passed through or served first: nothing lost, nothing out of order, shorter holds")
{
	RssppTrial t = short_trial("static", 8, 0.7);
	t.exact_load = false;
	t.profile = "campus4";
	t.moves_per_second = 100;
	t.seconds = 3;
	t.passes = false;
	const RssppTrialResult served = run_rsspp_trial(t);
	t.passes = true;
	t.prepare_ms = 0;
	const RssppTrialResult passed = run_rsspp_trial(t);
	t.prepare_ms = 20;
	t.moving_burst = 8;
	const RssppTrialResult prepared = run_rsspp_trial(t);
	for (const RssppTrialResult &r : {served, passed, prepared}) {
		CHECK(r.lost == 0);
		CHECK(r.reordered == 0);
		CHECK(r.moves > 150);
	}
	CHECK(passed.hold_max_us < served.hold_max_us);
	CHECK(passed.handed_over > 0);
	CHECK(prepared.hold_max_us < passed.hold_max_us);
	CHECK(prepared.hold_max_us < 200);
}
