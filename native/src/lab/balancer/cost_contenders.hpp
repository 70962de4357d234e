// Contenders of the job `balancer-cost`: a burst of frames of clients, each to be sent to its server.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace reframer::lab {

constexpr uint32_t cost_burst = 32;
constexpr uint32_t cost_server_clock = 0x89abcdef;
constexpr uint64_t cost_now_ns = 1'000'000'000;

struct CostSpec {
	std::string contender = "cookie";
	uint32_t connections = 1'000'000, slf = 1, servers = 64, pieces = 64;
	uint32_t frame_offset = 0; // bytes behind a cache line at which frames begin
	bool ipv6 = false, path = false;
	uint64_t seed = 1;
};

struct CostConnection {
	uint32_t word; // that the client echoes
	uint16_t server;
};

class Cost {
public:
	virtual ~Cost() = default;
	virtual CostConnection open(uint32_t number) = 0;
	virtual void process(uint8_t *const *frames, const uint32_t *rss) = 0; // a burst
	virtual bool restores() const { return false; }
};

// What a NIC would have put into the descriptor.
uint32_t cost_rss_of(uint32_t number);

// By name; null where this build lacks it.
std::unique_ptr<Cost> make_cost(const CostSpec &spec);

} // namespace reframer::lab
