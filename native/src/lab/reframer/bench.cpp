// Job `bench-reframer`: what the stage costs a packet, beside the least that it could cost.
//
// spec   {"quick": false, "seed": 1, "dma": "llc"|"dram",
//         "traffic": ["uniform","bursts","trains","campus"], "flows": [10000], "bursts": [32],
//         "inFlight": [630], "strides": [2368], "touchedKib": [0], "buffers": [8192],
//         "nicHash": [true,false],
//         "lookahead": 32, "samples": 101, "core": 0, "fillerCore": 1}
// record {"row": {"traffic","flows","burst","inFlight","stride","touchedKib","buffers","nicHash","dma",
//         "nsPerPacket","nsLow","nsHigh","kernel","scalarNsPerPacket","boundNsPerPacket","ratio","samples",
//         "packetsPerSample","slfIn","slfOut","lookahead"}}
//
// Without a list: trains of 10 k flows in bursts of 32, 630 in flight, buffers as DPDK lays them,
// then one of these changed at a time. With lists: every combination of them.
//
// Timed: reframer_push() and reframer_poll() of whole bursts by the time stamp counter, over some
// 4096 packets a sample. A virtual clock steps so that `inFlight` packets come within T. Not
// timed: filling the buffers, 64 bytes each, `buffers` of which are used in turn; nor reading
// `touchedKib` of a function's state between two bursts, for which the clock is stopped (what
// stopping costs is taken off). The bound runs on the same packets in the same run: it asks for
// each header, reads one word of it one burst later, and takes the pointer through a queue of the
// same length; with the NIC hash it reads no header, as the stage does not either.
// scalarNsPerPacket is of the stage by the loops for any processor, after those that `kernel`
// names. nsLow and nsHigh: 95 % bootstrap interval of the median.
#include "jobs/record.hpp"
#include "lab/cores.hpp"
#include "lab/reframer/bench_spec.hpp"
#include "lab/stage.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"
#include "packet/bytes.hpp"
#include "reframer/blocks/blocks.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace reframer::lab {

namespace {

// The clock of a sample. State of a function that runs between two bursts is read while it stands.
class Watch {
public:
	explicit Watch(uint64_t touched_kib) : state_(touched_kib * 1024, 1)
	{
		std::vector<double> empty;
		for (int i = 0; i < 1001; i++) {
			const uint64_t start = engine::tsc_start();
			empty.push_back(static_cast<double>(engine::tsc_stop() - start));
		}
		stop_costs_ = static_cast<uint64_t>(engine::median(empty));
	}
	void begin()
	{
		total_ = 0;
		start_ = engine::tsc_start();
	}
	// Between two bursts.
	void function_runs()
	{
		if (state_.empty())
			return;
		stop();
		uint64_t sum = 0;
		for (size_t i = 0; i < state_.size(); i += 64)
			sum += state_[i];
		sink_ = sink_ + sum;
		start_ = engine::tsc_start();
	}
	uint64_t end()
	{
		stop();
		return total_;
	}

private:
	void stop()
	{
		const uint64_t took = engine::tsc_stop() - start_;
		total_ += took > stop_costs_ ? took - stop_costs_ : 0;
	}

	std::vector<uint8_t> state_;
	uint64_t start_ = 0, total_ = 0, stop_costs_ = 0;
	volatile uint64_t sink_ = 0;
};

// While it lives, stages are made with the kernel that it names; NULL: the one that they choose.
class OtherKernel {
public:
	explicit OtherKernel(const char *name)
	{
		if (!name)
			return;
		const char *const given = std::getenv(variable);
		before_ = given ? std::optional<std::string>(given) : std::nullopt;
		changed_ = true;
		setenv(variable, name, 1);
	}
	~OtherKernel()
	{
		if (changed_ && before_)
			setenv(variable, before_->c_str(), 1);
		else if (changed_)
			unsetenv(variable);
	}
	OtherKernel(const OtherKernel &) = delete;
	OtherKernel &operator=(const OtherKernel &) = delete;

private:
	static constexpr const char *variable = "REFRAMER_KERNEL";
	std::optional<std::string> before_;
	bool changed_ = false;
};

class StageUnderTest {
public:
	StageUnderTest(const BenchSpec &spec, const BenchPoint &point, const char *kernel)
		: point_(point), watch_(point.touched_kib)
	{
		reframer_params params;
		reframer_default_params(&params);
		params.delay_ns = point.in_flight * gap_ns;
		params.max_packets = static_cast<uint32_t>(std::max<uint64_t>(4096, point.in_flight * 2));
		params.max_bytes = uint64_t{params.max_packets} * 2048;
		params.hash_seed = spec.seed + 1;
		params.lookahead = spec.lookahead;
		const OtherKernel other(kernel);
		owned_ = make_stage(params);
		stage_ = owned_.get();
	}

