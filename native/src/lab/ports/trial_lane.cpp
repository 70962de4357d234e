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
	: config_(config), queue_(queue), chain_(chain), packets_(config.room), views_(config.room),
	  dropped_(config.room), departed_(config.room)
{
	digests_.reserve(config.check_packets);
	latest_.reserve(config.check_packets);
}

// What the chain may ask of a packet; the frame to its place where a driver put it elsewhere.
void TrialLane::describe(rte_mbuf *packet, uint64_t now_ns)
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
	view->index = static_cast<uint32_t>(now_ns); // buffers have no number here
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

void TrialLane::receive(uint64_t now_ns, uint32_t most)
{
	nb_asked_ = most;
	if (config_.holds_back && queue_)
		nb_asked_ = std::min(most, reframer_room(reframer_dpdk_stage(queue_), now_ns));
	nb_received_ = nb_asked_ ? rte_eth_rx_burst(config_.in, 0, packets_.data(),
	                                            static_cast<uint16_t>(nb_asked_))
	                         : 0;
	for (uint32_t i = 0; i < nb_received_; i++)
		describe(packets_[i], now_ns);
}

void TrialLane::poll(uint64_t now_ns, uint32_t most, bool draining)
{
	const uint64_t begin = rte_rdtsc();
	receive(now_ns, most);
	const uint64_t received = rte_rdtsc();
	for (uint32_t i = 0; i < nb_received_ && digests_.size() < config_.check_packets; i++)
		digests_.push_back(digest_of(packets_[i]));

	const uint64_t checked = rte_rdtsc();
	nb_processed_ = nb_received_;
	if (queue_) {
		const auto room = static_cast<uint16_t>(config_.room);
		if (draining)
			nb_processed_ = reframer_dpdk_drain(queue_, packets_.data(), room);
		else
			nb_processed_ = reframer_dpdk_pass(queue_, packets_.data(),
			                                   static_cast<uint16_t>(nb_received_), room, now_ns);
	}
	const uint64_t released = rte_rdtsc();
	for (uint32_t i = 0; i < nb_processed_; i++)
		views_[i] = view_of(packets_[i]);
	nb_departed_ =
		nb_processed_ ? chain_.process(views_.data(), nb_processed_, dropped_.data()) : 0;
	for (uint32_t i = 0; i < nb_departed_; i++) { // once sent, it is the driver's
		departed_[i] = {views_[i]->mark, views_[i]->index, views_[i]->wire};
		packets_[i] = packet_of(views_[i]);
	}
	const uint64_t worked = rte_rdtsc();
	uint32_t sent = 0;
	while (sent < nb_departed_) {
		const uint16_t n = rte_eth_tx_burst(config_.out, 0, packets_.data() + sent,
		                                    static_cast<uint16_t>(nb_departed_ - sent));
		if (n == 0)
			break;
		sent += n;
	}
	if (sent < nb_departed_) // as a full transmit ring does
		rte_pktmbuf_free_bulk(packets_.data() + sent, nb_departed_ - sent);
	const uint32_t nb_dropped = nb_processed_ - nb_departed_;
	for (uint32_t i = 0; i < nb_dropped; i++)
		rte_pktmbuf_free(packet_of(dropped_[i]));
	const uint64_t end = rte_rdtsc();

	totals_.sent += sent;
	totals_.unsent += nb_departed_ - sent;
	totals_.nf_dropped += nb_dropped;
	nb_departed_ = sent;
	const auto ns = [&](uint64_t from, uint64_t to) {
		return static_cast<double>(to - from) * config_.ns_per_cycle;
	};
	cost_ = {ns(begin, received), ns(checked, released), ns(released, worked), ns(worked, end)};
	check_order();
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
