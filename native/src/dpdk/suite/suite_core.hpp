// A core of the box that does more than hold packets: RSS++ decides which buckets are its own, the
// stage groups their packets, the flow table follows them, functions translate and refuse. The loop
// is: receive, pass on what is others', take over what has become its own, hold, work, send.
#pragma once

#include "api/owned.hpp"
#include "dpdk/clock.hpp"
#include "dpdk/lane.hpp"
#include "dpdk/suite/flow_work.hpp"
#include "dpdk/suite/steering.hpp"

#include <memory>
#include <vector>

namespace reframer::dpdk {

enum class BalanceTable : uint8_t { none, reta, software };

struct RxQueue {
	uint16_t port, queue;
};

// What the cores have in common.
struct SuiteShared {
	uint16_t in = 0, out = 0; // ports
	bool both_ways = false;   // packets leave by `in`, too
	BalanceTable table = BalanceTable::none;
	uint32_t nb_buckets = 1;
	uint32_t work_rounds = 0; // of arithmetic a packet
	bool port_hash = false;   // that of the port has our key, and is every core's
	Sender *sender = nullptr;
	const TscClock *clock = nullptr;
	std::unique_ptr<Steering> steering; // of table `software`
	api::HandOver handover;             // of any table
	std::vector<NatPorts> ports;        // one for all cores, or one each
	Travelling travelling;
	std::atomic<uint32_t> receiving{0};    // cores that may still pass packets on, at the end
	std::atomic<uint64_t> state_errors{0}; // buckets that came without their flows

	~SuiteShared();
};

class SuiteCore {
public:
	// `lane` and `shared` stay the caller's; `flows` may be null.
	SuiteCore(uint16_t id, Lane &lane, SuiteShared &shared, std::vector<RxQueue> queues,
	          std::unique_ptr<FlowWork> flows);

	// False: there was nothing to do.
	bool poll();
	// After the end was announced: takes what waits, of each queue `most` packets or so. True: all has
	// left.
	bool finish(uint32_t most);

	const FlowWork *flows() const { return flows_.get(); }
	// Of the hand-over, as of some polls ago.
	struct Moved {
		std::atomic<uint64_t> held{0}, held_max{0}, forwarded{0}, handed_over{0};
	};
	const Moved &moved() const { return moved_; }
	Lane &lane() { return lane_; }

private:
	void receive(uint32_t wanted); // from the port, of each queue at most so many
	void hash(rte_mbuf **packets, uint32_t n);
	uint32_t from_others(uint32_t most);
	void admit(uint64_t now);
	void take_over(uint64_t now);
	bool give_up(uint64_t now);
	void drain_queue(uint64_t now);
	int64_t queue_length() const;
	void took(uint32_t n);
	void hold_and_work(uint64_t now);
	void work(rte_mbuf **packets, uint32_t n, uint64_t now);
	uint32_t room(uint64_t now) const;
	void publish();

	static constexpr uint32_t burst = 64;
	static constexpr uint32_t in_room = 8 * burst, out_room = 4 * burst;

	const uint16_t id_;
	Lane &lane_;
	SuiteShared &shared_;
	const std::vector<RxQueue> queues_;
	std::unique_ptr<FlowWork> flows_;
	const packet::Toeplitz toeplitz_{packet::toeplitz_key_symmetric};
	std::vector<uint16_t> buckets_;
	size_t next_queue_ = 0;
	bool receives_ = true, passes_on_ = true;
	// Of the last look: at all queues of the port; what other cores passed on included.
	bool asked_all_ = false, queue_empty_ = false;
	uint32_t nb_from_port_ = 0;
	uint64_t passed_ = 0; // through the hand-over
	uint64_t polls_ = 0;
	std::atomic<uint64_t> worked_{0}; // what the arithmetic comes to, so that it is done
	Moved moved_;
	uint32_t nb_in_ = 0, nb_out_ = 0, nb_received_ = 0, nb_sent_ = 0;
	rte_mbuf *in_[in_room];
	rte_mbuf *out_[out_room];
	uint32_t in_hashes_[in_room], out_hashes_[out_room];
};

} // namespace reframer::dpdk
