// What the poll loop of a trial over DPDK runs over: its ports, and the chain. The chain's view of a
// packet (nf::Mbuf) lies in the mbuf's private area, where its own offsets hold: nothing is copied.
#pragma once

#include "dpdk/mbuf_stage.hpp"
#include "nf/chain.hpp"
#include "reframer/dpdk.h"

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace reframer::dpdk {

// Of the mempool: the view, and as much room behind it as puts the frame where the view expects it.
inline constexpr uint16_t view_bytes = 128;
static_assert(sizeof(rte_mbuf) == 128 && sizeof(rte_mbuf) % alignof(nf::Mbuf) == 0);
static_assert(view_bytes + RTE_PKTMBUF_HEADROOM == nf::Mbuf::data_offset &&
              sizeof(nf::Mbuf) <= view_bytes);

// Where a feeder in the same process, over ports that hand the buffer itself on, says when a packet was
// to arrive: ns of the trial's clock.
inline uint64_t &arrival_of(rte_mbuf *packet)
{
	static_assert(sizeof(nf::Mbuf) + sizeof(uint64_t) <= view_bytes);
	return *reinterpret_cast<uint64_t *>(static_cast<uint8_t *>(rte_mbuf_to_priv(packet)) +
	                                     sizeof(nf::Mbuf));
}

struct LaneConfig {
	uint16_t in, out;
	uint16_t queue = 0;         // of both
	bool arrival_known = false; // the feeder wrote it behind the view, see arrival_of()
	uint32_t burst;             // most packets asked of the port in a poll
	uint32_t room;              // most packets that leave the stage in a poll, at least burst
	bool holds_back;            // asks the stage how much may be received
	uint64_t check_packets;     // so many first packets are checked for order within their flows
	uint64_t seed;
	double ns_per_cycle;
};

struct LaneCost { // ns, by engine::Step, of polls that found or gave packets
	double rx = 0, stage = 0, chain = 0, tx = 0;
	double sum() const { return rx + stage + chain + tx; }
	void operator+=(const LaneCost &other)
	{
		for (auto step : {&LaneCost::rx, &LaneCost::stage, &LaneCost::chain, &LaneCost::tx})
			this->*step += other.*step;
	}
};

class TrialLane {
public:
	// `queue` may be null: no stage. Both stay the caller's.
	TrialLane(const LaneConfig &config, reframer_dpdk_queue *queue, nf::Chain &chain);

	// One poll at `now`, which asks the port for at most `most` packets; draining, the stage gives
	// what it holds, due or not.
	void poll(uint64_t now_ns, uint32_t most, bool draining);

	// Of the last poll.
	struct Departure {
		uint32_t number;   // of the packet, in order of arrival
		uint32_t since_ns; // low bits of its arrival where that is known, else of its poll
		uint32_t wire;
	};
	uint32_t asked() const { return nb_asked_; }
	uint32_t received() const { return nb_received_; }
	uint32_t processed() const { return nb_processed_; }
	std::span<const Departure> departed() const { return {departed_.data(), nb_departed_}; }
	const LaneCost &cost() const { return cost_; }

	// So far.
	struct Totals {
		uint64_t received = 0, sent = 0, nf_dropped = 0, unsent = 0, reordered = 0, checked = 0;
		uint64_t misplaced =
			0; // frames that did not begin where the view expects them, and were moved
	};
	const Totals &totals() const { return totals_; }

	// Port and function of the loop.
	using Packet = rte_mbuf;
	uint64_t now() const { return now_ns_; }
	Received rx(uint32_t most);
	void mark(engine::Step step);
	rte_mbuf **dropped() { return dropped_.data(); }
	uint32_t process(std::span<const reframer_run> runs, rte_mbuf **packets, uint32_t n,
	                 rte_mbuf **dropped);
	void tx(rte_mbuf **packets, uint32_t n, uint32_t nb_dropped);

private:
	void describe(rte_mbuf *packet);
	void note_flows();
	uint64_t digest_of(const rte_mbuf *packet) const;
	void check_order();

	const LaneConfig config_;
	MbufStage stage_;
	nf::Chain &chain_;
	uint64_t now_ns_ = 0;
	uint64_t step_began_ = 0; // TSC
	LaneCost cost_;
	Totals totals_;
	uint32_t nb_asked_ = 0, nb_received_ = 0, nb_processed_ = 0, nb_departed_ = 0;
	std::vector<rte_mbuf *> packets_, dropped_;
	std::vector<nf::Mbuf *> views_, dropped_views_;
	std::vector<Departure> departed_;
	std::vector<uint64_t> digests_; // flow of each packet that is checked
	std::unordered_map<uint64_t, uint32_t>
		latest_; // by digest: number of its packet that left last
};

} // namespace reframer::dpdk
