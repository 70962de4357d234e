// RSS++ behind an RX callback, and flow tracking of mbuf bursts.
#include "eal.hpp"
#include "reframer/dpdk.h"

#include <rte_service.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <numeric>
#include <string>
#include <vector>

using namespace reframer::test;

namespace {

rte_mbuf *hashed(uint32_t hash)
{
	rte_mbuf *p = rte_pktmbuf_alloc(eal().pool);
	REQUIRE(p != nullptr);
	p->hash.rss = hash;
	p->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
	return p;
}

} // namespace

TEST_CASE("RSS++ by callback and service: one queue has all the load, the table is rewritten")
{
	rsspp_dpdk_table *table = nullptr;
	REQUIRE(rsspp_dpdk_reta_open(eal().null_port, nb_queues, &table) == 0);
	const uint32_t size = rsspp_dpdk_table_size(table);
	std::vector<uint16_t> all_on_0(size, 0);
	REQUIRE(rsspp_dpdk_table_write(table, all_on_0.data(), nullptr) == 0);
	rsspp_dpdk_balancer_params params;
	rsspp_dpdk_balancer_default_params(&params);
	params.interval_ns = 1000;
	rsspp_dpdk_balancer *balancer = nullptr;
	REQUIRE(rsspp_dpdk_balancer_create(table, &params, &balancer) == 0);
	CHECK(rsspp_dpdk_balancer_queue(balancer, nb_queues) == nullptr);

	uint32_t service = 0;
	REQUIRE(rsspp_dpdk_service_register(balancer, &service) == 0);
	CHECK(rte_service_runstate_set(service, 1) == 0);
	const std::string name = "rsspp-" + std::to_string(eal().null_port);
	CHECK(name == rte_service_get_name(service));
	rte_service_set_runstate_mapped_check(service, 0);
	std::vector<uint16_t> now(size);
	for (int epoch = 0; epoch < 6; epoch++) {
		REQUIRE(rsspp_dpdk_table_read(table, now.data()) == 0);
		for (uint32_t hash = 0; hash < 20 * size; hash++) {
			rte_mbuf *p = hashed(hash);
			// As a NIC would steer it.
			CHECK(rsspp_dpdk_rx_callback(
					  0, 0, &p, 1, 32, rsspp_dpdk_balancer_queue(balancer, now[hash % size])) == 1);
			rte_pktmbuf_free(p);
		}
		for (uint16_t q = 0; q < nb_queues; q++) // an empty poll ends the work
			CHECK(rsspp_dpdk_rx_callback(0, 0, nullptr, 0, 32,
			                             rsspp_dpdk_balancer_queue(balancer, q)) == 0);
		CHECK(rte_service_run_iter_on_app_lcore(service, 1) == 0);
	}
	REQUIRE(rsspp_dpdk_table_read(table, now.data()) == 0);
	std::vector<uint32_t> entries(nb_queues);
	for (uint16_t owner : now)
		entries[owner]++;
	// A core's load is time: an interruption in the last epoch shifts entries to the others.
	for (uint32_t n : entries)
		CHECK(n == doctest::Approx(size / nb_queues).epsilon(0.5));
	CHECK(rte_service_runstate_set(service, 0) == 0);
	CHECK(rsspp_dpdk_service_unregister(balancer) == 0);
	rsspp_dpdk_balancer_free(balancer);
	CHECK(rsspp_dpdk_table_restore(table) == 0);
	rsspp_dpdk_table_close(table);
}

