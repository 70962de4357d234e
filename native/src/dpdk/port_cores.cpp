#include "dpdk/port_cores.hpp"

#include "dpdk/counter.hpp"
#include "dpdk/ports.hpp"
#include "packet/parse.hpp"

#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <cerrno>

namespace reframer::dpdk {

namespace {

constexpr uint16_t burst = 32;
constexpr uint16_t descriptors = 1024;
constexpr uint32_t buffers_a_core = 8192; // rings, bursts in hand, and some

engine::DeviceError failure(const std::string &what, int error)
{
	const int code = error < 0 ? -error : error;
	return engine::DeviceError("dpdk", what + ": " + rte_strerror(code),
	                           code == ENOTSUP || code == ENOSYS || code == ENODEV);
}

} // namespace

struct alignas(64) PortCores::Core {
	Core(uint16_t id, uint32_t nb_entries) : id(id), packets(nb_entries) {}

	const uint16_t id;
	Poller thread;
	std::vector<std::atomic<uint64_t>> packets; // by entry; one writer
	std::atomic<uint64_t> received{0}, useful{0};
	std::atomic<uint64_t> work{0};
	uint64_t sampled_useful = 0, sampled_at = 0;
};

PortCores::PortCores(const PortParams &p) : params(p), nb_entries(p.nb_entries) {}

// What throws below ends what was begun: by then a constructor has run, so that the destructor does.
PortCores::PortCores(const PortParams &p, const PollerCpus &cpus) : PortCores(p)
{
	if (params.nb_cores == 0)
		params.nb_cores = cpus.usual(usual_port_cores);
	cpus.require(params.nb_cores);
	if (rte_eth_dev_get_port_by_name(params.port.c_str(), &port) != 0)
		throw engine::DeviceError("bad-spec",
		                          "DPDK has no port '" + params.port +
		                              "'; --eal makes or allows one, such as --vdev=net_null0",
		                          false);
	start_port();
	open_table();
	for (uint32_t c = 0; c < params.nb_cores; c++)
		cores.push_back(std::make_unique<Core>(uint16_t(c), nb_entries));
	start_threads(cpus);
}

void PortCores::start_threads(const PollerCpus &cpus)
{
	for (auto &core : cores) {
		core->sampled_at = rte_get_tsc_cycles();
		core->thread = cpus.start(core->id, "poller-" + std::to_string(core->id),
		                          [this, &c = *core] { run(c); });
	}
	if (!dispatch)
		return;
	const bool shares = params.nb_cores == cpus.count();
	const uint32_t at = shares ? params.nb_cores - 1 : params.nb_cores;
	if (shares)
		warn("the dispatching core shares CPU " + cpus.text(at) + " with core " +
		     std::to_string(at) + ", whose load it distorts" +
		     (at > 0 ? "; --cores " + std::to_string(at) + " leaves it one of its own" : ""));
	dispatcher = cpus.start(at, "dispatcher", [this] { run_dispatcher(); });
}

PortCores::~PortCores()
{
	stop();
	rsspp_dpdk_table_close(table);
	rsspp_dpdk_dispatch_free(dispatch);
	close_port(port); // gives the ring's buffers back before their pool goes
	rte_mempool_free(pool);
}

std::string PortCores::name() const
{
	const char *kind = params.table == PortTable::reta   ? "RETA"
	                   : params.table == PortTable::flow ? "flow rules"
	                                                     : "software table";
	return "dpdk " + params.port + ", " + kind;
}

void PortCores::start_port()
{
	const bool many = params.table != PortTable::software;
	const uint16_t queues = many ? uint16_t(params.nb_cores) : uint16_t{1};
	rte_eth_dev_info info;
	if (const int error = rte_eth_dev_info_get(port, &info); error != 0)
		throw failure(params.port, error);
	if (queues > info.max_rx_queues)
		throw engine::DeviceError("dpdk",
		                          params.port + " has at most " +
		                              std::to_string(info.max_rx_queues) +
		                              " RX queues; --table software needs one",
		                          true);
	packet::ToeplitzKey key = packet::toeplitz_key_microsoft;
	rte_eth_conf conf = {};
	if (many) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rx_adv_conf.rss_conf.rss_hf =
			info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP);
		// A known key: then a packet without the NIC's hash is counted where the NIC put it.
		if (info.hash_key_size == key.size()) {
			conf.rx_adv_conf.rss_conf.rss_key = key.data();
			conf.rx_adv_conf.rss_conf.rss_key_len = uint8_t(key.size());
		}
		conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
	}
	pool = rte_pktmbuf_pool_create("rsspp_packets", buffers_a_core * (params.nb_cores + 1) - 1, 0,
	                               0, RTE_MBUF_DEFAULT_BUF_SIZE, port_socket(port));
	if (pool == nullptr)
		throw failure("no memory for packet buffers; give EAL more by -m", rte_errno);
	int error = rte_eth_dev_configure(port, queues, 1, &conf);
	if (error == 0)
		error = rte_eth_tx_queue_setup(port, 0, descriptors, unsigned(port_socket(port)), nullptr);
	for (uint16_t q = 0; error == 0 && q < queues; q++)
		error = rte_eth_rx_queue_setup(port, q, descriptors, unsigned(port_socket(port)), nullptr,
		                               pool);
	if (error == 0)
		error = rte_eth_dev_start(port);
	if (error != 0)
		throw failure(params.port + " does not start with " + std::to_string(queues) + " queues",
		              error);
}

