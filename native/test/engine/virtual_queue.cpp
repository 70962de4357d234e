#include "datapath/ports/virtual_queue.hpp"
#include "datapath/ports/poisson.hpp"
#include "measure/marks.hpp"
#include "nf/prefixes.hpp"
#include "support/seed.hpp"

#include "cores.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <sched.h>
#include <stdexcept>
#include <vector>

using namespace reframer;
using namespace reframer::engine;

namespace {

uint64_t seed()
{
	static const uint64_t seed = reframer::test::seed_for("virtual queue", 1);
	return seed;
}

QueueResult simulate(const QueueConfig &given, const std::vector<Arrival> &arrivals)
{
	QueueConfig config = given;
	config.window_end_ns = static_cast<double>(arrivals.back().time_ns + 1);
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	Dma dma(Dma::Into::dram, -1);
	VirtualQueue queue(config, nullptr, *chain, dma);
	queue.run(arrivals, config.window_end_ns);
	queue.drain();
	return queue.result();
}

} // namespace

TEST_CASE("a queue with fixed service time has the latency of M/D/1")
{
	uint64_t s = seed();
	constexpr double service = 1000;
	for (double rho : {0.2, 0.5, 0.8, 0.9}) {
		QueueConfig config;
		config.ring_depth = 16384; // as good as infinite
		config.burst = 1;          // M/D/1 serves one customer at a time
		config.service_ns = service;
		auto arrivals = poisson_arrivals(s, rho / service, 1000000);
		QueueResult r = simulate(config, arrivals);
		double expected = md1_mean_ns(service, rho);
		CAPTURE(rho);
		CHECK(r.latency.mean() == doctest::Approx(expected).epsilon(0.03));
		CHECK(r.busy_ns / static_cast<double>(arrivals.back().time_ns) ==
		      doctest::Approx(rho).epsilon(0.01));
		CHECK(r.ring_dropped == 0);
	}
}

TEST_CASE("an overloaded queue sends what its service time allows and drops the rest")
{
	QueueConfig config;
	config.service_ns = 1000;
	auto arrivals = poisson_arrivals(seed(), 2.5e-3, 500000);
	for (uint32_t burst : {1u, 32u}) {
		config.burst = burst;
		QueueResult r = simulate(config, arrivals);
		double seconds = static_cast<double>(arrivals.back().time_ns) * 1e-9;
		CHECK(static_cast<double>(r.departed_packets) / seconds ==
		      doctest::Approx(1e6).epsilon(0.01));
		CHECK(static_cast<double>(r.window_ring_dropped) / static_cast<double>(r.offered_packets) ==
		      doctest::Approx(0.6).epsilon(0.01));
		// Full ring in front of each packet, plus the burst that it leaves with.
		CHECK(r.latency.quantile(0.5) ==
		      doctest::Approx(256e3 + (burst - 1) * 500.0).epsilon(0.05));
		CHECK(r.arrived == r.departed + r.ring_dropped);
		CHECK(r.held == 0);
	}
}

TEST_CASE("departures, drops and latencies are those of a plain event simulation")
{
	uint64_t s = seed();
	for (uint32_t burst : {1u, 7u, 32u}) {
		QueueConfig config;
		config.ring_depth = 64;
		config.burst = burst;
		config.service_ns = 700;
		auto arrivals = poisson_arrivals(s + burst, 1.45e-3, 50000);
		QueueResult r = simulate(config, arrivals);

		// One event at a time: the ring loses `taken` packets when a poll starts.
		std::deque<uint64_t> ring;
		double clock = 0, latency = 0;
		size_t next = 0, departed = 0, dropped = 0;
		while (next < arrivals.size() || !ring.empty()) {
			if (ring.empty())
				clock = std::max(clock, static_cast<double>(arrivals[next].time_ns));
			while (next < arrivals.size() && static_cast<double>(arrivals[next].time_ns) <= clock) {
				if (ring.size() < config.ring_depth)
					ring.push_back(arrivals[next].time_ns);
				else
					dropped++;
				next++;
			}
			size_t taken = std::min<size_t>(ring.size(), burst);
			clock += static_cast<double>(taken) * config.service_ns;
			for (size_t i = 0; i < taken; i++) {
				if (clock < static_cast<double>(arrivals.back().time_ns + 1)) {
					latency += std::floor(clock - static_cast<double>(ring.front()));
					departed++;
				}
				ring.pop_front();
			}
		}
		CHECK(r.ring_dropped == dropped);
		CHECK(r.departed_packets == departed);
		CHECK(r.latency.mean() * static_cast<double>(r.latency.count()) ==
		      doctest::Approx(latency).epsilon(1e-9));
	}
}

