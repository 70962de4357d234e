// Job `bench-reframer`: what the stage costs a packet, beside the least that it could cost.
//
// spec   {"quick": false, "seed": 1, "dma": "llc"|"dram", "traffic": "uniform"|"trains",
//         "flows": [1000,100000,1000000,10000000], "inFlight": [128,512,2048],
//         "nicHash": [false,true], "lookahead": 32, "samples": 101, "core": 0, "fillerCore": 1}
// record {"row": {"flows","inFlight","nicHash","dma","traffic","nsPerPacket","nsLow","nsHigh",
//         "boundNsPerPacket","ratio","samples","packetsPerSample","slfIn","slfOut","lookahead"}}
//
// Timed: reframer_push() and reframer_poll() of whole bursts of 32, by the time stamp counter, over
// 4096 packets a sample. A virtual clock steps so that `inFlight` packets come within T. Not timed:
// filling the buffers, 64 bytes each, in a pool of 148 MiB that is used in turn. The bound runs on
// the same packets in the same run: it reads one word of each header, fetched 128 packets ahead,
// and takes the pointer through a queue of the same length; with the NIC hash it reads no header,
// as the stage does not either. nsLow and nsHigh: 95 % bootstrap interval of the median.
#include "measure/tsc.hpp"
#include "lab/reframer/bench_pool.hpp"
#include "jobs/job.hpp"
#include "measure/median.hpp"
#include "jobs/spec_reader.hpp"
#include "packet/bytes.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = 32, packets_per_sample = 4096;
// Time between two packets, of the virtual clock: 7.8 Mpps, T = 64 us holds 500 packets.
constexpr uint64_t gap_ns = 128;

struct BenchSpec {
	HeaderPlace place;
	BenchTraffic traffic;
	std::vector<uint64_t> flows, in_flight;
	std::vector<bool> nic_hash;
	uint32_t lookahead, samples;
	uint64_t seed;
	int core, filler_core;
};

std::vector<uint64_t> list(SpecReader &reader, const char *name, std::vector<uint64_t> fallback,
                           uint64_t low, uint64_t high)
{
	const Json *given = reader.take(name);
	if (!given)
		return fallback;
	if (!given->is_array() || given->empty())
		reader.fail(name, "must be a list of numbers");
	std::vector<uint64_t> values;
	for (const Json &value : *given) {
		if (!value.is_number_unsigned() || value < low || value > high)
			reader.fail(name, "has a member out of range");
		values.push_back(value);
	}
	return values;
}

