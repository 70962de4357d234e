// Sends UDP packets of many flows through the kernel's own stack, from a socket in this namespace.
#pragma once

#include "base/random.hpp"
#include "devices/bpf.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace reframer::engine {

struct SenderParams {
	uint32_t nb_flows = 256;         // at most 40000; a flow is a destination address and port
	uint64_t nb_packets = 0;         // 0: until stopped
	uint64_t packets_per_second = 0; // 0: as fast as `in_flight` allows
	uint64_t in_flight = 0;          // wait while more than this have not arrived; 0: never wait
	double skew = 1.1;               // Zipf exponent of the flows' shares; 0: all alike
	uint64_t seed = 1;
	uint32_t network = 0x0a090000; // 10.9.0.0, host order: the TAP's /16
};

class UdpSender {
public:
	// `arrived` tells how many packets have come in; asked where `in_flight` is set.
	// @throws DeviceError
	UdpSender(const SenderParams &params, std::function<uint64_t()> arrived);
	~UdpSender();

	uint64_t sent() const { return nb_sent.load(std::memory_order_acquire); }
	bool done() const { return finished.load(std::memory_order_acquire); }
	void stop(); // and wait

private:
	void run();
	void send_batch(uint32_t count);

	const SenderParams params;
	const std::function<uint64_t()> arrived;
	FileDescriptor socket;
	std::vector<double> cumulative; // share of flows up to this one
	std::vector<uint64_t> sequence;
	base::Random random;
	std::atomic<uint64_t> nb_sent{0};
	std::atomic<bool> stopping{false}, finished{false};
	std::thread thread;
};

} // namespace reframer::engine