TEST_CASE("what a queue does is independent of how its arrivals are cut into pieces")
{
	uint64_t s = seed();
	auto arrivals = poisson_arrivals(s, 1.2e-3, 20000);
	QueueConfig config;
	config.service_ns = 900;
	QueueResult whole = simulate(config, arrivals);

	config.window_end_ns = static_cast<double>(arrivals.back().time_ns + 1);
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	Dma dma(Dma::Into::dram, -1);
	VirtualQueue queue(config, nullptr, *chain, dma);
	nf::Random random{s};
	size_t at = 0;
	for (double until = 0; until < config.window_end_ns;) {
		until = std::min(config.window_end_ns, until + random.below(200000));
		size_t end = at;
		while (end < arrivals.size() && static_cast<double>(arrivals[end].time_ns) <= until)
			end++;
		queue.run({arrivals.data() + at, end - at}, until);
		at = end;
	}
	queue.drain();
	const QueueResult &pieces = queue.result();
	CHECK(pieces.departed == whole.departed);
	CHECK(pieces.ring_dropped == whole.ring_dropped);
	CHECK(pieces.latency.mean() == whole.latency.mean());
	CHECK(pieces.reordered == 0);
}

TEST_CASE("the measured clock runs: time is charged, frames arrive whole, answers are repeatable")
{
	nf::Random random{seed()};
	std::vector<std::vector<uint8_t>> frames;
	std::vector<Arrival> arrivals;
	for (uint32_t i = 0; i < 5000; i++) {
		std::vector<uint8_t> f(60 + random.below(1400));
		for (uint8_t &b : f)
			b = static_cast<uint8_t>(random.next());
		frames.push_back(std::move(f));
		auto size = static_cast<uint32_t>(frames.back().size());
		arrivals.push_back({i * 2000ull, frames.back().data(), size, size, i, i % 7});
	}
	uint64_t answers[2];
	for (uint64_t &answer : answers) {
		QueueConfig config;
		config.window_end_ns = 1e9;
		config.tsc_hz = 2.5e9;
		auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
		Dma dma(Dma::Into::dram, -1);
		VirtualQueue queue(config, nullptr, *chain, dma);
		CHECK(queue.empty_poll_ns() > 0);
		size_t departed = 0;
		queue.on_departure = [&](const nf::Mbuf &m, double) {
			const auto &f = frames[m.rss];
			CHECK(m.captured == f.size());
			CHECK(std::equal(f.begin(), f.end(), m.data()));
			departed++;
		};
		queue.run(arrivals, 1e9);
		queue.drain();
		const QueueResult &r = queue.result();
		CHECK(departed + r.ring_dropped == arrivals.size());
		CHECK(r.busy_ns > 0);
		CHECK(r.empty_polls > 0);
		CHECK(r.reordered == 0);
		answer = r.ring_dropped ? 0 : dma.answer();
	}
	CHECK(answers[0] == answers[1]);
}

TEST_CASE("what the writing core throws arrives here, and a core that there is not is an error")
{
	int last = 0;
	reframer::test::unpin(last);
	Dma dma(Dma::Into::llc, last);
	bool done = false;
	dma.run([&] { done = true; });
	CHECK(done);
	CHECK_THROWS_AS(dma.run([] { throw std::logic_error("on that core"); }), std::logic_error);
	dma.run([&] { done = false; }); // it goes on
	CHECK(!done);
	CHECK_THROWS_AS(Dma(Dma::Into::llc, CPU_SETSIZE - 1), std::runtime_error);
}

TEST_CASE("a queue refuses arrivals that it would lose, and notices a stage that takes too few")
{
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	Dma dma(Dma::Into::dram, -1);
	QueueConfig config;
	config.service_ns = 100;
	auto arrivals = poisson_arrivals(seed(), 1e-3, 1000);
	VirtualQueue late(config, nullptr, *chain, dma);
	CHECK_THROWS_AS(late.run(arrivals, static_cast<double>(arrivals.front().time_ns - 1)),
	                std::logic_error);
}

