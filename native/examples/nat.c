/*
 * A source NAT on one DPDK port, with Reframer in front: packets of a flow come in a row, so the
 * binding of a run's first packet serves the whole run, and the table is asked once a run.
 *
 *   cc nat.c -o nat $(pkg-config --cflags --libs reframer-dpdk)
 *   ./nat --no-pci --vdev=net_pcap0,rx_pcap=in.pcap,tx_pcap=out.pcap -- 192.0.2.1 [FIRST-LAST [IDLE_SECONDS]]
 *
 * IPv4 TCP and UDP without VLAN tags and IP options are translated; everything else passes as it is.
 * A flow gets a port of the range (default 1024-65535) that no other flow has, the one that has been
 * free for longest. It gives it back when it has been idle: 5 minutes for UDP, 2 hours for TCP, 4
 * minutes after a FIN or RST, or IDLE_SECONDS for all. Where no port is free a new flow's packets are
 * dropped and counted. Checksums are updated incrementally (RFC 1624). Ends at SIGINT or SIGTERM, and
 * drains.
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
#define SECOND UINT64_C(1000000000)

static volatile sig_atomic_t stopping;
static void on_signal(int signal)
{
	stopping = signal;
}

/* What the table keeps of a flow: its translated source port, host order; 0: none yet. */
struct binding {
	uint16_t port;
	uint8_t reserved[6];
};

/* Timeout classes; RFC 4787 and RFC 5382 ask for at least these times. */
enum { IDLE_UDP, IDLE_TCP, ENDING_TCP };

/* Ports that no flow has, in the order in which they became free. */
struct ports {
	uint32_t first, nb_free;
	uint16_t free[65536];
};

static void give_port(struct ports *ports, uint16_t port)
{
	ports->free[(ports->first + ports->nb_free++) % 65536] = port;
}

/* 0: all are in use. */
static uint16_t take_port(struct ports *ports)
{
	if (ports->nb_free == 0)
		return 0;
	ports->nb_free--;
	return ports->free[ports->first++ % 65536];
}

static void on_removed(void *ports, const void *key, void *state, int reason)
{
	const struct binding *binding = state;
	(void)key, (void)reason;
	if (binding->port != 0)
		give_port(ports, binding->port);
}

struct nat {
	struct conntrack_table *flows;
	struct ports ports;
	uint32_t address;
	uint32_t sweep; /* buckets of the table that are looked at a poll */
	uint64_t asked, dropped;
};

static uint16_t adjust(uint16_t checksum, uint16_t before, uint16_t after)
{
	uint32_t sum = (uint16_t)~checksum + (uint32_t)(uint16_t)~before + after;
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~(sum + (sum >> 16));
}

static struct rte_ipv4_hdr *ip_of(struct rte_mbuf *packet)
{
	return rte_pktmbuf_mtod_offset(packet, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
}

static void translate(struct rte_mbuf *packet, uint32_t address, uint16_t port)
{
	struct rte_ipv4_hdr *ip = ip_of(packet);
	int tcp = ip->next_proto_id == IPPROTO_TCP;
	uint16_t *l4 = (uint16_t *)(ip + 1);
	uint16_t *checksum = l4 + (tcp ? 8 : 3);
	uint16_t old[2], new[2];
	memcpy(old, &ip->src_addr, 4);
	memcpy(new, &address, 4);
	int has_checksum = tcp || *checksum != 0; /* of UDP, 0 says that there is none */
	for (int i = 0; i < 2; i++) {
		ip->hdr_checksum = adjust(ip->hdr_checksum, old[i], new[i]);
		if (has_checksum)
			*checksum = adjust(*checksum, old[i], new[i]);
	}
	if (has_checksum)
		*checksum = adjust(*checksum, l4[0], port);
	if (has_checksum && !tcp && *checksum == 0)
		*checksum = 0xffff; /* the same number in ones' complement (RFC 768) */
	ip->src_addr = address;
	l4[0] = port;
}

/* Whole, unfragmented IPv4 TCP or UDP, its headers in the first segment. */
static int is_translatable(const struct rte_mbuf *packet)
{
	if (packet->data_len < RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + 8)
		return 0;
	const struct rte_ether_hdr *link = rte_pktmbuf_mtod(packet, const struct rte_ether_hdr *);
	const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)(link + 1);
	const uint16_t whole = htons(RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG);
	if (link->ether_type != htons(RTE_ETHER_TYPE_IPV4) || ip->version_ihl != RTE_IPV4_VHL_DEF ||
	    (ip->fragment_offset & whole) != 0)
		return 0;
	if (ip->next_proto_id == IPPROTO_TCP)
		return packet->data_len >= RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr) + 20;
	return ip->next_proto_id == IPPROTO_UDP;
}