void PortCores::open_table()
{
	int error = 0;
	if (params.table == PortTable::reta) {
		error = rsspp_dpdk_reta_open(port, params.nb_cores, &table);
		if (error != 0)
			throw failure(params.port + " has no RETA; --table software needs none", error);
		nb_entries = rsspp_dpdk_table_size(table);
	} else if (params.table == PortTable::flow) {
		error = rsspp_dpdk_flow_open(port, nb_entries, params.nb_cores, &table);
		if (error != 0)
			throw failure(params.port + " takes no RSS flow rules; --table software needs none",
			              error);
	} else {
		rsspp_dpdk_dispatch_params p;
		rsspp_dpdk_dispatch_default_params(&p);
		p.nb_entries = nb_entries;
		p.nb_workers = params.nb_cores;
		p.socket = port_socket(port);
		if ((error = rsspp_dpdk_dispatch_create(&p, &dispatch)) != 0)
			throw failure("the software table", error);
	}
}

void PortCores::run_dispatcher()
{
	rte_mbuf *packets[burst];
	while (!stopping.load(std::memory_order_relaxed)) {
		const uint16_t n = rte_eth_rx_burst(port, 0, packets, burst);
		if (n == 0 || rsspp_dpdk_dispatch_burst(dispatch, packets, n) < n)
			std::this_thread::yield(); // there may be fewer CPUs than threads
	}
}

void PortCores::run(Core &core)
{
	rte_mbuf *packets[burst];
	while (!stopping.load(std::memory_order_relaxed)) {
		const uint64_t start = rte_get_tsc_cycles();
		const uint32_t n = dispatch ? rsspp_dpdk_dispatch_receive(dispatch, core.id, packets, burst)
		                            : rte_eth_rx_burst(port, core.id, packets, burst);
		if (n == 0) {
			std::this_thread::yield();
			continue;
		}
		uint64_t x = start | 1;
		for (uint32_t i = 0; i < n; i++) {
			rte_mbuf *packet = packets[i];
			if (!dispatch) {
				const uint8_t *data = rte_pktmbuf_mtod(packet, const uint8_t *);
				uint32_t hash = packet->hash.rss;
				if (!(packet->ol_flags & RTE_MBUF_F_RX_RSS_HASH)) {
					const packet::Frame frame = {data, packet->data_len,           packet->pkt_len,
					                             0,    packet::LinkType::ethernet, 0};
					hash = toeplitz(packet::rss_key_of(packet::parse(frame), data));
				}
				add(core.packets[hash & (nb_entries - 1)], 1);
			}
			for (uint32_t r = 0; r < params.work_rounds; r++) {
				x ^= x << 13; // xorshift64
				x ^= x >> 7;
				x ^= x << 17;
			}
		}
		core.work.store(x, std::memory_order_relaxed);
		rte_pktmbuf_free_bulk(packets, n);
		add(core.received, n);
		add(core.useful, rte_get_tsc_cycles() - start);
	}
}

int PortCores::read_table(std::span<uint16_t> queues)
{
	if (queues.size() != nb_entries)
		return -EINVAL;
	return dispatch ? rsspp_dpdk_dispatch_read(dispatch, queues.data())
	                : rsspp_dpdk_table_read(table, queues.data());
}

int PortCores::write_table(std::span<const uint16_t> queues, std::span<const uint16_t>)
{
	if (queues.size() != nb_entries)
		return -EINVAL;
	return dispatch ? rsspp_dpdk_dispatch_write(dispatch, queues.data())
	                : rsspp_dpdk_table_write(table, queues.data(), nullptr);
}

int PortCores::sample(std::span<uint64_t> packets, std::span<float> loads)
{
	if (packets.size() != nb_entries || loads.size() != params.nb_cores)
		return -EINVAL;
	std::fill(packets.begin(), packets.end(), 0);
	if (dispatch)
		rsspp_dpdk_dispatch_counters(dispatch, packets.data());
	for (auto &core : cores) {
		if (!dispatch)
			for (uint32_t i = 0; i < nb_entries; i++)
				packets[i] += core->packets[i].load(std::memory_order_relaxed);
		const uint64_t useful = core->useful.load(std::memory_order_relaxed),
					   now = rte_get_tsc_cycles();
		const double all = double(std::max<uint64_t>(1, now - core->sampled_at));
		loads[core->id] = std::min(1.0f, float(double(useful - core->sampled_useful) / all));
		core->sampled_useful = useful;
		core->sampled_at = now;
	}
	return 0;
}

uint64_t PortCores::received() const
{
	uint64_t sum = 0;
	for (const auto &core : cores)
		sum += core->received.load(std::memory_order_relaxed);
	return sum;
}

uint64_t PortCores::dropped() const
{
	uint64_t sum = 0;
	for (uint32_t c = 0; dispatch && c < params.nb_cores; c++)
		sum += rsspp_dpdk_dispatch_dropped(dispatch, c);
	return sum;
}

void PortCores::stop()
{
	stopping.store(true, std::memory_order_relaxed);
	dispatcher.join();
	for (auto &core : cores)
		core->thread.join();
}

} // namespace reframer::dpdk
