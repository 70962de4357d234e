// A multi-queue TAP interface that steers by a table: the kernel runs steering_program() on every
// packet it sends and puts it into the queue that the bucket's entry names.
#pragma once

#include "devices/bpf.hpp"
#include "devices/rss_program.hpp"
#include "devices/table_device.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace reframer::engine {

// Gives the calling thread, and threads that it starts, a network namespace of their own; it goes
// when the last of them ends. @throws DeviceError
void enter_own_network();

struct TapParams {
	std::string interface = "rss0";
	uint32_t nb_queues = 4;
	uint32_t nb_entries = 128;     // power of two, 64..4096: sizes that NICs have
	uint32_t ring_depth = 4096;    // packets a queue holds; what the papers' NICs had
	uint32_t address = 0x0a090001; // 10.9.0.1, host order; the network is its /16
};

inline constexpr uint32_t tap_max_queues = 64;

class TapPort final : public TableDevice {
public:
	// Creates the interface in the calling thread's namespace and brings it up, without ARP and
	// IPv6, so that nothing but what is sent on purpose arrives. @throws DeviceError
	explicit TapPort(const TapParams &params);

	std::string name() const override { return "tap " + params.interface; }
	uint32_t nb_queues() const override { return params.nb_queues; }
	uint32_t table_size() const override { return params.nb_entries; }
	int read_table(std::span<uint16_t> table) override;
	int write_table(std::span<const uint16_t> table, std::span<const uint16_t> changed) override;
	// Loads are not known here: the cores are whoever reads the queues.
	int sample(std::span<uint64_t> packets, std::span<float> loads) override;

	// After it, every packet that an older table steered is in its queue. 0 or negative errno.
	int settle() { return grace.wait(); }
	// Non-blocking; one read() is one frame.
	int queue(uint32_t i) const { return queues[i].get(); }
	// Packets that found their queue full. Call it from the namespace.
	uint64_t dropped() const;

private:
	const TapParams params;
	BpfWords counters, table;
	FileDescriptor toeplitz;
	BpfGrace grace;
	std::vector<FileDescriptor> queues;
};

} // namespace reframer::engine