BenchSpec parse_spec(const Json &json)
{
	SpecReader reader(json, "");
	BenchSpec spec;
	const bool quick = reader.boolean("quick", false);
	spec.place = reader.choice("dma", HeaderPlace::llc,
	                           {{"llc", HeaderPlace::llc}, {"dram", HeaderPlace::dram}});
	spec.traffic = reader.choice("traffic", BenchTraffic::uniform,
	                             {{"uniform", BenchTraffic::uniform}, {"trains", BenchTraffic::trains}});
	spec.flows = list(reader, "flows", {1000, 100'000, 1'000'000, 10'000'000}, 1, 1ull << 32);
	spec.in_flight = list(reader, "inFlight", {128, 512, 2048}, 32, 65536);
	spec.nic_hash = {false, true};
	if (const Json *given = reader.take("nicHash")) {
		if (!given->is_array() || given->empty())
			reader.fail("nicHash", "must be a list of true and false");
		spec.nic_hash = given->get<std::vector<bool>>();
	}
	spec.lookahead = static_cast<uint32_t>(reader.integer("lookahead", 32, 0, 128));
	spec.samples = static_cast<uint32_t>(reader.integer("samples", quick ? 31 : 101, 5, 100'000));
	spec.seed = reader.integer("seed", 1, 0, 1ull << 53);
	const auto cores = static_cast<uint64_t>(std::max(1u, std::thread::hardware_concurrency()));
	spec.core = static_cast<int>(reader.integer("core", 0, 0, cores - 1));
	spec.filler_core = static_cast<int>(reader.integer("fillerCore", cores - 1, 0, cores - 1));
	if (spec.place == HeaderPlace::llc && spec.core == spec.filler_core)
		throw JobError("not-supported", "dma llc needs a second core to fill the buffers; use dma dram", 3);
	reader.finish();
	return spec;
}

class StageUnderTest {
public:
	StageUnderTest(const BenchSpec &spec, uint64_t in_flight, bool nic_hash) : nic_hash_(nic_hash)
	{
		reframer_params params;
		reframer_default_params(&params);
		params.delay_ns = in_flight * gap_ns;
		params.max_packets = static_cast<uint32_t>(std::max<uint64_t>(4096, in_flight * 2));
		params.hash_seed = spec.seed + 1;
		params.lookahead = spec.lookahead;
		if (reframer_create(&params, &stage_) != 0)
			throw JobError("failed", "the stage could not be created");
	}
	~StageUnderTest() { reframer_free(stage_); }
	StageUnderTest(const StageUnderTest &) = delete;
	StageUnderTest &operator=(const StageUnderTest &) = delete;

	uint64_t run(const Received &received)
	{
		void *out[chunk];
		reframer_run runs[chunk];
		const auto total = static_cast<uint32_t>(received.packets.size());
		const uint64_t start = engine::tsc_start();
		for (uint32_t first = 0; first < total; first += burst_size) {
			const reframer_burst burst = {&received.packets[first],
			                              nic_hash_ ? nullptr : &received.data[first],
			                              nic_hash_ ? nullptr : &received.captured[first],
			                              &received.captured[first],
			                              nic_hash_ ? &received.hash[first] : nullptr, burst_size};
			now_ += burst_size * gap_ns;
			pushed_ += reframer_push(stage_, &burst, now_);
			uint32_t n, nb_runs;
			do {
				nb_runs = chunk;
				n = reframer_poll(stage_, now_, out, chunk, runs, &nb_runs);
				polled_ += n;
			} while (n == chunk);
		}
		return engine::tsc_stop() - start;
	}

	// Everything that went in is out, or is said to be held.
	reframer_stats check()
	{
		reframer_stats stats;
		reframer_get_stats(stage_, &stats);
		if (stats.packets_in != pushed_ || stats.packets_out != polled_ ||
		    polled_ + stats.packets_held != pushed_)
			throw JobError("wrong-answer", "packets in and out of the stage do not add up");
		return stats;
	}

private:
	static constexpr uint32_t chunk = 512;
	reframer_stage *stage_ = nullptr;
	bool nic_hash_;
	uint64_t now_ = 1'000'000;
	uint64_t pushed_ = 0, polled_ = 0;
};

// The least that any stage does: the header's line comes to the core, the pointer goes through.
class Bound {
public:
	Bound(uint64_t in_flight, bool touch) : queue_(in_flight), touch_(touch) {}

	uint64_t run(const Received &received)
	{
		void *out[burst_size];
		const auto total = static_cast<uint32_t>(received.packets.size());
		const uint64_t start = engine::tsc_start();
		for (uint32_t first = 0; first < total; first += burst_size) {
			if (touch_)
				touch(received, first);
			for (uint32_t i = 0; i < burst_size; i++) {
				out[i] = queue_[at_];
				queue_[at_] = received.packets[first + i];
				at_ = at_ + 1 == queue_.size() ? 0 : at_ + 1;
			}
			sink_ = sink_ + reinterpret_cast<uintptr_t>(out[0]);
			// What is given out is there for the caller.
			__asm__ volatile("" : : "r"(out) : "memory");
		}
		return engine::tsc_stop() - start;
	}

private:
	void touch(const Received &received, uint32_t first)
	{
		constexpr uint32_t ahead = 128;
		uint64_t sum = 0;
		for (uint32_t i = 0; i < burst_size; i++) {
			__builtin_prefetch(received.data[first + i]);
			if (first + i >= ahead)
				sum += packet::load<uint64_t>(received.data[first + i - ahead] + 26);
		}
		if (first + burst_size == received.packets.size())
			for (uint32_t i = first + burst_size - ahead; i < first + burst_size; i++)
				sum += packet::load<uint64_t>(received.data[i] + 26);
		sink_ = sink_ + sum;
	}

	std::vector<void *> queue_;
	bool touch_;
	size_t at_ = 0;
	volatile uint64_t sink_ = 0;
};

Json run_row(const BenchSpec &spec, uint64_t flows, uint64_t in_flight, bool nic_hash, double tsc_hz)
{
	BenchPool pool(spec.place, spec.traffic, flows, spec.seed, spec.filler_core);
	StageUnderTest stage(spec, in_flight, nic_hash);
	Bound bound(in_flight, !nic_hash);
	const auto per_packet = [&](uint64_t ticks) {
		return static_cast<double>(ticks) * 1e9 / tsc_hz / packets_per_sample;
	};
	for (uint32_t i = 0; i < 8; i++) { // warm-up: all slots and lines in use have been used
		stage.run(pool.fill(packets_per_sample));
		bound.run(pool.fill(packets_per_sample));
	}
	std::vector<double> of_stage, of_bound, ratios;
	while (of_stage.size() < spec.samples) {
		const double a = per_packet(stage.run(pool.fill(packets_per_sample)));
		const double b = per_packet(bound.run(pool.fill(packets_per_sample)));
		const double c = per_packet(bound.run(pool.fill(packets_per_sample)));
		const double d = per_packet(stage.run(pool.fill(packets_per_sample)));
		of_stage.insert(of_stage.end(), {a, d});
		of_bound.insert(of_bound.end(), {b, c});
		ratios.push_back((a + d) / (b + c));
	}
	const reframer_stats stats = stage.check();
	const auto [low, high] = interval_of_median(of_stage, spec.seed);
	const auto share = [](uint64_t packets, uint64_t runs) {
		return runs ? static_cast<double>(packets) / static_cast<double>(runs) : 0;
	};
	return {{"flows", flows}, {"inFlight", in_flight}, {"nicHash", nic_hash},
	        {"dma", spec.place == HeaderPlace::llc ? "llc" : "dram"},
	        {"traffic", spec.traffic == BenchTraffic::uniform ? "uniform" : "trains"},
	        {"nsPerPacket", median(of_stage)}, {"nsLow", low}, {"nsHigh", high},
	        {"boundNsPerPacket", median(of_bound)}, {"ratio", median(ratios)},
	        {"samples", of_stage.size()}, {"packetsPerSample", packets_per_sample},
	        {"slfIn", share(stats.packets_in, stats.runs_in)},
	        {"slfOut", share(stats.packets_out, stats.runs_out)}, {"lookahead", spec.lookahead}};
}

} // namespace

void run_bench_reframer(const Json &json)
{
	const BenchSpec spec = parse_spec(json);
	pin_to_core(spec.core);
	const double tsc_hz = engine::measure_tsc_hz();
	for (const bool nic_hash : spec.nic_hash)
		for (const uint64_t flows : spec.flows)
			for (const uint64_t in_flight : spec.in_flight)
				emit({{"row", run_row(spec, flows, in_flight, nic_hash, tsc_hz)}});
}

} // namespace reframer::lab
