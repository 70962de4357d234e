// Reframer on an RX queue: every mbuf leaves once, in its flow's order, within the caller's array.
#include "packets.hpp"
#include "support/seed.hpp"

#include <rte_graph.h>
#include <rte_graph_worker.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <random>
#include <utility>
#include <vector>

using namespace reframer::test;

namespace {

// The same bytes in segments that end at `cuts`.
rte_mbuf *in_segments(rte_mbuf *whole, const std::vector<uint32_t> &cuts)
{
	rte_mbuf *head = nullptr;
	uint32_t at = 0;
	std::vector<uint32_t> ends = cuts;
	ends.push_back(whole->pkt_len);
	for (const uint32_t end : ends) {
		rte_mbuf *segment = rte_pktmbuf_alloc(eal().pool);
		REQUIRE(segment != nullptr);
		std::memcpy(rte_pktmbuf_append(segment, uint16_t(end - at)),
		            rte_pktmbuf_mtod_offset(whole, char *, at), end - at);
		at = end;
		if (head)
			REQUIRE(rte_pktmbuf_chain(head, segment) == 0);
		else
			head = segment;
	}
	head->hash.rss = whole->hash.rss;
	head->ol_flags |= whole->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
	rte_pktmbuf_free(whole);
	return head;
}

} // namespace

