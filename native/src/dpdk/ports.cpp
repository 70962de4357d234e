#include "dpdk/ports.hpp"

#include "devices/promiscuity.hpp"
#include "dpdk/port_words.hpp"
#include "jobs/spec_reader.hpp"
#include "packet/toeplitz.hpp"

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>

namespace reframer::dpdk {

lab::JobError port_failure(const std::string &what, int error)
{
	const int code = error < 0 ? -error : error;
	const bool unsupported = code == ENOTSUP || code == ENOSYS;
	return lab::JobError(unsupported ? "not-supported" : "port", what + ": " + rte_strerror(code),
	                     unsupported ? 3 : 1);
}

uint16_t port_named(const std::string &name)
{
	uint16_t port;
	if (rte_eth_dev_get_port_by_name(name.c_str(), &port) != 0)
		throw lab::JobError(
			"bad-spec",
			"DPDK has no port '" + name +
				"'; --eal makes or allows one, such as --vdev=net_tap0 or -a 0000:03:00.0",
			2);
	return port;
}

std::string port_name(uint16_t port)
{
	char name[RTE_ETH_NAME_MAX_LEN];
	return rte_eth_dev_get_name_by_port(port, name) == 0 ? name : "port " + std::to_string(port);
}

int port_socket(uint16_t port)
{
	return rte_eth_dev_socket_id(port);
}

void PortWish::read(lab::SpecReader &in)
{
	in.read("rssKey", rss_key);
	hash_fields = in.texts("hashFields", {});
	offloads = in.texts("offloads", {});
	in.read("retaSize", reta_size, 0, 4096);
	in.read("mtu", mtu, 0, 9600);
	in.read("promiscuous", promiscuous);
	check_words(*this);
}

namespace {

lab::JobError refusal(uint16_t port, const std::string &what)
{
	return lab::JobError("not-supported", port_name(port) + " " + what, 3);
}

rte_eth_dev_info info_of(uint16_t port)
{
	rte_eth_dev_info info;
	if (const int error = rte_eth_dev_info_get(port, &info); error != 0)
		throw port_failure(port_name(port), error);
	return info;
}

// The driver's default of what is not asked for; all that is asked for, or an error.
struct Configuration {
	Configuration(uint16_t port, const PortUse &use, const rte_eth_dev_info &info) : info(info)
	{
		const uint16_t nb_tx = use.nb_tx_queues ? use.nb_tx_queues : use.nb_queues;
		if (use.nb_queues > info.max_rx_queues || nb_tx > info.max_tx_queues)
			throw refusal(port,
			              "has at most " +
			                  std::to_string(std::min(info.max_rx_queues, info.max_tx_queues)) +
			                  " queues");
		set_rss(port, use);
		set_offloads(port, use.wish);
		if (use.wish.reta_size != 0 && use.wish.reta_size != info.reta_size)
			throw refusal(port,
			              info.reta_size == 0
			                  ? "has no indirection table; --balance software has one"
			                  : "has a table of " + std::to_string(info.reta_size) +
			                        " entries, which cannot be changed; leave --reta-size out");
		if (use.wish.mtu > info.max_mtu)
			throw refusal(port, "takes an MTU of at most " + std::to_string(info.max_mtu));
	}

	void set_rss(uint16_t port, const PortUse &use)
	{
		const uint64_t able = info.flow_type_rss_offloads;
		// A word stands for several bits; a driver that has one of them has what the word means.
		for (const std::string &word : use.wish.hash_fields)
			if ((hash_field_bits({word}) & able) == 0)
				throw refusal(port, "cannot hash by " + word +
				                        (able ? ", only by " + hash_field_words(able)
				                              : "; it hashes nothing"));
		const uint64_t wanted = use.wish.hash_fields.empty()
		                            ? RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP
		                            : hash_field_bits(use.wish.hash_fields);
		const uint64_t fields = wanted & able;
		// Also for one queue: the NIC's hash spares reading headers.
		const bool hashes = fields && info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
		if (use.nb_queues > 1 || hashes || !use.wish.rss_key.empty()) {
			conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
			conf.rx_adv_conf.rss_conf.rss_hf = fields;
		}
		if (use.wish.rss_key.empty())
			return;
		key = rss_key_bytes(use.wish.rss_key);
		if (fields == 0 || info.hash_key_size == 0)
			throw refusal(port, "does not hash, so it takes no key");
		if (key.size() != info.hash_key_size)
			throw refusal(port, "takes a key of " + std::to_string(info.hash_key_size) +
			                        " bytes, not " + std::to_string(key.size()));
		conf.rx_adv_conf.rss_conf.rss_key = key.data();
		conf.rx_adv_conf.rss_conf.rss_key_len = uint8_t(key.size());
	}

