// Reframer in the place of a port's receive function: what rte_eth_rx_burst() gives then.
#include "dpdk/in_place.hpp"
#include "packets.hpp"

#include <rte_cycles.h>

using namespace reframer::test;
using reframer::dpdk::InPlace;

namespace {

// The driver's functions are back when this ends, as after a stop and a start.
struct Port {
	explicit Port(reframer_dpdk_queue *queue)
		: before(rte_eth_fp_ops[eal().ring_port]), port(eal().ring_port, {queue})
	{
	}
	~Port() { rte_eth_fp_ops[eal().ring_port] = before; }
	struct rte_eth_fp_ops before;
	InPlace port;
};

void send(Source &source, int nb)
{
	for (int i = 0; i < nb; i++) {
		rte_mbuf *p = source.packet();
		REQUIRE(rte_eth_tx_burst(eal().ring_port, 0, &p, 1) == 1);
	}
}

reframer_stats stats_of(const Queue &queue)
{
	reframer_stats stats;
	reframer_get_stats(reframer_dpdk_stage(queue.q), &stats);
	return stats;
}

} // namespace

TEST_CASE("packets leave once, in their flow's order, in longer runs, also at empty polls")
{
	const uint32_t available = rte_mempool_avail_count(eal().pool);
	{
		Queue queue(with_delay(200'000), eal().ring_port);
		const Port port(queue.q);
		Source source(5);
		Sink sink;
		send(source, 400);
		const uint64_t start = rte_rdtsc();
		while (sink.received < 400 && rte_rdtsc() - start < rte_get_tsc_hz()) {
			rte_mbuf *packets[32];
			sink.take(packets, rte_eth_rx_burst(eal().ring_port, 0, packets, 32));
		}
		CHECK(sink.received == 400);
		CHECK(sink.reordered == 0);
		CHECK(stats_of(queue).runs_out < stats_of(queue).runs_in);
	}
	CHECK(rte_mempool_avail_count(eal().pool) == available);
}

TEST_CASE("with T = 0 from now on all leaves before more is received, however small the array")
{
	Queue queue(with_delay(1'000'000'000), eal().ring_port);
	const Port port(queue.q);
	Source source(6);
	Sink sink;
	rte_mbuf *packets[32];
	send(source, 400);
	while (stats_of(queue).packets_in < 320)
		REQUIRE(rte_eth_rx_burst(eal().ring_port, 0, packets, 32) == 0);
	REQUIRE(reframer_set_policy(reframer_dpdk_stage(queue.q), REFRAMER_FIXED, 0) == 0);
	// A callback would have received 8 packets for each 8 that it gave, and 320 would be held for ever.
	while (stats_of(queue).packets_held > 16) {
		const uint16_t n = rte_eth_rx_burst(eal().ring_port, 0, packets, 8);
		REQUIRE(n > 0);
		sink.take(packets, n);
		REQUIRE(stats_of(queue).packets_in == 320);
	}
	while (stats_of(queue).packets_in < 400)
		sink.take(packets, rte_eth_rx_burst(eal().ring_port, 0, packets, 32));
	while (const uint32_t n = reframer_dpdk_drain(queue.q, packets, 32))
		sink.take(packets, n);
	CHECK(sink.received == 400);
	CHECK(sink.reordered == 0);
}

TEST_CASE("a queue without an object, and questions about queues, go to the driver")
{
	const struct rte_eth_fp_ops before = rte_eth_fp_ops[eal().ring_port];
	const Port port(nullptr);
	const struct rte_eth_fp_ops &ops = rte_eth_fp_ops[eal().ring_port];
	CHECK((ops.rx_pkt_burst != before.rx_pkt_burst));
	CHECK((ops.rx_queue_count == nullptr) == (before.rx_queue_count == nullptr));
	CHECK((ops.rx_descriptor_status == nullptr) == (before.rx_descriptor_status == nullptr));
	Source source(7);
	Sink sink;
	send(source, 40);
	rte_mbuf *packets[32];
	for (const uint16_t nb : {32, 8}) {
		CHECK(rte_eth_rx_burst(eal().ring_port, 0, packets, 32) == nb);
		sink.take(packets, nb);
	}
	CHECK(sink.reordered == 0);
}