/* A TCP segment with FIN or RST. */
static int ends(struct rte_mbuf *packet)
{
	const struct rte_ipv4_hdr *ip = ip_of(packet);
	return ip->next_proto_id == IPPROTO_TCP && (((const uint8_t *)(ip + 1))[13] & 0x05);
}

/* The flow's port, network order; 0: none is free, or there is no room for the flow. */
static uint16_t bind_flow(struct nat *nat, const uint8_t *key, struct rte_mbuf *packet,
                          uint64_t now)
{
	int is_new;
	struct binding *binding = conntrack_find_or_insert(nat->flows, key, NULL, now, &is_new);
	nat->asked++;
	if (binding == NULL)
		return 0;
	if (is_new)
		binding->port = take_port(&nat->ports);
	const uint16_t port = binding->port;
	if (port == 0)
		conntrack_remove(nat->flows, key, NULL, now);
	else if (ends(packet))
		conntrack_set_class(nat->flows, binding, ENDING_TCP, now);
	else if (is_new && ip_of(packet)->next_proto_id == IPPROTO_TCP)
		conntrack_set_class(nat->flows, binding, IDLE_TCP, now);
	return htons(port);
}

/*
 * Translates a run in place and leaves out what has no port. Flows whose hashes are equal share a run,
 * so keys are compared; packets that end a connection are told to the table each.
 * @return packets that are left, moved to `out`.
 */
static uint16_t process_run(struct nat *nat, struct rte_mbuf **packets, uint16_t nb, uint64_t now,
                            struct rte_mbuf **out)
{
	uint8_t bound[CONNTRACK_KEY_IPV4], key[CONNTRACK_KEY_IPV4];
	uint16_t port = 0, nb_out = 0;
	int is_bound = 0;
	for (uint16_t i = 0; i < nb; i++) {
		struct rte_mbuf *packet = packets[i];
		if (is_translatable(packet)) {
			const struct rte_ipv4_hdr *ip = ip_of(packet);
			const uint16_t *l4 = (const uint16_t *)(ip + 1);
			conntrack_key_ipv4(key, (const uint8_t *)&ip->src_addr, (const uint8_t *)&ip->dst_addr,
			                   l4[0], l4[1], ip->next_proto_id);
			if (!is_bound || ends(packet) || memcmp(key, bound, sizeof(key)) != 0) {
				port = bind_flow(nat, key, packet, now);
				memcpy(bound, key, sizeof(key));
				is_bound = 1;
			}
			if (port == 0) {
				rte_pktmbuf_free(packet);
				nat->dropped++;
				continue;
			}
			translate(packet, nat->address, port);
		}
		out[nb_out++] = packet;
	}
	return nb_out;
}

/* A burst, run by run; the array is filled again with what leaves. @return packets in it. */
static uint16_t process(struct nat *nat, const struct reframer_dpdk_queue *queue,
                        struct rte_mbuf **packets, uint16_t nb)
{
	const struct reframer_run *runs;
	const uint32_t nb_runs = reframer_dpdk_runs(queue, &runs);
	const uint64_t now = rte_rdtsc() / (rte_get_tsc_hz() / 1000000) * 1000;
	uint16_t done = 0, nb_out = 0;
	for (uint32_t r = 0; r < nb_runs; r++) {
		nb_out += process_run(nat, packets + done, (uint16_t)runs[r].count, now, packets + nb_out);
		done += (uint16_t)runs[r].count;
	}
	/* Nothing is known of runs where the stage was left out: then the burst is taken for one. */
	nb_out += process_run(nat, packets + done, nb - done, now, packets + nb_out);
	conntrack_expire(nat->flows, now, nat->sweep);
	return nb_out;
}

