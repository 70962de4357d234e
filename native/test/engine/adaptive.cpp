// The adaptive policy on a model of a chain: a packet costs so much, and more where another flow's
// precedes it. Nothing is timed, so what is said here holds on any machine; the model's numbers are
// the paper chain's, as measured.
#include "datapath/ports/virtual_queue.hpp"
#include "measure/median.hpp"
#include "traffic/generator.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <tuple>
#include <vector>

using namespace reframer;
using namespace reframer::engine;

namespace {

constexpr uint32_t queues = 8;
constexpr uint64_t budget_ns = 128'000;
constexpr uint64_t warmup_ns = 10'000'000, ms = 1'000'000;
constexpr uint64_t window_ns = ms / 2;

struct Phase {
	double gbps; // over all queues
	uint64_t until_ns;
};

// Arrivals of queue 0. Nobody looks at the frames: all are one.
std::vector<Arrival> arrivals_of(const traffic::GeneratorParams &given,
                                 std::initializer_list<Phase> phases)
{
	static const uint8_t frame[64] = {};
	std::vector<Arrival> out;
	uint64_t start = 0;
	uint32_t flows = 0;
	for (const Phase &phase : phases) {
		traffic::GeneratorParams params = given;
		params.rate_bps = static_cast<uint64_t>(phase.gbps * 1e9);
		params.queues = queues;
		params.queue = 0;
		traffic::Generator generator(params);
		std::array<traffic::PacketMeta, 256> meta;
		uint32_t most = 0;
		for (bool more = true; more;) {
			const size_t n = generator.read_meta(meta.data(), meta.size());
			more = n > 0;
			for (size_t i = 0; i < n; i++) {
				const uint64_t time = start + meta[i].time_ns;
				if (time >= phase.until_ns) {
					more = false;
					break;
				}
				most = std::max(most, meta[i].flow);
				out.push_back({time, frame, sizeof(frame), meta[i].length, meta[i].hash,
				               flows + meta[i].flow});
			}
		}
		start = phase.until_ns;
		flows += most + 1;
	}
	return out;
}

struct Outcome {
	QueueResult result;
	std::vector<double> mbits;              // that departed, in each window
	std::vector<std::vector<double>> waits; // ns, likewise
	double gbps() const { return static_cast<double>(result.departed_bits) / 1e9 * queues; }
};

struct Model {
	double packet_ns = 600, run_ns = 1800;
};

// T of `delay_ns`; 0: no Reframer.
Outcome run(const std::vector<Arrival> &arrivals, uint64_t end_ns, uint32_t policy,
            uint64_t delay_ns, const Model &model = {}, uint64_t window_start_ns = warmup_ns)
{
	reframer_stage *stage = nullptr;
	if (delay_ns) {
		reframer_params params;
		reframer_default_params(&params);
		params.policy = policy;
		params.delay_ns = delay_ns;
		params.hash_seed = 1;
		REQUIRE(reframer_create(&params, &stage) == 0);
	}
	QueueConfig config;
	config.release_max = 32;
	config.report_load = policy == REFRAMER_ADAPTIVE;
	config.service_ns = model.packet_ns;
	config.service_run_ns = model.run_ns;
	config.window_start_ns = static_cast<double>(window_start_ns);
	config.window_end_ns = static_cast<double>(end_ns);
	auto chain = nf::ChainFactory({.kind = nf::ChainKind::forward}).make(nf::Form::packet, 0);
	Dma dma(Dma::Into::llc, -1);
	Outcome out;
	out.mbits.resize(end_ns / window_ns + 1);
	out.waits.resize(out.mbits.size());
	{
		VirtualQueue queue(config, stage, *chain, dma);
		queue.on_hand_over = [&](const nf::Mbuf &m, double time_ns, uint64_t origin_ns, uint32_t) {
			const auto window =
				std::min(static_cast<size_t>(time_ns) / window_ns, out.mbits.size() - 1);
			out.mbits[window] += m.wire * 8e-6;
			out.waits[window].push_back(time_ns - static_cast<double>(origin_ns));
		};
		queue.run(arrivals, config.window_end_ns);
		queue.drain();
		out.result = queue.result();
	}
	reframer_free(stage);
	CHECK(out.result.reordered == 0);
	CHECK(out.result.held == 0);
	return out;
}

traffic::GeneratorParams profile(traffic::Profile which, uint32_t flows = 0)
{
	traffic::GeneratorParams params;
	params.profile = which;
	params.seed = 7;
	if (flows)
		params.flows = flows;
	return params;
}

} // namespace

