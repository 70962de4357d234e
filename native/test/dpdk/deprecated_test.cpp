// Programs built with 0.1: former names, and statistics with the hold times inside.
#include "eal.hpp"
#include "reframer/deprecated.h"
#include "reframer/dpdk.h"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstring>
#include <vector>

using namespace reframer::test;

TEST_CASE("statistics of 0.1 are known by their size")
{
	reframer_dpdk_params params;
	reframer_dpdk_default_params(&params);
	params.stage.delay_ns = 5000;
	reframer_dpdk_queue *queue = nullptr;
	REQUIRE(reframer_dpdk_open(eal().ring_port, 0, &params, &queue) == 0);
	rte_mbuf *packet = rte_pktmbuf_alloc(eal().pool);
	REQUIRE(packet != nullptr);
	std::memset(rte_pktmbuf_append(packet, 60), 0, 60);
	CHECK(reframer_dpdk_pass(queue, &packet, 1, 1, 1000) == 0);
	CHECK(reframer_dpdk_pass(queue, &packet, 0, 1, 6000) == 1);
	rte_pktmbuf_free(packet);

	constexpr size_t own = offsetof(reframer_dpdk_stats, stage);
	std::vector<uint8_t> bytes(own + sizeof(reframer_stats_0_1) + 8, 0xa5);
	auto *stats = reinterpret_cast<reframer_dpdk_stats *>(bytes.data());
	reframer_dpdk_stats_get(queue, stats, bytes.size() - 8);
	for (size_t i = bytes.size() - 8; i < bytes.size(); i++)
		CHECK(bytes[i] == 0xa5);
	CHECK(stats->polls == 2);
	CHECK(stats->empty_polls == 1);
	const auto *stage = reinterpret_cast<const reframer_stats_0_1 *>(bytes.data() + own);
	CHECK(stage->packets_out == 1);
	CHECK(stage->delay_ns == 5000);
	uint64_t holds[REFRAMER_HISTOGRAM_BUCKETS], total = 0;
	reframer_hold_histogram(reframer_dpdk_stage(queue), holds, REFRAMER_HISTOGRAM_BUCKETS);
	for (uint32_t b = 0; b < REFRAMER_HISTOGRAM_BUCKETS; b++) {
		CHECK(stage->hold_histogram[b] == holds[b]);
		total += holds[b];
	}
	CHECK(total == 1);
	reframer_dpdk_close(queue);
}

TEST_CASE("former names are the functions of now")
{
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	CHECK(reframer_rx_burst == reframer_dpdk_rx_burst);
	CHECK(reframer_rx_callback == reframer_dpdk_rx_callback);
	CHECK(rsspp_rx_callback == rsspp_dpdk_rx_callback);
#pragma GCC diagnostic pop
}