	void set_offloads(uint16_t port, const PortWish &wish)
	{
		conf.rxmode.offloads =
			info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_RSS_HASH | RTE_ETH_RX_OFFLOAD_SCATTER);
		conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
		const Offloads asked = offload_bits(wish.offloads);
		const Offloads lacks = {asked.rx & ~info.rx_offload_capa, asked.tx & ~info.tx_offload_capa};
		if (lacks.rx | lacks.tx)
			throw refusal(port, "has no offload " + offload_words(lacks) + "; it offers " +
			                        offload_words(allowed_offloads(
										{info.rx_offload_capa, info.tx_offload_capa})));
		if (wish.offloads.empty())
			return;
		conf.rxmode.offloads = asked.rx;
		conf.txmode.offloads = asked.tx;
	}

	const rte_eth_dev_info &info;
	rte_eth_conf conf = {};
	std::vector<uint8_t> key;
};

// Some drivers set the flag of the kernel's interface, where it stays when the port is closed. Theirs, if
// it is not set already; 0: none.
unsigned interface_to_keep(const rte_eth_dev_info &info)
{
	const std::string driver = info.driver_name ? info.driver_name : "";
	const bool of_kernel = driver == "net_af_packet" || driver == "net_af_xdp";
	return of_kernel && !engine::is_promiscuous_anyway(info.if_index) ? info.if_index : 0;
}

// Ports that cannot be told do so anyway.
void make_promiscuous(uint16_t port, unsigned interface, PortGrant &grant)
{
	if (interface != 0)
		grant.promiscuity = engine::keep_promiscuous(interface);
	if (grant.promiscuity.get() < 0)
		rte_eth_promiscuous_enable(port);
}

lab::Json record_of(uint16_t port, const PortUse &use, const Configuration &with,
                    const PortGrant &grant)
{
	const rte_eth_dev_info info = info_of(port);
	lab::Json record = {
		{"port", port_name(port)},
		{"driver", info.driver_name ? info.driver_name : "unknown"},
		{"node", port_socket(port)},
		{"rxQueues", info.nb_rx_queues},
		{"txQueues", info.nb_tx_queues},
		{"rxDescriptors", grant.nb_rx_descriptors},
		{"txDescriptors", grant.nb_tx_descriptors},
		{"hashFields", hash_field_words(with.conf.rx_adv_conf.rss_conf.rss_hf)},
		{"rssKey", use.wish.rss_key.empty() ? "the driver's" : use.wish.rss_key},
		{"nicHash", grant.nic_hash},
		{"retaSize", grant.reta_size},
		{"offloads", offload_words({with.conf.rxmode.offloads, with.conf.txmode.offloads})},
		{"mtu", grant.mtu},
		{"promiscuous", grant.promiscuous}};
	return record;
}

} // namespace

