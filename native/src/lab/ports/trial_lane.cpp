#include "lab/ports/trial_lane.hpp"

#include "packet/classify.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cstring>

namespace reframer::dpdk {

namespace {

nf::Mbuf *view_of(rte_mbuf *packet)
{
	return static_cast<nf::Mbuf *>(rte_mbuf_to_priv(packet));
}

rte_mbuf *packet_of(nf::Mbuf *view)
{
	return reinterpret_cast<rte_mbuf *>(reinterpret_cast<uint8_t *>(view) - sizeof(rte_mbuf));
}

} // namespace

TrialLane::TrialLane(const LaneConfig &config, reframer_dpdk_queue *queue, nf::Chain &chain)
	: config_(config), stage_(queue, static_cast<uint16_t>(config.room), config.holds_back),
	  chain_(chain), packets_(config.room), dropped_(config.room), views_(config.room),
	  dropped_views_(config.room), departed_(config.room)
{
	digests_.reserve(config.check_packets);
	latest_.reserve(config.check_packets);
}

// What the chain may ask of a packet; the frame to its place where a driver put it elsewhere.
void TrialLane::describe(rte_mbuf *packet)
{
	if (packet->data_off != RTE_PKTMBUF_HEADROOM) [[unlikely]] {
		totals_.misplaced++;
		auto *start = static_cast<uint8_t *>(packet->buf_addr);
		const uint32_t fits =
			std::min<uint32_t>(packet->data_len, packet->buf_len - RTE_PKTMBUF_HEADROOM);
		std::memmove(start + RTE_PKTMBUF_HEADROOM, start + packet->data_off, fits);
		packet->pkt_len -= packet->data_len - fits;
		packet->data_len = static_cast<uint16_t>(fits);
		packet->data_off = RTE_PKTMBUF_HEADROOM;
	}
	nf::Mbuf *view = view_of(packet);
	view->captured = packet->data_len;
	view->wire = packet->pkt_len;
	view->rss = packet->hash.rss;
	view->mark = static_cast<uint32_t>(totals_.received++);
	// Buffers have no number here.
	view->index = static_cast<uint32_t>(config_.arrival_known ? arrival_of(packet) : now_ns_);
}

// 64 bits, so that no two of the checked flows share one.
uint64_t TrialLane::digest_of(const rte_mbuf *packet) const
{
	const auto *data = rte_pktmbuf_mtod(packet, const uint8_t *);
	uint64_t digest = 0;
	for (const uint64_t seed : {config_.seed, ~config_.seed})
		digest = digest << 32 |
		         packet::classify<false>(data, packet->data_len, packet::LinkType::ethernet,
		                                 packet::KeyKind::five_tuple, seed)
		             .hash;
	return digest;
}

void TrialLane::poll(uint64_t now_ns, uint32_t most, bool draining)
{
	engine::PollLoop loop(*this, stage_, *this);
	now_ns_ = now_ns;
	cost_ = {};
	nb_departed_ = 0;
	step_began_ = rte_rdtsc();
	loop.poll(most, draining);
	nb_asked_ = loop.asked();
	nb_received_ = loop.received();
	nb_processed_ = loop.processed();
	check_order();
}

Received TrialLane::rx(uint32_t most)
{
	nb_received_ = most ? rte_eth_rx_burst(config_.in, config_.queue, packets_.data(),
	                                       static_cast<uint16_t>(most))
	                    : 0;
	for (uint32_t i = 0; i < nb_received_; i++)
		describe(packets_[i]);
	return {packets_.data(), nb_received_};
}

void TrialLane::mark(engine::Step step)
{
	double *const of[] = {&cost_.rx, &cost_.stage, &cost_.chain, &cost_.tx};
	const uint64_t now = rte_rdtsc();
	*of[static_cast<size_t>(step)] = static_cast<double>(now - step_began_) * config_.ns_per_cycle;
	step_began_ = now;
	if (step == engine::Step::receive) {
		note_flows();
		step_began_ = rte_rdtsc();
	}
}

void TrialLane::note_flows()
{
	for (uint32_t i = 0; i < nb_received_ && digests_.size() < config_.check_packets; i++)
		digests_.push_back(digest_of(packets_[i]));
}

uint32_t TrialLane::process(std::span<const reframer_run> runs, rte_mbuf **packets, uint32_t n,
                            rte_mbuf **dropped)
{
	for (uint32_t i = 0; i < n; i++)
		views_[i] = view_of(packets[i]);
	const uint32_t kept = chain_.process(runs, views_.data(), n, dropped_views_.data());
	for (uint32_t i = 0; i < kept; i++) { // once sent, it is the driver's
		departed_[i] = {views_[i]->mark, views_[i]->index, views_[i]->wire};
		packets[i] = packet_of(views_[i]);
	}
	for (uint32_t i = 0; i < n - kept; i++)
		dropped[i] = packet_of(dropped_views_[i]);
	return kept;
}

void TrialLane::tx(rte_mbuf **packets, uint32_t n, uint32_t nb_dropped)
{
	uint32_t sent = 0;
	while (sent < n) {
		const uint16_t taken = rte_eth_tx_burst(config_.out, config_.queue, packets + sent,
		                                        static_cast<uint16_t>(n - sent));
		if (taken == 0)
			break;
		sent += taken;
	}
	if (sent < n) // as a full transmit ring does
		rte_pktmbuf_free_bulk(packets + sent, n - sent);
	for (uint32_t i = 0; i < nb_dropped; i++)
		rte_pktmbuf_free(dropped_[i]);
	totals_.sent += sent;
	totals_.unsent += n - sent;
	totals_.nf_dropped += nb_dropped;
	nb_departed_ = sent;
}

// Of each flow, numbers must rise.
void TrialLane::check_order()
{
	if (totals_.checked == digests_.size())
		return;
	for (const Departure &d : departed()) {
		if (d.number >= digests_.size())
			continue;
		totals_.checked++;
		auto [last, first] = latest_.try_emplace(digests_[d.number], d.number);
		totals_.reordered += !first && d.number < last->second;
		last->second = std::max(last->second, d.number);
	}
}

} // namespace reframer::dpdk