static void send_all(uint16_t port, struct rte_mbuf **packets, uint16_t nb)
{
	for (uint16_t sent = 0; sent < nb;)
		sent += rte_eth_tx_burst(port, 0, packets + sent, nb - sent);
}

int main(int argc, char **argv)
{
	static struct nat nat;
	unsigned first = 1024, last = 65535, idle = 0;
	char rest;
	const int used = rte_eal_init(argc, argv), given = argc - used - 1;
	char **arguments = argv + used + 1;
	if (used < 0 || given < 1 || given > 3 || inet_pton(AF_INET, arguments[0], &nat.address) != 1 ||
	    (given > 1 && sscanf(arguments[1], "%u-%u%c", &first, &last, &rest) != 2) ||
	    (given > 2 &&
	     (sscanf(arguments[2], "%u%c", &idle, &rest) != 1 || idle < 1 || idle > 86400)) ||
	    first < 1 || first > last || last > 65535) {
		fprintf(stderr, "usage: nat EAL_OPTIONS -- ADDRESS [FIRST-LAST [IDLE_SECONDS]]\n");
		return 2;
	}
	for (unsigned free_port = first; free_port <= last; free_port++)
		give_port(&nat.ports, (uint16_t)free_port);
	const uint16_t port = 0;
	struct rte_eth_conf conf = {0};
	struct rte_mempool *pool =
		rte_pktmbuf_pool_create("packets", 16383, 250, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	if (pool == NULL || rte_eth_dev_configure(port, 1, 1, &conf) ||
	    rte_eth_tx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL) ||
	    rte_eth_rx_queue_setup(port, 0, 512, SOCKET_ID_ANY, NULL, pool) ||
	    rte_eth_dev_start(port)) {
		fprintf(stderr, "nat: port 0 does not start\n");
		return 1;
	}

	/* Reframer on the queue, and a table of flows: all that this program needs of the library. */
	struct reframer_dpdk_queue *queue;
	struct conntrack_params params;
	conntrack_default_params(&params);
	params.state_size = sizeof(struct binding);
	params.tick_ns = SECOND / 10;
	params.timeout_ns[IDLE_UDP] = 300 * SECOND;
	params.timeout_ns[IDLE_TCP] = 7440 * SECOND;
	params.timeout_ns[ENDING_TCP] = 240 * SECOND;
	for (int class = IDLE_UDP; idle > 0 && class <= ENDING_TCP; class ++)
		params.timeout_ns[class] = idle * SECOND;
	params.on_removed = on_removed;
	params.context = &nat.ports;
	int error = reframer_dpdk_open(port, 0, NULL, &queue);
	if (error == 0)
		error = conntrack_create(&params, &nat.flows);
	if (error) {
		fprintf(stderr, "nat: %s\n", reframer_strerror(error));
		return 1;
	}
	reframer_dpdk_telemetry();
	conntrack_dpdk_show("nat", nat.flows);
	nat.sweep = conntrack_sweep_budget(nat.flows, 1000,
	                                   SECOND); /* a poll takes about a microsecond or more */

	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	struct rte_mbuf *packets[BURST];
	uint16_t nb;
	while (!stopping) {
		nb = reframer_dpdk_rx_burst(queue, packets, BURST); /* in place of rte_eth_rx_burst() */
		send_all(port, packets, process(&nat, queue, packets, nb));
	}
	while ((nb = (uint16_t)reframer_dpdk_drain(queue, packets, BURST)) > 0) {
		send_all(port, packets, process(&nat, queue, packets, nb));
	}
	struct reframer_dpdk_stats stats;
	struct conntrack_stats table;
	reframer_dpdk_get_stats(queue, &stats);
	conntrack_get_stats(nat.flows, &table);
	printf("%lu packets, %lu flows; %lu look-ups, %lu dropped without a port\n",
	       (unsigned long)stats.stage.packets_out, (unsigned long)table.inserted,
	       (unsigned long)nat.asked, (unsigned long)nat.dropped);
	conntrack_dpdk_hide(nat.flows);
	conntrack_free(nat.flows);
	reframer_dpdk_close(queue);
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
	return 0;
}
