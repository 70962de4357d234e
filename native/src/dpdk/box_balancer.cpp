#include "dpdk/box_balancer.hpp"

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

namespace reframer::dpdk {

namespace {

constexpr uint32_t burst = 64;
// Between two looks for an answer: bursts take microseconds, tables are rebuilt in milliseconds.
constexpr auto patience = std::chrono::microseconds(100);

} // namespace

BoxBalancer::BoxBalancer(const lab::Json *spec)
{
	if (spec == nullptr)
		return;
	lab::SpecReader in(*spec, "balancer");
	pool_.emplace(in);
	in.finish();
}

void BoxBalancer::open()
{
	if (pool_)
		pool_->open();
}

lab::Json BoxBalancer::change(const lab::Json &command)
{
	if (!pool_)
		return {{"failed", "this box has no balancer"}};
	if (!polled_)
		return {{"balanced", pool_->obey(command)}};
	asked_.store(&command, std::memory_order_release);
	while (asked_.load(std::memory_order_acquire) != nullptr)
		std::this_thread::sleep_for(patience);
	return {{"balanced", std::move(answer_)}};
}

lab::Json BoxBalancer::sample()
{
	return change({{"do", "stats"}})["balanced"]["stats"];
}

void BoxBalancer::obey()
{
	if (const lab::Json *command = asked_.load(std::memory_order_acquire)) [[unlikely]] {
		answer_ = pool_->obey(*command);
		asked_.store(nullptr, std::memory_order_release);
	}
}

// A RST or an ICMP error whose server nothing tells: rare, and bounded by the balancer.
void BoxBalancer::copy_to_all(rte_mbuf *packet,
                              const std::function<void(rte_mbuf **, uint32_t)> &send)
{
	uint32_t ids[BALANCER_MAX_SERVERS];
	const uint32_t nb = balancer_servers(pool_->get(), ids, BALANCER_MAX_SERVERS);
	for (uint32_t i = 0; i < nb; i++) {
		rte_mbuf *copy = rte_pktmbuf_copy(packet, packet->pool, 0, UINT32_MAX);
		if (copy == nullptr)
			return;
		if (balancer_direct(pool_->get(), rte_pktmbuf_mtod(copy, uint8_t *), copy->data_len,
		                    ids[i]) == 0)
			send(&copy, 1);
		else
			rte_pktmbuf_free(copy);
	}
}

uint32_t BoxBalancer::process(rte_mbuf **packets, uint32_t n, uint64_t now_ns,
                              const std::function<void(rte_mbuf **, uint32_t)> &send)
{
	uint32_t kept = 0;
	for (uint32_t at = 0; at < n; at += burst) {
		const uint32_t nb = std::min(n - at, burst);
		balancer_frame frames[burst];
		for (uint32_t i = 0; i < nb; i++)
			frames[i] = {rte_pktmbuf_mtod(packets[at + i], uint8_t *), packets[at + i]->data_len,
			             UINT32_MAX, 0};
		balancer_process(pool_->get(), frames, nb, now_ns);
		for (uint32_t i = 0; i < nb; i++) {
			rte_mbuf *packet = packets[at + i];
			const uint32_t verdict = frames[i].verdict;
			if (verdict == BALANCER_TO_ALL)
				copy_to_all(packet, send);
			if (verdict == BALANCER_TO_CLIENT)
				std::memcpy(frames[i].data, pool_->client_mac(), 6);
			if (verdict == BALANCER_DROP || verdict == BALANCER_TO_ALL)
				rte_pktmbuf_free(packet);
			else
				packets[kept++] = packet;
		}
	}
	return kept;
}

} // namespace reframer::dpdk
