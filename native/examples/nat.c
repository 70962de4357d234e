/*
 * A source NAT on one DPDK port, with Reframer in front: packets of a flow come in a row, so the
 * binding of the flow before serves most packets, and the table is asked once a run.
 *
 *   cc nat.c -o nat $(pkg-config --cflags --libs reframer-dpdk)
 *   ./nat --no-pci --vdev=net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap -- 192.0.2.1
 *
 * IPv4 TCP and UDP without VLAN tags are translated; everything else passes as it is. Checksums are
 * updated incrementally (RFC 1624). Ends at SIGINT or SIGTERM, and drains.
 */
#include <reframer/dpdk.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define BURST 32
#define FIRST_PORT 1024

static volatile sig_atomic_t stopping;
static void on_signal(int signal) { stopping = signal; }

/* What the table keeps of a flow: its translated source port, network order; 0: none yet. */
struct binding {
	uint16_t port;
	uint8_t reserved[6];
};

static uint16_t adjust(uint16_t checksum, uint16_t before, uint16_t after)
{
	uint32_t sum = (uint16_t)~checksum + (uint32_t)(uint16_t)~before + after;
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~(sum + (sum >> 16));
}

static void translate(struct rte_mbuf *packet, uint32_t address, uint16_t port)
{
	struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(packet, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
	uint16_t *l4 = (uint16_t *)((char *)ip + rte_ipv4_hdr_len(ip));
	uint16_t *checksum = l4 + (ip->next_proto_id == IPPROTO_TCP ? 8 : 3);
	uint16_t old[2], new[2];
	memcpy(old, &ip->src_addr, 4);
	memcpy(new, &address, 4);
	int has_checksum = ip->next_proto_id == IPPROTO_TCP || *checksum != 0;
	for (int i = 0; i < 2; i++) {
		ip->hdr_checksum = adjust(ip->hdr_checksum, old[i], new[i]);
		if (has_checksum)
			*checksum = adjust(*checksum, old[i], new[i]);
	}
	if (has_checksum)
		*checksum = adjust(*checksum, l4[0], port);
	ip->src_addr = address;
	l4[0] = port;
}

/* Whole, unfragmented IPv4 TCP or UDP, its headers in the first segment. */
static int is_translatable(const struct rte_mbuf *packet)
{
	if (packet->data_len < RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + 20)
		return 0;
	const struct rte_ether_hdr *link = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(link + 1);
	return link->ether_type == htons(RTE_ETHER_TYPE_IPV4) && ip->version_ihl == RTE_IPV4_VHL_DEF &&
	       (ip->fragment_offset & htons(RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG)) == 0 &&
	       (ip->next_proto_id == IPPROTO_TCP || ip->next_proto_id == IPPROTO_UDP);
}

static void process(struct conntrack_table *flows, struct rte_mbuf **packets, uint16_t nb, uint32_t address)
{
	static uint16_t next_port = FIRST_PORT;
	void *states[BURST];
	conntrack_dpdk_burst(flows, packets, nb, rte_rdtsc() / (rte_get_tsc_hz() / 1000000) * 1000, states, NULL);
	for (uint16_t i = 0; i < nb; i++) {
		struct binding *binding = states[i];
		if (binding == NULL || !is_translatable(packets[i]))
			continue;
		if (binding->port == 0) {
			binding->port = htons(next_port);
			next_port = next_port == UINT16_MAX ? FIRST_PORT : next_port + 1;
		}
		translate(packets[i], address, binding->port);
	}
}

static void send_all(uint16_t port, struct rte_mbuf **packets, uint16_t nb)
{
	for (uint16_t sent = 0; sent < nb;)
		sent += rte_eth_tx_burst(port, 0, packets + sent, nb - sent);
}

int main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	uint32_t address;
	if (used < 0 || argc - used != 2 || inet_pton(AF_INET, argv[used + 1], &address) != 1) {
		fprintf(stderr, "usage: nat EAL_OPTIONS -- ADDRESS\n");
		return 2;
	}
	const uint16_t port = 0;
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool = rte_pktmbuf_pool_create("packets", 16383, 250, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL || rte_eth_dev_configure(port, 1, 1, &conf) || rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL) ||
	    rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL, pool) || rte_eth_dev_start(port)) {
		fprintf(stderr, "nat: port 0 does not start\n");
		return 1;
	}

	/* Reframer on the queue, and a table of flows: all that this program needs of the library. */
	struct reframer_dpdk_queue *queue;
	struct conntrack_params params;
	struct conntrack_table *flows;
	conntrack_default_params(&params);
	params.state_size = sizeof(struct binding);
	int error = reframer_dpdk_open(port, 0, NULL, &queue);
	if (error == 0)
		error = conntrack_create(&params, &flows);
	if (error) {
		fprintf(stderr, "nat: %s\n", reframer_strerror(error));
		return 1;
	}
	reframer_dpdk_telemetry();
	conntrack_dpdk_show("nat", flows);

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	struct rte_mbuf *packets[BURST];
	uint16_t nb;
	while (!stopping) {
		nb = reframer_rx_burst(queue, packets, BURST); /* in place of rte_eth_rx_burst() */
		process(flows, packets, nb, address);
		send_all(port, packets, nb);
	}
	while ((nb = (uint16_t)reframer_dpdk_drain(queue, packets, BURST)) > 0) {
		process(flows, packets, nb, address);
		send_all(port, packets, nb);
	}
	struct reframer_dpdk_stats stats;
	struct conntrack_stats table;
	reframer_dpdk_get_stats(queue, &stats);
	conntrack_get_stats(flows, &table);
	printf("%lu packets, %lu flows\n", (unsigned long)stats.stage.packets_out, (unsigned long)table.inserted);
	conntrack_dpdk_hide(flows);
	conntrack_free(flows);
	reframer_dpdk_close(queue);
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	return 0;
}
