// RSS++ behind an RX callback: counters a queue, one balancer a port.
#pragma once

#include "reframer/dpdk.h"

#include <atomic>
#include <memory>
#include <vector>

struct alignas(64) rsspp_dpdk_queue {
	explicit rsspp_dpdk_queue(uint32_t nb_buckets) : mask(nb_buckets - 1), packets(nb_buckets) {}

	const uint32_t mask;
	std::vector<std::atomic<uint64_t>> packets; // by bucket; one writer, the polling core
	std::atomic<uint64_t> useful{0};            // cycles
	std::atomic<uint64_t> without_hash{0};      // of unknown bucket
	uint64_t last_poll = 0;                     // the polling core's
	bool last_found = false;
	uint64_t sampled_useful = 0; // the balancer's
};

struct rsspp_dpdk_balancer {
	~rsspp_dpdk_balancer();

	int epoch(rsspp_report *report);
	void counters(std::vector<uint64_t> &sums) const;

	rsspp_dpdk_table *table = nullptr;
	rsspp_balancer *balancer = nullptr;
	uint32_t nb_buckets = 0;
	std::vector<std::unique_ptr<rsspp_dpdk_queue>> queues;
	std::vector<uint64_t> packets;
	std::vector<float> loads;
	std::vector<uint16_t> wanted;
	std::vector<rsspp_move> moves;
	uint64_t sampled_at = 0, interval_cycles = 0;
	uint32_t service = UINT32_MAX;
	std::atomic<uint64_t> epochs{0}, moved{0}, refused{0};
	// As of the last epoch, for telemetry.
	std::vector<std::atomic<uint16_t>> shown_table;
	std::vector<std::atomic<float>> shown_loads;
};