	uint64_t run(const Received &received)
	{
		void *out[chunk];
		reframer_run runs[chunk];
		const auto total = static_cast<uint32_t>(received.packets.size());
		const auto size = static_cast<uint32_t>(point_.burst);
		const bool nic_hash = point_.nic_hash;
		watch_.begin();
		for (uint32_t first = 0; first < total; first += size) {
			if (first)
				watch_.function_runs();
			const reframer_burst burst = {&received.packets[first],
			                              nic_hash ? nullptr : &received.data[first],
			                              nic_hash ? nullptr : &received.captured[first],
			                              &received.captured[first],
			                              nic_hash ? &received.hash[first] : nullptr,
			                              size};
			now_ += size * gap_ns;
			pushed_ += reframer_push(stage_, &burst, now_);
			uint32_t n, nb_runs;
			do {
				nb_runs = chunk;
				n = reframer_poll(stage_, now_, out, chunk, runs, &nb_runs);
				polled_ += n;
			} while (n == chunk);
		}
		return watch_.end();
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
	api::Stage owned_;
	reframer_stage *stage_ = nullptr;
	const BenchPoint point_;
	Watch watch_;
	uint64_t now_ = 1'000'000;
	uint64_t pushed_ = 0, polled_ = 0;
};

// The least that any stage does: the header's line comes to the core, the pointer goes through.
class Bound {
public:
	explicit Bound(const BenchPoint &point)
		: point_(point), watch_(point.touched_kib), queue_(point.in_flight)
	{
	}

	uint64_t run(const Received &received)
	{
		void *out[burst_most];
		const auto total = static_cast<uint32_t>(received.packets.size());
		const auto size = static_cast<uint32_t>(point_.burst);
		watch_.begin();
		for (uint32_t first = 0; first < total; first += size) {
			if (first)
				watch_.function_runs();
			if (!point_.nic_hash) {
				if (first)
					read(received, first - size, size);
				for (uint32_t i = 0; i < size; i++)
					__builtin_prefetch(received.data[first + i]);
			}
			for (uint32_t i = 0; i < size; i++) {
				out[i] = queue_[at_];
				queue_[at_] = received.packets[first + i];
				at_ = at_ + 1 == queue_.size() ? 0 : at_ + 1;
			}
			// What is given out is there for the caller.
			__asm__ volatile("" : : "r"(out) : "memory");
		}
		if (!point_.nic_hash)
			read(received, total - size, size);
		return watch_.end();
	}

private:
	void read(const Received &received, uint32_t first, uint32_t count)
	{
		uint64_t sum = 0;
		for (uint32_t i = 0; i < count; i++)
			sum += packet::load<uint64_t>(received.data[first + i] + 26);
		sink_ = sink_ + sum;
	}

	const BenchPoint point_;
	Watch watch_;
	std::vector<void *> queue_;
	size_t at_ = 0;
	volatile uint64_t sink_ = 0;
};

Json run_row(const BenchSpec &spec, const BenchPoint &point, double tsc_hz)
{
	BenchPool pool(spec.place, point.traffic, point.flows, point.stride, point.buffers_in_use(),
	               spec.seed, spec.filler_core);
	StageUnderTest tested(spec, point, nullptr), scalar(spec, point, "scalar");
	Bound bound(point);
	const uint32_t packets = point.packets();
	const auto per_packet = [&](uint64_t ticks) {
		return static_cast<double>(ticks) * 1e9 / tsc_hz / packets;
	};
	for (uint32_t i = 0; i < 8; i++) { // warm-up: all slots and lines in use have been used
		tested.run(pool.fill(packets));
		bound.run(pool.fill(packets));
	}
	std::vector<double> of_stage, of_scalar, of_bound, ratios;
	while (of_stage.size() < spec.samples) {
		const double a = per_packet(tested.run(pool.fill(packets)));
		const double b = per_packet(bound.run(pool.fill(packets)));
		const double c = per_packet(bound.run(pool.fill(packets)));
		const double d = per_packet(tested.run(pool.fill(packets)));
		of_stage.insert(of_stage.end(), {a, d});
		of_bound.insert(of_bound.end(), {b, c});
		ratios.push_back((a + d) / (b + c));
	}
	// Afterwards, as packets that others get are missing from the tested stage's trains.
	while (of_scalar.size() < spec.samples)
		of_scalar.push_back(per_packet(scalar.run(pool.fill(packets))));
	const reframer_stats stats = tested.check();
	scalar.check();
	const auto [low, high] = engine::interval_of_median(of_stage, spec.seed);
	const auto share = [](uint64_t nb_packets, uint64_t runs) {
		return runs ? static_cast<double>(nb_packets) / static_cast<double>(runs) : 0;
	};
	const double ratio = engine::median(ratios);
	return joined(NAMED(point.flows, point.burst, point.in_flight, point.stride, point.touched_kib,
	                    point.nic_hash, ratio, spec.lookahead),
	              {{"traffic", name_of(point.traffic)},
	               {"buffers", point.buffers_in_use()},
	               {"dma", spec.place == engine::Dma::Into::llc ? "llc" : "dram"},
	               {"nsPerPacket", engine::median(of_stage)},
	               {"nsLow", low},
	               {"nsHigh", high},
	               {"kernel", stage::choose_kernel().name},
	               {"scalarNsPerPacket", engine::median(of_scalar)},
	               {"boundNsPerPacket", engine::median(of_bound)},
	               {"samples", of_stage.size()},
	               {"packetsPerSample", packets},
	               {"slfIn", share(stats.packets_in, stats.runs_in)},
	               {"slfOut", share(stats.packets_out, stats.runs_out)}});
}

} // namespace

void run_bench_reframer(const Json &json)
{
	const BenchSpec spec = parse_bench(json);
	pin_job(spec.core);
	const double tsc_hz = engine::measure_tsc_hz();
	for (const BenchPoint &point : spec.points)
		emit({{"row", run_row(spec, point, tsc_hz)}});
}

} // namespace reframer::lab
