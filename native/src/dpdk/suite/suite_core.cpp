#include "dpdk/suite/suite_core.hpp"

#include "dpdk/counter.hpp"
#include "packet/parse.hpp"
#include "reframer/dpdk.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

namespace reframer::dpdk {

namespace {

constexpr uint64_t polls_to_publish = 1024;

} // namespace

SuiteShared::~SuiteShared()
{
	for (conntrack_group *group : travelling)
		conntrack_free_group(group);
}

SuiteCore::SuiteCore(uint16_t id, Lane &lane, SuiteShared &shared, std::vector<RxQueue> queues,
                     std::unique_ptr<FlowWork> flows)
	: id_(id), lane_(lane), shared_(shared), queues_(std::move(queues)), flows_(std::move(flows)),
	  buckets_(shared.nb_buckets)
{
}

// By the key that gives both directions of a flow one hash.
void SuiteCore::hash(rte_mbuf **packets, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		rte_mbuf *p = packets[i];
		if (shared_.port_hash && p->ol_flags & RTE_MBUF_F_RX_RSS_HASH)
			continue;
		const auto *data = rte_pktmbuf_mtod(p, const uint8_t *);
		const packet::Frame frame = {data, p->data_len, p->pkt_len, 0, packet::LinkType::ethernet,
		                             0};
		p->hash.rss = toeplitz_(packet::rss_key_of(packet::parse(frame), data));
		p->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	}
}

uint32_t SuiteCore::room(uint64_t now) const
{
	return lane_.reframer ? std::min(burst, reframer_room(reframer_dpdk_stage(lane_.reframer), now))
	                      : burst;
}

// From the port, in turn from each of its queues; what others own goes to them.
void SuiteCore::receive(uint32_t wanted)
{
	Steering *steering = shared_.steering.get();
	rte_mbuf *packets[burst];
	nb_received_ = nb_from_port_ = 0;
	size_t nb_asked = 0;
	bool may = (!steering || steering->flushed(id_)) && receives_ && wanted > 0;
	for (size_t i = 0; may && i < queues_.size() && nb_in_ + burst <= in_room; i++) {
		const RxQueue &q = queues_[(next_queue_ + i) % queues_.size()];
		const uint32_t n = rte_eth_rx_burst(q.port, q.queue, packets, uint16_t(wanted));
		nb_asked++;
		if (n == 0)
			continue;
		nb_from_port_ += n;
		for (uint32_t k = 0; k < n; k++)
			packets[k]->port = q.port;
		count_arrivals(lane_, packets, n);
		hash(packets, n);
		if (steering) {
			nb_in_ += steering->pass_on(id_, packets, n, in_ + nb_in_);
			may = steering->flushed(id_);
		} else {
			std::copy(packets, packets + n, in_ + nb_in_);
			nb_in_ += n;
		}
	}
	next_queue_++;
	nb_received_ = nb_from_port_;
	// A queue that was not asked may hold packets.
	asked_all_ = nb_asked == queues_.size();
	queue_empty_ = asked_all_ && nb_from_port_ == 0;
	if (steering)
		from_others(burst);
}

uint32_t SuiteCore::from_others(uint32_t most)
{
	const uint32_t n =
		shared_.steering->receive(id_, in_ + nb_in_, std::min(most, in_room - nb_in_));
	nb_in_ += n;
	nb_received_ += n;
	queue_empty_ = n == 0;
	return n;
}

void SuiteCore::took(uint32_t n)
{
	passed_ += n;
	std::shift_left(in_, in_ + nb_in_, n);
	nb_in_ -= n;
}

// Packets of the core's own buckets that may be worked on now.
void SuiteCore::admit(uint64_t now)
{
	rsspp_handover *handover = shared_.handover.get();
	const uint32_t most = std::min<uint32_t>(room(now), out_room);
	if (!handover) {
		nb_out_ = std::min(nb_in_, most);
		std::copy(in_, in_ + nb_out_, out_);
		took(nb_out_);
		return;
	}
	uint32_t offered = std::min(nb_in_, most);
	if (rsspp_handover_backlog(handover, id_) >= burst)
		offered = 0;
	for (uint32_t i = 0; i < offered; i++)
		in_hashes_[i] = in_[i]->hash.rss;
	took(rsspp_handover_admit(handover, id_, reinterpret_cast<void **>(in_), in_hashes_, offered,
	                          reinterpret_cast<void **>(out_), out_hashes_, std::max(most, offered),
	                          &nb_out_));
}

// Flows of buckets that have come before their packets are worked on.
void SuiteCore::take_over(uint64_t now)
{
	if (!shared_.handover)
		return;
	for (uint32_t n = rsspp_handover_gained(shared_.handover.get(), id_, buckets_.data()); n > 0;
	     n--)
		if (flows_ && !flows_->take_up(buckets_[n - 1], now))
			add(shared_.state_errors, 1);
}

int64_t SuiteCore::queue_length() const
{
	if (!shared_.steering && queues_.size() == 1) {
		const int n = rte_eth_rx_queue_count(queues_[0].port, queues_[0].queue);
		if (n >= 0)
			return int64_t{n} + nb_in_;
	}
	return queue_empty_ && nb_in_ == 0 ? RSSPP_QUEUE_EMPTY : RSSPP_QUEUE_UNKNOWN;
}

