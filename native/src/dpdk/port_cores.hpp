// Cores on a DPDK port: they count packets by entry of the table, work, and free them.
#pragma once

#include "devices/table_device.hpp"
#include "dpdk/pollers.hpp"
#include "packet/toeplitz.hpp"
#include "reframer/dpdk.h"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

struct rte_mempool;

namespace reframer::dpdk {

// Where nobody says how many; at most the CPUs.
constexpr uint32_t usual_port_cores = 4;

enum class PortTable { reta, flow, software };

struct PortParams {
	std::string port; // EAL's name of it
	PortTable table = PortTable::reta;
	uint32_t nb_cores = 0;      // 0: the lcores that EAL was given, else 4, at most the CPUs
	uint32_t nb_entries = 512;  // of flow rules or software; a RETA has its own size
	uint32_t work_rounds = 100; // of arithmetic a packet
};

class PortCores final : public engine::TableDevice {
public:
	// Configures and starts the port. Each core is a CPU of its own; the dispatching one shares the last
	// core's where there is no other, and says so. @throws DeviceError, lab::JobError
	PortCores(const PortParams &params, const PollerCpus &cpus);
	~PortCores() override;

	std::string name() const override;
	uint32_t nb_queues() const override { return params.nb_cores; }
	uint32_t table_size() const override { return nb_entries; }
	int read_table(std::span<uint16_t> queues) override;
	int write_table(std::span<const uint16_t> queues, std::span<const uint16_t> changed) override;
	// Load: cycles in polls that found packets over all cycles.
	int sample(std::span<uint64_t> packets, std::span<float> loads) override;

	uint64_t received() const;
	uint64_t dropped() const;
	void stop();

private:
	explicit PortCores(const PortParams &params);
	struct Core;
	void start_threads(const PollerCpus &cpus);
	void start_port();
	void open_table();
	void run(Core &core);
	void run_dispatcher();

	PortParams params;
	uint16_t port = 0;
	uint32_t nb_entries;
	rte_mempool *pool = nullptr;
	rsspp_dpdk_table *table = nullptr;
	rsspp_dpdk_dispatch *dispatch = nullptr;
	const packet::Toeplitz toeplitz{packet::toeplitz_key_microsoft};
	std::atomic<bool> stopping{false};
	std::vector<std::unique_ptr<Core>> cores;
	Poller dispatcher;
};

} // namespace reframer::dpdk
