// What a core does to the packets of its flows: it follows them, translates their source, and lets the
// firewall decide. All of it is state of one entry of the flow table, so all of it moves with a bucket.
#pragma once

#include "api/owned.hpp"
#include "dpdk/suite/firewall.hpp"
#include "dpdk/suite/nat_ports.hpp"
#include "packet/toeplitz.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

struct rte_mbuf;

namespace reframer::dpdk {

enum class FlowFunction : uint8_t { nat, firewall };

struct FlowWorkConfig {
	std::vector<FlowFunction> chain; // in the order in which packets pass
	std::vector<FirewallRule> rules;
	uint32_t nat_address = 0;   // the first one, host order
	uint32_t nat_addresses = 1; // one behind the other
	bool both_ways = false;
	// Flows that begin here are translated. With NAT, what comes from the other port is let in only
	// where it answers one, and IPv4 that NAT cannot translate (no TCP or UDP, a fragment) not let out.
	uint16_t inside_port = 0;
	uint32_t nb_buckets = 1;
	uint64_t max_flows = 1u << 20; // of a core
	uint64_t timeout_ns = 30'000'000'000;
};

// Groups of flows on their way between cores. The owner of a bucket, stored with release and read with
// acquire by the hand-over, says whose they are.
using Travelling = std::vector<conntrack_group *>;

struct FlowCounts {
	std::atomic<uint64_t> tracked{0}; // packets that have a flow
	std::atomic<uint64_t> translated{0}, denied{0};
	std::atomic<uint64_t> untranslated{0}; // dropped: NAT has no translation for them
	std::atomic<uint64_t> no_room{0};      // dropped, for want of an entry or an endpoint
	// Entries of what comes back to endpoints, which are no flows.
	std::atomic<uint64_t> replies_began{0}, replies_left{0};
};

// What began has left, or is live. Of one core less than nothing, perhaps: flows move with their buckets.
struct FlowTotals {
	int64_t began = 0, left = 0, live = 0;
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
	FlowTotals totals() const;

private:
	static constexpr uint8_t kind_reply = 1;  // of what comes back to an endpoint, else of the flow
	static constexpr uint8_t kind_turned = 2; // see turned()

	struct State {
		uint64_t packets, bytes;
		std::array<uint8_t, 4> address; // in network order, as is the port
		uint16_t port;                  // 0: not translated
		uint8_t verdict;                // 0: not asked yet
		uint8_t kind;
		uint32_t touched; // when its other entry was refreshed last, in seconds or so
		uint32_t unused;
	};
	static_assert(sizeof(State) == 32);
	enum class Fate : uint8_t { passes, denied, untranslated, no_room };

	FlowWork(const FlowWorkConfig &config, const NatPorts *ports, Travelling &travelling,
	         uint64_t seed);
	void process_chunk(rte_mbuf **packets, uint32_t n, uint64_t now_ns, Fate *fates);
	void look_up(rte_mbuf **packets, const FlowPacket *parsed, uint32_t n, uint64_t now_ns,
	             void **states);
	bool begin_flows(rte_mbuf **packets, const FlowPacket *parsed, uint32_t n, uint64_t now_ns,
	                 void **states, Fate *fates);
	Fate decide(const FlowPacket &packet, bool inside, State *state, uint64_t now_ns);
	bool give_endpoint(const FlowPacket &packet, uint32_t bucket, uint64_t now_ns);
	State *find(const FlowKeyBytes &key, uint32_t hash, uint64_t now_ns, bool insert);
	State *other_of(const FlowPacket &packet, const State &state, uint64_t now_ns);
	bool denies(const FlowPacket &packet, State *state, uint64_t now_ns);
	static void translate(const FlowPacket &packet, const State &state);
	bool from_inside(const rte_mbuf *packet) const;
	static void on_removed(void *work, const void *key, void *state, int reason);

	const FlowWorkConfig config_;
	const NatPorts *const ports_;
	const Firewall firewall_;
	bool nat_ = false, guarded_ = false; // what the chain has
	bool behind_nat_ = false;            // the firewall sees translated addresses
	Travelling &travelling_;
	const packet::Toeplitz toeplitz_{packet::toeplitz_key_symmetric};
	api::FlowTable table_;
	uint64_t draws_;
	uint64_t swept_ns_ = 0;
	FlowCounts counts_;
};

} // namespace reframer::dpdk