TEST_CASE("the callback loses nothing, keeps the order of flows and never leaves the array")
{
	const uint64_t seed = seed_for("dpdk callback", 20220404);
	struct Case {
		uint64_t delay_ns;
		uint32_t max_packets, policy, early, options, hash;
	};
	const Case cases[] = {
		{0, 4096, REFRAMER_FIXED, 0, 0, REFRAMER_DPDK_HASH_SOFTWARE},
		{20'000, 4096, REFRAMER_FIXED, 0, 0, REFRAMER_DPDK_HASH_SOFTWARE},
		{1'000'000, 64, REFRAMER_FIXED, 0, 0, REFRAMER_DPDK_HASH_SOFTWARE}, // always full
		{1'000'000, 32, REFRAMER_FIXED, 0, 0, REFRAMER_DPDK_HASH_NIC},
		{50'000, 512, REFRAMER_ADAPTIVE, 0, 0, REFRAMER_DPDK_HASH_NIC},
		{20'000, 256, REFRAMER_BURST, 0, 0, REFRAMER_DPDK_HASH_SOFTWARE},
		{20'000, 256, REFRAMER_FIXED, REFRAMER_EARLY_FIN, 0,
	     REFRAMER_DPDK_HASH_NIC}, // reads headers, groups by the NIC's hash
	};
	for (const Case &c : cases) {
		CAPTURE(c.delay_ns);
		CAPTURE(c.max_packets);
		const uint32_t available = rte_mempool_avail_count(eal().pool);
		Source source(seed);
		Sink sink;
		auto params = with_delay(c.delay_ns);
		params.stage.max_packets = c.max_packets;
		params.stage.policy = c.policy;
		params.stage.early = c.early;
		params.stage.options = c.options;
		params.hash = c.hash;
		Queue queue(params, eal().ring_port);
		constexpr uint32_t longest = 600; // more than runs are kept for
		uint64_t sent = 0, beyond = 0, split_runs = 0, nb_passed = 0;
		for (int step = 0; step < 1500; step++) {
			rte_mbuf *array[longest + 1];
			const uint32_t room = 1 + uint32_t(source.rng() % (step % 50 == 0 ? longest : 64));
			const uint32_t nb = source.rng() % 3 == 0 ? 0 : uint32_t(source.rng() % (room + 1));
			for (uint32_t i = 0; i < nb; i++) {
				array[i] = source.packet();
				const Mark mark = mark_of(array[i]);
				// A NIC hashes a flow always or never.
				if (c.hash == REFRAMER_DPDK_HASH_NIC && mark.flow % 3 != 0) {
					array[i]->hash.rss = mark.flow * 2654435761u;
					array[i]->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
				}
				if (mark.flow % 4 == 1 && source.rng() % 2)
					array[i] = in_segments(array[i], {14, 30});
				else if (mark.flow % 4 == 2)
					array[i] = in_segments(array[i], {38});
			}
			sent += nb;
			auto *const canary = reinterpret_cast<rte_mbuf *>(uintptr_t{0x5a5a});
			for (uint32_t i = nb; i <= longest; i++)
				array[i] = canary;
			const uint16_t n =
				reframer_dpdk_rx_callback(0, 0, array, uint16_t(nb), uint16_t(room), queue.q);
			REQUIRE(n <= room);
			for (uint32_t i = room; i <= longest; i++)
				beyond += array[i] != canary;
			const reframer_run *runs;
			const uint32_t nb_runs = reframer_dpdk_runs(queue.q, &runs);
			uint32_t covered = 0;
			for (uint32_t r = 0; r < nb_runs; r++) {
				split_runs += runs[r].first != covered;
				covered += runs[r].count;
			}
			reframer_dpdk_stats now;
			reframer_dpdk_get_stats(queue.q, &now);
			const uint64_t passed = std::exchange(nb_passed, now.stage.passed);
			const bool left_out = c.policy == REFRAMER_ADAPTIVE && nb_runs == 0 && n == nb &&
			                      now.stage.passed == passed + n;
			CHECK((covered == n || nb_runs == REFRAMER_DPDK_MAX_RUNS || left_out));
			sink.take(array, n);
		}
		reframer_dpdk_stats stats;
		reframer_dpdk_get_stats(queue.q, &stats);
		CHECK(stats.stage.packets_in == sent);
		CHECK(stats.stage.packets_held == sent - sink.received);
		CHECK(stats.stage.packets_held <= c.max_packets);
		rte_mbuf *array[64];
		while (const uint32_t n = reframer_dpdk_drain(queue.q, array, 64))
			sink.take(array, n);
		CHECK(sink.received == sent);
		CHECK(sink.reordered == 0);
		CHECK(beyond == 0);
		CHECK(split_runs == 0);
		CHECK(rte_mempool_avail_count(eal().pool) == available);
	}
}

TEST_CASE("a header in several segments is the flow that it is in one")
{
	auto params = with_delay(1'000'000'000);
	params.hash = REFRAMER_DPDK_HASH_SOFTWARE;
	Queue queue(params, eal().ring_port);
	Source source(7);
	std::vector<rte_mbuf *> in;
	const std::vector<std::vector<uint32_t>> ways = {{}, {14}, {20, 33}, {1, 2, 3}, {36}, {41}};
	for (int round = 0; round < 2; round++)
		for (uint32_t flow : {5u, 6u, 7u})
			for (const auto &cuts : ways) {
				rte_mbuf *p = packet_of(source.frames[flow], {flow, ++source.sequence[flow]});
				REQUIRE(p != nullptr);
				in.push_back(cuts.empty() ? p : in_segments(p, cuts));
			}
	rte_mbuf *out[64];
	CHECK(reframer_dpdk_rx_callback(0, 0, in.data(), uint16_t(in.size()), uint16_t(in.size()),
	                                queue.q) == 0);
	const uint32_t n = reframer_dpdk_drain(queue.q, out, 64);
	CHECK(n == in.size());
	const reframer_run *runs;
	CHECK(reframer_dpdk_runs(queue.q, &runs) == 3);
	reframer_dpdk_stats stats;
	reframer_dpdk_get_stats(queue.q, &stats);
	CHECK(stats.in_pieces == 3 * 2 * 5);
	Sink sink;
	sink.take(out, n);
	CHECK(sink.reordered == 0);
}

TEST_CASE("in place of rte_eth_rx_burst, and as a callback of it: empty polls release")
{
	for (const bool as_callback : {false, true}) {
		CAPTURE(as_callback);
		const uint32_t available = rte_mempool_avail_count(eal().pool);
		Queue queue(with_delay(200'000), eal().ring_port);
		const uint16_t port = eal().ring_port;
		const rte_eth_rxtx_callback *callback = nullptr;
		if (as_callback)
			REQUIRE((callback = rte_eth_add_rx_callback(port, 0, reframer_dpdk_rx_callback,
			                                            queue.q)) != nullptr);
		Source source(11);
		Sink sink;
		for (int i = 0; i < 400; i++) {
			rte_mbuf *p = source.packet();
			REQUIRE(rte_eth_tx_burst(port, 0, &p, 1) == 1);
		}
		const uint64_t start = rte_rdtsc();
		uint64_t empty = 0;
		while (sink.received < 400 && rte_rdtsc() - start < rte_get_tsc_hz()) {
			rte_mbuf *packets[32];
			const uint16_t n = as_callback ? rte_eth_rx_burst(port, 0, packets, 32)
			                               : reframer_dpdk_rx_burst(queue.q, packets, 32);
			empty += n == 0;
			sink.take(packets, n);
		}
		CHECK(sink.received == 400);
		CHECK(sink.reordered == 0);
		CHECK(empty > 0);
		reframer_dpdk_stats stats;
		reframer_dpdk_get_stats(queue.q, &stats);
		CHECK(stats.stage.runs_out < stats.stage.runs_in);
		CHECK(stats.polls > stats.empty_polls);
		if (callback)
			CHECK(rte_eth_remove_rx_callback(port, 0, callback) == 0);
		CHECK(rte_mempool_avail_count(eal().pool) == available);
	}
}

TEST_CASE("a backlog: reframer_dpdk_rx_burst receives nothing, a callback does not let it grow")
{
	const auto held = [](const Queue &queue) {
		reframer_dpdk_stats stats;
		reframer_dpdk_get_stats(queue.q, &stats);
		return stats.stage.packets_held;
	};
	const auto taken_in = [](const Queue &queue) {
		reframer_dpdk_stats stats;
		reframer_dpdk_get_stats(queue.q, &stats);
		return stats.stage.packets_in;
	};
	const uint16_t port = eal().ring_port;
	Source source(17);
	Sink sink;
	rte_mbuf *packets[64];
	SUBCASE("in place of rte_eth_rx_burst")
	{
		constexpr uint64_t delay_ns = 50'000'000;
		Queue queue(with_delay(delay_ns), port);
		for (int i = 0; i < 400; i++) {
			rte_mbuf *p = source.packet();
			REQUIRE(rte_eth_tx_burst(port, 0, &p, 1) == 1);
		}
		while (taken_in(queue) < 320)
			REQUIRE(reframer_dpdk_rx_burst(queue.q, packets, 64) == 0);
		const uint64_t start = rte_rdtsc();
		while (rte_rdtsc() - start < rte_get_tsc_hz() / 1'000'000'000. * (2.5 * delay_ns))
			continue;
		const uint16_t n = reframer_dpdk_rx_burst(queue.q, packets, 8);
		CHECK(n == 8);
		CHECK(taken_in(queue) == 320); // what is overdue leaves first
		sink.take(packets, n);
		while (taken_in(queue) < 400)
			sink.take(packets, reframer_dpdk_rx_burst(queue.q, packets, 64));
		while (const uint32_t n = reframer_dpdk_drain(queue.q, packets, 64))
			sink.take(packets, n);
		CHECK(sink.received == 400);
	}
	SUBCASE("as a callback")
	{
		Queue queue(with_delay(1000), port);
		uint64_t now = 0, sent = 0, full = 0;
		const auto burst = [&](uint32_t nb, uint16_t room) {
			for (uint32_t i = 0; i < nb; i++)
				packets[i] = source.packet();
			sent += nb;
			const uint16_t n = reframer_dpdk_pass(queue.q, packets, uint16_t(nb), room, now += 100);
			sink.take(packets, n);
			return n;
		};
		for (int i = 0; i < 10; i++)
			burst(64, 64);
		for (int i = 0; i < 200; i++) {
			const uint32_t before = held(queue);
			if (burst(16, 16) < 16)
				continue;
			full++; // and more may be due
			CHECK(held(queue) <= before);
		}
		CHECK(full > 150);
		while (held(queue) > 0)
			burst(0, 64);
		CHECK(sink.received == sent);
	}
	CHECK(sink.reordered == 0);
}

TEST_CASE("what is still held at close goes back to its pool; a small pool is not starved")
{
	const uint32_t available = rte_mempool_avail_count(eal().pool);
	{
		auto params = with_delay(1'000'000'000);
		params.pool = eal().pool;
		params.nb_pool_users = 8;
		params.stage.max_packets = 1u << 20;
		Queue queue(params, eal().ring_port);
		reframer_dpdk_stats stats;
		reframer_dpdk_get_stats(queue.q, &stats);
		CHECK(stats.max_packets == eal().pool->size / 16);
		Source source(3);
		rte_mbuf *array[32];
		for (rte_mbuf *&p : array)
			p = source.packet();
		CHECK(reframer_dpdk_rx_callback(0, 0, array, 32, 32, queue.q) == 0);
		CHECK(rte_mempool_avail_count(eal().pool) == available - 32);
	}
	CHECK(rte_mempool_avail_count(eal().pool) == available);
}

TEST_CASE("what cannot be opened")
{
	eal();
	reframer_dpdk_queue *q = nullptr;
	CHECK(reframer_dpdk_open(77, 0, nullptr, &q) == -ENODEV);
	auto params = with_delay(2'000'000'000);
	CHECK(reframer_dpdk_open(eal().ring_port, 0, &params, &q) == -EINVAL);
	params = with_delay(0);
	params.hash = 9;
	CHECK(reframer_dpdk_open(eal().ring_port, 0, &params, &q) == -EINVAL);
	params = with_delay(0);
	params.size = 0;
	CHECK(reframer_dpdk_open(eal().ring_port, 0, &params, &q) == -EINVAL);
	CHECK(q == nullptr);
	reframer_dpdk_close(nullptr);
}

namespace {

Sink *graph_sink;

uint16_t sink_process(rte_graph *, rte_node *, void **objects, uint16_t nb)
{
	graph_sink->take(reinterpret_cast<rte_mbuf **>(objects), nb);
	return nb;
}

rte_node_register sink_node = {};

} // namespace

TEST_CASE("as a source node of a graph")
{
	const uint32_t available = rte_mempool_avail_count(eal().pool);
	const uint16_t port = eal().ring_port;
	Queue queue(with_delay(100'000), port);
	uint32_t node = 0;
	CHECK(reframer_dpdk_graph_node(queue.q, "no_such_node", &node) == -ENOENT);
	std::snprintf(sink_node.name, sizeof(sink_node.name), "test_sink");
	sink_node.process = sink_process;
	sink_node.id = sink_node.parent_id = RTE_NODE_ID_INVALID;
	REQUIRE(__rte_node_register(&sink_node) != RTE_NODE_ID_INVALID);
	REQUIRE(reframer_dpdk_graph_node(queue.q, "test_sink", &node) == 0);
	CHECK(reframer_dpdk_graph_node(queue.q, "test_sink", &node) == -EEXIST);
	const std::string name = "reframer_rx-" + std::to_string(port) + "-0";
	const char *patterns[] = {name.c_str(), "test_sink"};
	rte_graph_param param = {};
	param.socket_id = SOCKET_ID_ANY;
	param.nb_node_patterns = 2;
	param.node_patterns = patterns;
	REQUIRE(rte_graph_create("test", &param) != RTE_GRAPH_ID_INVALID);
	rte_graph *graph = rte_graph_lookup("test");
	REQUIRE(graph != nullptr);

	Sink sink;
	graph_sink = &sink;
	Source source(17);
	for (int i = 0; i < 500; i++) {
		rte_mbuf *p = source.packet();
		REQUIRE(rte_eth_tx_burst(port, 0, &p, 1) == 1);
		if (i % 7 == 0)
			rte_graph_walk(graph);
	}
	const uint64_t start = rte_rdtsc();
	while (sink.received < 500 && rte_rdtsc() - start < rte_get_tsc_hz())
		rte_graph_walk(graph);
	CHECK(sink.received == 500);
	CHECK(sink.reordered == 0);
	CHECK(rte_graph_destroy(rte_graph_from_name("test")) == 0);
	CHECK(rte_mempool_avail_count(eal().pool) == available);
}
