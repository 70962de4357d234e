#include "devices/cpumap_table.hpp"

#include "devices/receive_queues.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <ctime>
#include <linux/if_link.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

namespace reframer::engine {

namespace {

CpumapParams checked(CpumapParams params)
{
	const auto refuse = [](const std::string &why) { throw DeviceError("bad-spec", why, false); };
	if (params.interface.empty() || params.interface.size() >= IFNAMSIZ ||
	    if_nametoindex(params.interface.c_str()) == 0)
		refuse("there is no interface '" + params.interface + "'");
	if (!std::has_single_bit(params.nb_buckets) || params.nb_buckets < 2 ||
	    params.nb_buckets > cpumap_most_buckets)
		refuse("a table has a power of two entries, 2 to " + std::to_string(cpumap_most_buckets));
	if (params.queue_depth < 8 || params.queue_depth > 16384)
		refuse("a CPU's queue holds 8 to 16384 frames");
	if (params.cpus.empty()) {
		cpu_set_t allowed;
		CPU_ZERO(&allowed);
		sched_getaffinity(0, sizeof(allowed), &allowed);
		for (uint32_t cpu = 0; cpu < std::min<uint32_t>(CPU_SETSIZE, cpumap_most_cpus); cpu++)
			if (CPU_ISSET(cpu, &allowed))
				params.cpus.push_back(cpu);
	}
	std::vector<uint32_t> sorted = params.cpus;
	std::sort(sorted.begin(), sorted.end());
	if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
		refuse("a CPU is named twice");
	if (sorted.back() >= cpumap_most_cpus)
		refuse("CPUs are numbered below " + std::to_string(cpumap_most_cpus));
	return params;
}

// Where a tick is as short as a millisecond, GRO holds packets of the current one over a flush.
uint64_t flush_age_ns()
{
	timespec tick = {};
	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	const uint64_t ns = uint64_t(tick.tv_sec) * 1'000'000'000 + uint64_t(tick.tv_nsec);
	return ns > 1'000'000 ? 0 : 2 * ns;
}

} // namespace

CpumapTable::CpumapTable(const CpumapParams &wanted)
	: params(checked(wanted)), load(params.cpus),
	  nb_receive_queues(std::bit_ceil(receive_queues(params.interface, cpumap_most_queues))),
	  toeplitz(toeplitz_map(packet::toeplitz_key_microsoft)),
	  cpu_map(bpf_cpu_map(cpumap_most_cpus)), table(params.nb_buckets),
	  queues(nb_receive_queues, uint32_t(sizeof(CpumapQueue))),
	  lanes(cpumap_most_cpus, uint32_t(sizeof(CpumapLane)))
{
	const CpumapMaps maps = {toeplitz.get(), table.fd(),        queues.fd(),      lanes.fd(),
	                         cpu_map.get(),  params.nb_buckets, nb_receive_queues};
	program = cpumap_program(maps);
	lane_program = cpumap_lane_program(maps, flush_age_ns());
	sleep_program = cpumap_sleep_program(maps);
	sleep_link = FileDescriptor(bpf_raw_tracepoint(sleep_program.get(), "sched_switch"));
	if (sleep_link.get() < 0)
		throw_errno("cpumap", "the kernel does not tell when a thread sleeps (this needs 5.18)");
	for (uint32_t cpu : params.cpus)
		if (const int error =
		        bpf_cpu_map_set(cpu_map.get(), cpu, params.queue_depth, lane_program.get());
		    error != 0) {
			errno = -error;
			throw_errno("cpumap", "CPU " + std::to_string(cpu) + " takes no packets");
		}
	for (uint32_t b = 0; b < params.nb_buckets; b++)
		table.store(b, params.cpus[b % params.cpus.size()]);
	link = FileDescriptor(
		bpf_xdp_link(program.get(), if_nametoindex(params.interface.c_str()), XDP_FLAGS_DRV_MODE));
	if (link.get() < 0)
		throw_errno("xdp", params.interface + ": no XDP program can be attached to its driver");
}

const CpumapQueue &CpumapTable::queue(uint32_t i) const
{
	return *reinterpret_cast<const CpumapQueue *>(queues.block(i));
}

const CpumapLane &CpumapTable::lane(uint32_t cpu) const
{
	return *reinterpret_cast<const CpumapLane *>(lanes.block(cpu));
}

int CpumapTable::read_table(std::span<uint16_t> out)
{
	if (out.size() != params.nb_buckets)
		return -EINVAL;
	for (uint32_t b = 0; b < params.nb_buckets; b++) {
		const auto cpu = std::find(params.cpus.begin(), params.cpus.end(), table.load(b));
		out[b] = uint16_t(cpu - params.cpus.begin());
	}
	return 0;
}

int CpumapTable::write_table(std::span<const uint16_t> wanted, std::span<const uint16_t> changed)
{
	for (uint16_t bucket : changed)
		table.store(bucket, params.cpus[wanted[bucket]]);
	return 0;
}

int CpumapTable::sample(std::span<uint64_t> packets, std::span<float> loads)
{
	if (packets.size() != params.nb_buckets || loads.size() != nb_queues())
		return -EINVAL;
	for (uint32_t b = 0; b < params.nb_buckets; b++) {
		packets[b] = 0;
		for (uint32_t q = 0; q < nb_receive_queues; q++)
			packets[b] += __atomic_load_n(&queue(q).packets[b], __ATOMIC_RELAXED);
	}
	load.sample(loads);
	return 0;
}

CpumapTotals CpumapTable::totals() const
{
	CpumapTotals sum;
	const auto add = [](uint64_t &to, const uint64_t &word) {
		to += __atomic_load_n(&word, __ATOMIC_RELAXED);
	};
	// Those behind first: what is given meanwhile must not look processed without having come.
	for (uint32_t cpu : params.cpus) {
		add(sum.processed, lane(cpu).frames);
		add(sum.dropped, lane(cpu).dropped);
	}
	for (uint32_t q = 0; q < nb_receive_queues; q++) {
		add(sum.moved, queue(q).moved);
		add(sum.stayed, queue(q).stayed);
		add(sum.passed, queue(q).passed);
		for (uint32_t b = 0; b < params.nb_buckets; b++)
			add(sum.counted, queue(q).packets[b]);
	}
	return sum;
}

uint64_t CpumapTable::frames_on(uint32_t cpu) const
{
	return __atomic_load_n(&lane(cpu).frames, __ATOMIC_RELAXED);
}

bool CpumapTable::empty() const
{
	const CpumapTotals now = totals();
	return now.processed + now.dropped + now.passed >= now.counted;
}

CpumapTotals CpumapTable::stop()
{
	constexpr int tries = 200;
	constexpr useconds_t pause_us = 5'000;
	link = {};
	uint64_t before = 0;
	for (int i = 0; i < tries && !empty(); i++) {
		usleep(pause_us);
		const uint64_t now = totals().processed;
		// Frames that a full queue dropped last leave no gap; nobody comes behind them.
		if (i >= tries / 10 && now == before)
			break;
		before = now;
	}
	CpumapTotals sum = totals();
	sum.dropped = sum.counted - sum.processed - sum.passed;
	return sum;
}

} // namespace reframer::engine