TEST_CASE("a loop receives no more than a small stage has room for")
{
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	Dma dma(Dma::Into::dram, -1);
	QueueConfig config;
	config.service_ns = 100;
	auto arrivals = poisson_arrivals(seed(), 1e-3, 1000);
	// Much smaller than the queue was told, and a poll takes one packet out of it.
	reframer_params params;
	reframer_default_params(&params);
	params.max_packets = 32;
	params.delay_ns = REFRAMER_MAX_DELAY_NS;
	params.hash_seed = 1;
	reframer_stage *stage = nullptr;
	REQUIRE(reframer_create(&params, &stage) == 0);
	config.release_max = 1;
	for (Arrival &a : arrivals)
		a.time_ns = 1;
	config.ring_depth = 1024;
	{
		VirtualQueue small(config, stage, *chain, dma);
		small.run(arrivals, 1e9);
		small.drain();
		CHECK(small.result().departed == arrivals.size());
		CHECK(small.result().reordered == 0);
	}
	reframer_free(stage);
}

TEST_CASE("a poll during which the core was away is marked, ordinary variation is not")
{
	nf::Random random{seed()};
	PollMarker marker(3000);
	double excess = 0;
	for (int i = 0; i < 10000; i++) {
		uint32_t n = 1 + random.below(32);
		double ns = 0;
		for (uint32_t k = 0; k < n; k++)
			ns += random.below(3) == 0 ? 200 : 3000; // hits and misses of a last-flow cache
		CHECK(marker.charge(n, n, ns, excess) == ns);
		CHECK(excess == 0);
	}
	// After a long quiet of hits alone, a burst of misses is still the program's own cost.
	for (int i = 0; i < 1000; i++)
		marker.charge(32, 32, 32 * 100, excess);
	marker.charge(32, 32, 32 * 3000, excess);
	CHECK(excess == 0);
	double charged = marker.charge(32, 32, 2e6, excess);
	CHECK(excess == 2e6 - 32 * 100);
	CHECK(charged == 32 * 100);
}

TEST_CASE("a timer tick in a short poll is marked, what a program may do by itself is not")
{
	PollMarker marker(200);
	double excess = 0;
	for (int i = 0; i < 1000; i++)
		marker.charge(8, 8, 8 * 150, excess);
	for (double tick : {25e3, 50e3, 101e3}) {
		CHECK(marker.charge(8, 8, 1200 + tick, excess) == 1200);
		CHECK(excess == tick);
	}
	// Within what the program may do by itself.
	CHECK(marker.charge(8, 8, 8 * 2 * 200 + 8000, excess) == 8 * 2 * 200 + 8000);
	CHECK(excess == 0);
}

TEST_CASE("a bound on what a poll takes out of the stage keeps order and loses nothing")
{
	uint64_t s = seed();
	for (uint32_t bound : {1u, 32u, 100u}) {
		for (uint32_t held : {64u, 4096u}) {
			auto arrivals = poisson_arrivals(s, 2e-3, 30000);
			for (auto &a : arrivals)
				a.rss = a.flow * 0x9e3779b9u;
			QueueConfig config;
			config.service_ns = 800;
			config.release_max = bound;
			config.max_held = held;
			config.window_end_ns = static_cast<double>(arrivals.back().time_ns + 1);
			reframer_params p;
			reframer_default_params(&p);
			p.max_packets = held;
			p.delay_ns = 40000;
			p.hash_seed = s | 1;
			reframer_stage *stage = nullptr;
			REQUIRE(reframer_create(&p, &stage) == 0);
			auto chain =
				nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
			Dma dma(Dma::Into::dram, -1);
			VirtualQueue queue(config, stage, *chain, dma);
			queue.run(arrivals, config.window_end_ns);
			queue.drain();
			const QueueResult &r = queue.result();
			CHECK(r.held == 0);
			CHECK(r.reordered == 0);
			CHECK(r.arrived == r.departed + r.ring_dropped);
			CHECK(r.runs_out < r.runs_in);
			reframer_free(stage);
		}
	}
}
