// A table of buckets for an interface that has none: see cpumap_program.hpp.
#pragma once

#include "devices/bpf.hpp"
#include "devices/cpu_load.hpp"
#include "devices/cpumap_program.hpp"
#include "devices/table_device.hpp"

#include <memory>
#include <string>
#include <vector>

namespace reframer::engine {

struct CpumapParams {
	std::string interface;
	std::vector<uint32_t> cpus; // that take packets; empty: all that are online
	uint32_t nb_buckets = 512;  // power of two up to cpumap_most_buckets
	// Frames; what the kernel's own samples use. A shorter one drops sooner, a longer one makes moves
	// wait on a CPU that is behind.
	uint32_t queue_depth = 2048;
};

struct CpumapTotals {
	uint64_t counted = 0;   // by the XDP program
	uint64_t processed = 0; // by the CPUs that they were given to
	uint64_t dropped = 0;   // by full queues, as far as a later frame shows the gap
	uint64_t moved = 0, stayed = 0, passed = 0; // as in CpumapQueue
};

// The programs leave with the object, or with the process, however that ends: nothing is pinned. Where
// frames are still queued then, those that come later may overtake them.
class CpumapTable final : public TableDevice {
public:
	// @throws DeviceError; unsupported where the driver has no XDP, or the kernel is older than 5.18
	explicit CpumapTable(const CpumapParams &params);

	std::string name() const override { return "cpumap " + params.interface; }
	uint32_t nb_queues() const override { return uint32_t(load.cpus().size()); }
	uint32_t table_size() const override { return params.nb_buckets; }
	int read_table(std::span<uint16_t> out) override;
	int write_table(std::span<const uint16_t> wanted, std::span<const uint16_t> changed) override;
	int sample(std::span<uint64_t> packets, std::span<float> loads) override;

	CpumapTotals totals() const;
	uint64_t frames_on(uint32_t cpu) const;
	// Takes the program off and waits until the queues are empty; what is missing then was dropped.
	CpumapTotals stop();

private:
	const CpumapQueue &queue(uint32_t i) const;
	const CpumapLane &lane(uint32_t cpu) const;
	bool empty() const;

	const CpumapParams params;
	CpuLoad load;
	const uint32_t nb_receive_queues; // power of two
	FileDescriptor toeplitz, cpu_map;
	BpfWords table;
	BpfBlocks queues, lanes;
	FileDescriptor program, lane_program, sleep_program, sleep_link, link;
};

} // namespace reframer::engine