// Buckets whose packets have all been here: what the stage holds of them is worked on, then their
// flows leave.
bool SuiteCore::give_up(uint64_t now)
{
	rsspp_handover *handover = shared_.handover.get();
	const uint32_t gone =
		rsspp_handover_poll(handover, id_, passed_, queue_length(), buckets_.data());
	if (gone == 0)
		return false;
	if (lane_.reframer) {
		for (uint32_t i = 0; i < gone; i++)
			reframer_release_bucket(reframer_dpdk_stage(lane_.reframer), shared_.nb_buckets - 1,
			                        buckets_[i]);
		rte_mbuf *packets[out_room];
		while (const uint32_t n = reframer_dpdk_pass(lane_.reframer, packets, 0, out_room, now))
			work(packets, n, now);
	}
	shared_.sender->drain(lane_, shared_.out);
	if (shared_.both_ways)
		shared_.sender->drain(lane_, shared_.in);
	for (uint32_t i = 0; i < gone && flows_; i++)
		flows_->give_up(buckets_[i], now);
	rsspp_handover_release(handover, id_);
	return true;
}

// One pass over the queue without work, so that buckets which leave do not wait for it.
void SuiteCore::drain_queue(uint64_t now)
{
	rsspp_handover *handover = shared_.handover.get();
	while (rsspp_handover_draining(handover, id_)) {
		uint32_t n = 0;
		if (shared_.steering)
			n = from_others(burst);
		else
			receive(burst), n = nb_received_;
		for (uint32_t i = 0; i < nb_in_; i++)
			in_hashes_[i] = in_[i]->hash.rss;
		took(rsspp_handover_absorb(handover, id_, reinterpret_cast<void **>(in_), in_hashes_,
		                           nb_in_));
		if (!give_up(now) && n == 0)
			break;
	}
}

void SuiteCore::work(rte_mbuf **packets, uint32_t n, uint64_t now)
{
	if (flows_) {
		rte_mbuf *dropped[out_room];
		const uint32_t kept = flows_->process(packets, n, now, dropped);
		if (kept < n)
			rte_pktmbuf_free_bulk(dropped, n - kept);
		n = kept;
	}
	if (shared_.work_rounds) {
		uint64_t x = now | 1;
		for (uint64_t r = 0; r < uint64_t{shared_.work_rounds} * n; r++) {
			x ^= x << 13; // xorshift64
			x ^= x >> 7;
			x ^= x << 17;
		}
		worked_.store(x, std::memory_order_relaxed);
	}
	nb_sent_ += n;
	if (shared_.in == shared_.out) {
		shared_.sender->send(lane_, shared_.out, packets, n);
		return;
	}
	rte_mbuf *back[out_room];
	uint32_t nb_on = 0, nb_back = 0;
	for (uint32_t i = 0; i < n; i++)
		(packets[i]->port == shared_.in ? packets[nb_on++] : back[nb_back++]) = packets[i];
	if (nb_on > 0)
		shared_.sender->send(lane_, shared_.out, packets, nb_on);
	if (nb_back > 0)
		shared_.sender->send(lane_, shared_.in, back, nb_back);
}

void SuiteCore::hold_and_work(uint64_t now)
{
	uint32_t n = nb_out_;
	nb_out_ = 0;
	if (lane_.reframer)
		n = reframer_dpdk_pass(lane_.reframer, out_, uint16_t(n), out_room, now);
	if (n > 0)
		work(out_, n, now);
}

void SuiteCore::publish()
{
	if (!shared_.handover)
		return;
	rsspp_handover_stats s;
	rsspp_handover_get_stats(shared_.handover.get(), id_, &s);
	moved_.held.store(s.held, std::memory_order_relaxed);
	moved_.held_max.store(s.held_max, std::memory_order_relaxed);
	moved_.forwarded.store(s.forwarded, std::memory_order_relaxed);
	moved_.handed_over.store(s.handed_over, std::memory_order_relaxed);
}

bool SuiteCore::poll()
{
	if (++polls_ % polls_to_publish == 0)
		publish();
	const uint64_t began = rte_rdtsc();
	const uint64_t now = shared_.clock->now();
	nb_sent_ = 0;
	if (shared_.handover)
		drain_queue(now);
	// Where packets are passed on, those of others must not wait for this core's stage.
	receive(shared_.steering ? burst : room(now));
	admit(now);
	take_over(now);
	const bool admitted = nb_out_ > 0;
	hold_and_work(now);
	if (shared_.handover)
		give_up(now);
	if (nb_received_ == 0 && nb_sent_ == 0 && !admitted)
		return false;
	add(lane_.work_polls, 1);
	add(lane_.work_cycles, rte_rdtsc() - began);
	return true;
}

bool SuiteCore::finish(uint32_t most)
{
	if (receives_) {
		// What waited in the rings when the signal came leaves too; what came later was not promised.
		lane_.taken_since_stop += nb_from_port_;
		const bool got_all = asked_all_ && nb_from_port_ == 0;
		if (!got_all && lane_.taken_since_stop < most * std::max<size_t>(1, queues_.size()))
			return false;
		receives_ = false;
		if (!shared_.steering)
			shared_.receiving.fetch_sub(1, std::memory_order_acq_rel);
	}
	if (shared_.steering && passes_on_) {
		if (!shared_.steering->flushed(id_))
			return false;
		passes_on_ = false;
		shared_.receiving.fetch_sub(1, std::memory_order_acq_rel);
	}
	if (shared_.receiving.load(std::memory_order_acquire) > 0 || nb_in_ > 0)
		return false;
	if (shared_.steering && shared_.steering->waiting(id_))
		return false;
	if (shared_.handover) {
		rsspp_handover_stats stats;
		rsspp_handover_get_stats(shared_.handover.get(), id_, &stats);
		if (stats.held_now > 0)
			return false;
	}
	rte_mbuf *packets[out_room];
	const uint64_t now = shared_.clock->now();
	while (const uint32_t n =
	           lane_.reframer ? reframer_dpdk_drain(lane_.reframer, packets, out_room) : 0)
		work(packets, n, now);
	publish();
	return true;
}

} // namespace reframer::dpdk