TEST_CASE("flows of mbuf bursts: counted as a map counts them, in one piece or several")
{
	eal();
	conntrack_params params;
	conntrack_default_params(&params);
	for (const uint32_t flags : {0u, uint32_t{CONNTRACK_NIC_HASH}})
		for (const uint32_t key_size : {CONNTRACK_KEY_IPV4, CONNTRACK_KEY_IPV6}) {
			CAPTURE(flags);
			CAPTURE(key_size);
			params.flags = flags | CONNTRACK_SYMMETRIC;
			params.key_size = key_size;
			conntrack_table *table = nullptr;
			REQUIRE(conntrack_create(&params, &table) == 0);
			CHECK(conntrack_dpdk_show("flows", table) == 0);
			CHECK(conntrack_dpdk_show("flows", table) == -EEXIST);
			CHECK(conntrack_dpdk_show("a b", table) == -EINVAL);
			std::map<std::string, uint64_t> model;
			uint64_t nb_new = 0, nb_stateless = 0, sent_stateless = 0;
			for (uint32_t step = 0; step < 200; step++) {
				rte_mbuf *packets[32];
				std::string names[32];
				for (uint32_t i = 0; i < 32; i++) {
					const uint32_t x = step * 32 + i, flow = x * 7 % 150;
					const uint16_t a = uint16_t(1000 + flow), b = 80;
					const bool back = x % 2;
					Bytes frame;
					const Segment segment = udp({.source = back ? b : a,
					                             .destination = back ? a : b,
					                             .payload = Bytes(100)});
					if (x % 11 == 3) {
						frame = ethernet(0x0806, Bytes(46)); // ARP
						names[i] = "";
					} else if (x % 5 == 0) {
						frame = ethernet(type_ipv6,
						                 ipv6({.source = back ? "2001:db8::2" : "2001:db8::1",
						                       .destination = back ? "2001:db8::1" : "2001:db8::2"},
						                      segment));
						names[i] =
							key_size == CONNTRACK_KEY_IPV6 ? "6 " + std::to_string(flow) : "";
					} else {
						frame = ethernet(type_ipv4,
						                 ipv4({.source = back ? "10.0.0.2" : "10.0.0.1",
						                       .destination = back ? "10.0.0.1" : "10.0.0.2"},
						                      segment));
						names[i] = "4 " + std::to_string(flow);
					}
					packets[i] = rte_pktmbuf_alloc(eal().pool);
					REQUIRE(packets[i] != nullptr);
					const uint32_t cut = x % 3 == 0 ? 20 : uint32_t(frame.size());
					std::memcpy(rte_pktmbuf_append(packets[i], uint16_t(cut)), frame.data(), cut);
					if (cut < frame.size()) {
						rte_mbuf *rest = rte_pktmbuf_alloc(eal().pool);
						std::memcpy(rte_pktmbuf_append(rest, uint16_t(frame.size() - cut)),
						            frame.data() + cut, frame.size() - cut);
						REQUIRE(rte_pktmbuf_chain(packets[i], rest) == 0);
					}
					packets[i]->hash.rss =
						flow * 2654435761u + (x % 5 == 0); // the same for both directions
					if (x % 13 != 5)
						packets[i]->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
					else if (flags)
						names[i] = "";
				}
				void *states[32];
				uint8_t results[32];
				const int n =
					conntrack_dpdk_burst(table, packets, 32, step * 1000, states, results);
				int expected = 0;
				for (uint32_t i = 0; i < 32; i++) {
					nb_stateless += states[i] == nullptr;
					sent_stateless += names[i].empty();
					nb_new += results[i] & CONNTRACK_NEW;
					if (names[i].empty() || states[i] == nullptr)
						continue;
					expected++;
					auto *count = static_cast<uint64_t *>(states[i]);
					CHECK(*count == model[names[i]]);
					(*count)++;
					model[names[i]]++;
				}
				CHECK(n == expected);
				rte_pktmbuf_free_bulk(packets, 32);
			}
			CHECK(nb_stateless == sent_stateless);
			CHECK(nb_new == model.size());
			CHECK(conntrack_dpdk_burst(table, nullptr, 0, 0, nullptr, nullptr) == 0);
			CHECK(conntrack_dpdk_burst(table, nullptr, 1, 0, nullptr, nullptr) == -EINVAL);
			CHECK(conntrack_dpdk_burst(nullptr, nullptr, 0, 0, nullptr, nullptr) == -EINVAL);
			CHECK(conntrack_dpdk_burst(table, nullptr, CONNTRACK_DPDK_BURST + 1, 0, nullptr,
			                           nullptr) == -EINVAL);
			conntrack_dpdk_hide(table);
			conntrack_free(table);
		}
}
