// The indirection table of a network interface of Linux, by the ethtool ioctls, with packets counted
// by bucket in an XDP program that hashes as the NIC does: same key, same fields.
#pragma once

#include "devices/bpf.hpp"
#include "devices/cpu_load.hpp"
#include "devices/rss_program.hpp"
#include "devices/table_device.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace reframer::engine {

// Passes one ethtool command of one interface to the kernel: 0 or negative errno.
using EthtoolCall = std::function<int(void *command)>;
EthtoolCall ethtool_call(const std::string &interface); // @throws DeviceError

// Table, key and fields of an interface. Reads once at the start what does not change.
class EthtoolRss {
public:
	// @throws DeviceError; unsupported where there is no table, or one whose buckets cannot be told
	// from a packet: another hash than Toeplitz, a size that is no power of two
	EthtoolRss(std::string interface, EthtoolCall call);

	uint32_t table_size() const { return nb_entries; }
	uint32_t nb_queues() const { return nb_rings; }
	const packet::ToeplitzKey &key() const { return toeplitz_key; }
	const HashedPorts &ports() const { return hashed_ports; }

	int read(std::span<uint16_t> table);
	int write(std::span<const uint16_t> table); // the ioctl takes all of it

private:
	int get(std::vector<uint32_t> &words);
	bool hashes_ports(uint32_t flow_type);

	const std::string interface;
	const EthtoolCall call;
	uint32_t nb_entries = 0, key_bytes = 0, nb_rings = 0;
	packet::ToeplitzKey toeplitz_key = {};
	HashedPorts hashed_ports;
};

// counting_program() on an interface, until the object goes; or the process, whatever its end.
class XdpCounter {
public:
	// @throws DeviceError
	XdpCounter(unsigned interface_index, const packet::ToeplitzKey &key, const HashedPorts &ports,
	           uint32_t nb_buckets);

	uint64_t count(uint32_t bucket) const { return counters.load(bucket); }
	// In the driver, before a packet has cost much; else in the stack, where merged packets count one.
	bool in_driver() const { return driver; }

private:
	BpfWords counters;
	FileDescriptor toeplitz, program, link;
	bool driver = true;
};

struct EthtoolParams {
	std::string interface;
	std::vector<uint32_t> cpus; // CPU that serves each queue; empty: queue i is CPU i's
};

class EthtoolTable final : public TableDevice {
public:
	// @throws DeviceError
	explicit EthtoolTable(const EthtoolParams &params)
		: EthtoolTable(params, ethtool_call(params.interface))
	{
	}
	// Table and key from `call` instead of the interface's driver: for tests.
	EthtoolTable(const EthtoolParams &params, EthtoolCall call);

	std::string name() const override { return "ethtool " + params.interface; }
	uint32_t nb_queues() const override { return rss.nb_queues(); }
	uint32_t table_size() const override { return rss.table_size(); }
	int read_table(std::span<uint16_t> table) override { return rss.read(table); }
	int write_table(std::span<const uint16_t> table, std::span<const uint16_t>) override
	{
		return rss.write(table);
	}
	// Load: of the queue's CPU, whatever it did.
	int sample(std::span<uint64_t> packets, std::span<float> loads) override;

	bool counts_in_driver() const { return counter.in_driver(); }
	uint64_t counted() const;

private:
	EthtoolParams params;
	EthtoolRss rss;
	XdpCounter counter;
	CpuLoad cpus;
};

} // namespace reframer::engine
