// What a core does to the packets of its flows: it follows them, translates their source, and lets the
// firewall decide. All of it is state of one entry of the flow table, so all of it moves with a bucket.
#pragma once

#include "api/owned.hpp"
#include "dpdk/suite/nat_ports.hpp"
#include "packet/toeplitz.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

struct rte_mbuf;

namespace reframer::dpdk {

enum class FlowFunction : uint8_t { nat, firewall };

// The first rule that holds decides; where none does, the packet passes.
struct FirewallRule {
	bool allow = false;
	uint8_t protocol = 0; // 0: any
	uint8_t source_bits = 0, destination_bits = 0;
	std::array<uint8_t, 4> source = {}, destination = {};
	uint16_t first_port = 0, last_port = 65535; // of the destination
};

struct FlowWorkConfig {
	std::vector<FlowFunction> chain; // in the order in which packets pass
	std::vector<FirewallRule> rules;
	std::array<uint8_t, 4> nat_address = {};
	uint32_t nat_addresses = 1; // one behind the other
	bool both_ways = false;
	uint16_t inside_port = 0; // flows that begin here are translated
	uint32_t nb_buckets = 1;
	uint64_t max_flows = 1u << 20; // of a core
	uint64_t timeout_ns = 30'000'000'000;
};

// Groups of flows on their way between cores. The owner of a bucket, stored with release and read with
// acquire by the hand-over, says whose they are.
using Travelling = std::vector<conntrack_group *>;

struct FlowCounts {
	std::atomic<uint64_t> tracked{0}; // packets that have a flow
	std::atomic<uint64_t> flows{0};   // that began
	std::atomic<uint64_t> left{0};    // by timeout
	std::atomic<uint64_t> translated{0}, denied{0};
	std::atomic<uint64_t> no_room{0}; // dropped, for want of an entry or an endpoint
};

class FlowWork {
public:
	// `owns(bucket)`: whether the bucket is this core's at first. @throws std::bad_alloc
	template <typename Owns>
	FlowWork(const FlowWorkConfig &config, const NatPorts *ports, Travelling &travelling,
	         uint64_t seed, Owns owns)
		: FlowWork(config, ports, travelling, seed)
	{
		for (uint32_t b = 0; b < config.nb_buckets; b++)
			if (!owns(b))
				conntrack_free_group(conntrack_detach_group(table_.get(), b, 0));
	}

	// Packets have their symmetric RSS hash. Those that pass stay in front, in order; the others go to
	// `dropped`. Returns how many pass.
	uint32_t process(rte_mbuf **packets, uint32_t n, uint64_t now_ns, rte_mbuf **dropped);

	void give_up(uint32_t bucket, uint64_t now_ns);
	// False: its flows were not there.
	bool take_up(uint32_t bucket, uint64_t now_ns);
	void sweep(uint64_t now_ns);

	const FlowCounts &counts() const { return counts_; }
	uint64_t live_flows() const;

private:
	struct State {
		uint64_t packets, bytes;
		std::array<uint8_t, 4> address; // in network order, as is the port
		uint16_t port;
		uint8_t verdict;  // 0: not asked yet
		uint8_t kind;     // 0: of the flow itself; 1: of what comes back to its endpoint
		uint32_t touched; // when its other entry was refreshed last, in seconds or so
		uint32_t unused;
	};
	static_assert(sizeof(State) == 32);
	struct Packet;

	FlowWork(const FlowWorkConfig &config, const NatPorts *ports, Travelling &travelling,
	         uint64_t seed);
	bool has(FlowFunction function) const;
	uint32_t process_chunk(rte_mbuf **packets, uint32_t n, uint64_t now_ns, uint8_t *drops);
	bool give_endpoint(const Packet &packet, uint32_t bucket, uint64_t now_ns);
	State *find(const std::array<uint8_t, CONNTRACK_KEY_IPV4> &key, uint32_t hash, uint64_t now_ns,
	            bool insert);
	void touch_other(const Packet &packet, State &state, uint64_t now_ns);
	uint8_t judge(const Packet &packet, const State &state, bool translated) const;
	static void translate(const Packet &packet, const State &state);
	bool from_inside(const rte_mbuf *packet) const;

	const FlowWorkConfig config_;
	const NatPorts *const ports_;
	Travelling &travelling_;
	const packet::Toeplitz toeplitz_{packet::toeplitz_key_symmetric};
	api::FlowTable table_;
	uint64_t draws_;
	uint64_t swept_ns_ = 0;
	FlowCounts counts_;
};

} // namespace reframer::dpdk