TEST_CASE("adaptive T at any load: no worse than off, and as fast as the best fixed T")
{
	constexpr uint64_t end = warmup_ns + 20 * ms;
	double best = 0, reached = 0;
	for (const double gbps : {5, 10, 20, 24, 28, 32, 40, 50, 60, 70, 90}) {
		const auto arrivals = arrivals_of(profile(traffic::Profile::campus), {{gbps, end}});
		const Outcome off = run(arrivals, end, REFRAMER_FIXED, 0);
		const Outcome adaptive = run(arrivals, end, REFRAMER_ADAPTIVE, budget_ns);
		const auto us = [](const Outcome &o, double q) {
			return o.result.latency.quantile(q) / 1000;
		};
		constexpr double seconds = 20e-3;
		const double offered =
			static_cast<double>(off.result.offered_bits) * queues / 1e9 / seconds;
		MESSAGE(offered << " Gbps: off " << off.gbps() / seconds << " Gbps p50 " << us(off, 0.5)
		                << " p99 " << us(off, 0.99) << "; adaptive " << adaptive.gbps() / seconds
		                << " p50 " << us(adaptive, 0.5) << " p99 " << us(adaptive, 0.99));
		if (gbps <= 10)
			CHECK(us(adaptive, 0.5) <= us(off, 0.5) + 5);
		CHECK(us(adaptive, 0.99) <= 1.1 * us(off, 0.99));
		CHECK(adaptive.gbps() >= 0.97 * off.gbps());
		if (gbps < 70)
			continue;
		best = 0;
		for (const uint64_t us_held : {16, 32, 64, 128})
			best = std::max(best, run(arrivals, end, REFRAMER_FIXED, us_held * 1000).gbps());
		reached = adaptive.gbps();
		MESSAGE("best fixed " << best / seconds);
		CHECK(reached >= 0.95 * best);
	}
}

TEST_CASE("adaptive T on traffic without locality costs next to nothing")
{
	constexpr uint64_t end = warmup_ns + 160 * ms; // tries are rare, and shall be seen
	traffic::GeneratorParams once = profile(traffic::Profile::clients, 50'000'000),
							 flood = profile(traffic::Profile::syn_flood, 1u << 28);
	once.packets_per_flow = 1;
	flood.frame_length = 60;
	for (const auto &[name, params, gbps] :
	     {std::tuple{"uniform", profile(traffic::Profile::uniform, 100'000), 70.0},
	      {"one-packet flows", once, 70.0},
	      {"SYN flood", flood, 4.0}}) {
		const auto arrivals = arrivals_of(params, {{gbps, end}});
		const Outcome off = run(arrivals, end, REFRAMER_FIXED, 0);
		const Outcome adaptive = run(arrivals, end, REFRAMER_ADAPTIVE, budget_ns);
		const std::string traffic = name;
		CAPTURE(traffic);
		const double share = adaptive.gbps() / off.gbps();
		MESSAGE(traffic << ": throughput " << share << " of off, p99 "
		                << off.result.latency.quantile(0.99) / 1000 << " and "
		                << adaptive.result.latency.quantile(0.99) / 1000);
		CHECK(adaptive.gbps() >= 0.99 * off.gbps());
		CHECK(adaptive.result.latency.quantile(0.99) <= 1.1 * off.result.latency.quantile(0.99));
	}
}

TEST_CASE("adaptive T follows a step of the load within 5 ms, up and down")
{
	constexpr uint64_t up = warmup_ns, down = up + 20 * ms, end = down + 20 * ms;
	const auto arrivals =
		arrivals_of(profile(traffic::Profile::campus), {{10, up}, {60, down}, {10, end}});
	const Outcome off = run(arrivals, end, REFRAMER_FIXED, 0, {}, 0);
	const Outcome fixed = run(arrivals, end, REFRAMER_FIXED, 64'000, {}, 0);
	const Outcome adaptive = run(arrivals, end, REFRAMER_ADAPTIVE, budget_ns, {}, 0);
	const auto sum = [](const Outcome &o, uint64_t from, uint64_t until) {
		const auto at = [&](uint64_t time) {
			return o.mbits.begin() + static_cast<std::ptrdiff_t>(time / window_ns);
		};
		return std::accumulate(at(from), at(until), 0.0);
	};
	// Up: from here on 2 ms carry as much as with a T that was there before. Down: the end of the last
	// window in which packets waited.
	uint64_t recovered = up, last_waiting = down;
	while (recovered + 2 * ms < down && sum(adaptive, recovered, recovered + 2 * ms) <
	                                        0.95 * sum(fixed, recovered, recovered + 2 * ms))
		recovered += window_ns;
	for (size_t w = down / window_ns; w < end / window_ns; w++)
		if (engine::quantile(adaptive.waits[w], 0.5) > engine::quantile(off.waits[w], 0.5) + 5000)
			last_waiting = (w + 1) * window_ns;
	MESSAGE("recovers after " << static_cast<double>(recovered - up) / 1e6 << " ms up and "
	                          << static_cast<double>(last_waiting - down) / 1e6 << " ms down");
	CHECK(recovered - up <= 5 * ms);
	CHECK(sum(adaptive, up + 5 * ms, down) >= 0.95 * sum(fixed, up + 5 * ms, down));
	CHECK(last_waiting - down <= 5 * ms);
}