PortGrant start_port(uint16_t port, const PortUse &use, rte_mempool *pool)
{
	const rte_eth_dev_info info = info_of(port);
	const Configuration with(port, use, info);
	const uint16_t nb_tx_queues = use.nb_tx_queues ? use.nb_tx_queues : use.nb_queues;
	const unsigned socket = unsigned(port_socket(port));
	const unsigned interface = interface_to_keep(info); // starting the port takes the flag off
	PortGrant grant;
	uint16_t nb_rx = use.nb_descriptors, nb_tx = nb_rx;
	int error = rte_eth_dev_configure(port, use.nb_queues, nb_tx_queues, &with.conf);
	if (error == 0 && use.wish.mtu != 0)
		if (const int mtu_error = rte_eth_dev_set_mtu(port, use.wish.mtu); mtu_error != 0)
			throw refusal(port, "does not take an MTU of " + std::to_string(use.wish.mtu) + ": " +
			                        rte_strerror(-mtu_error));
	if (error == 0)
		error = rte_eth_dev_adjust_nb_rx_tx_desc(port, &nb_rx, &nb_tx);
	for (uint16_t q = 0; error == 0 && q < nb_tx_queues; q++)
		error = rte_eth_tx_queue_setup(port, q, nb_tx, socket, nullptr);
	for (uint16_t q = 0; error == 0 && q < use.nb_queues; q++)
		error = rte_eth_rx_queue_setup(port, q, nb_rx, socket, nullptr, pool);
	if (error == 0)
		error = rte_eth_dev_start(port);
	if (error != 0)
		throw port_failure(port_name(port) + " does not start with " +
		                       std::to_string(use.nb_queues) + " queues",
		                   error);
	if (use.wish.promiscuous)
		make_promiscuous(port, interface, grant);
	else if (rte_eth_promiscuous_disable(port) != 0 && rte_eth_promiscuous_get(port) != 0)
		throw refusal(port, "is promiscuous and cannot be told otherwise");
	grant.nb_rx_descriptors = nb_rx;
	grant.nb_tx_descriptors = nb_tx;
	grant.promiscuous = grant.promiscuity.get() >= 0 || rte_eth_promiscuous_get(port) == 1;
	grant.nic_hash = with.conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_RSS_HASH;
	constexpr uint64_t with_ports = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP;
	grant.hashes_ports = (with.conf.rx_adv_conf.rss_conf.rss_hf & with_ports) == with_ports;
	grant.reta_size = info_of(port).reta_size; // which may be of its queues
	if (rte_eth_dev_get_mtu(port, &grant.mtu) != 0)
		grant.mtu = 0;
	grant.record = record_of(port, use, with, grant);
	return grant;
}

void close_port(uint16_t port)
{
	if (!rte_eth_dev_is_valid_port(port)) // where none was found
		return;
	rte_eth_dev_stop(port);
	rte_eth_dev_close(port);
}

bool takes_rss_key(uint16_t port)
{
	const rte_eth_dev_info info = info_of(port);
	return info.hash_key_size == packet::toeplitz_key_size && info.flow_type_rss_offloads != 0 &&
	       info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
}

rte_mempool *make_port_pool(const char *name, uint32_t nb_buffers, uint16_t private_bytes,
                            uint16_t port, const PortWish &wish, const std::string &advice)
{
	// A frame of the MTU with its Ethernet header and two VLAN tags in one buffer: not every driver
	// can scatter.
	const uint32_t room = std::max<uint32_t>(
		RTE_MBUF_DEFAULT_BUF_SIZE, RTE_PKTMBUF_HEADROOM + ((wish.mtu + 22u + 63u) & ~63u));
	// A core's cache must leave most of the pool to the others.
	const unsigned cache = std::min(250u, nb_buffers / 4);
	rte_mempool *pool = nullptr;
	for (const int socket : {port_socket(port), int(SOCKET_ID_ANY)})
		if (pool == nullptr)
			pool = rte_pktmbuf_pool_create(name, nb_buffers, cache, private_bytes, uint16_t(room),
			                               socket);
	if (pool == nullptr)
		throw port_failure("no memory for " + std::to_string(nb_buffers) + " packet buffers of " +
		                       std::to_string(room >> 10) + " KiB; " + advice,
		                   rte_errno);
	return pool;
}

PortCounts port_counts(uint16_t port)
{
	rte_eth_stats stats;
	if (rte_eth_stats_get(port, &stats) != 0)
		return {};
	return {stats.imissed + stats.rx_nombuf, stats.rx_nombuf, stats.opackets, stats.obytes};
}

} // namespace reframer::dpdk
