// libreframer_preload.so: Reframer in a DPDK program that knows nothing of it.
//
//   LD_PRELOAD=libreframer_preload.so REFRAMER="delay=64us,policy=adaptive" dpdk-testpmd ...
//
// The functions that programs call to set up their ports are ours first: when a port starts, Reframer
// takes the place of its receive function, see in_place.hpp. A program with DPDK linked in statically
// cannot be reached.
//
// A REFRAMER that cannot be understood makes rte_eal_init() fail: a run without Reframer by mistake
// would be taken for one with it. Packets held when the program stops a port are freed, as the NIC's
// driver frees those in the receive ring, and counted; with empty polls for T before, there are none.
//
// The one place with state of the process: the program has no object of ours to keep it in.
#include "dpdk/in_place.hpp"
#include "dpdk/preload_options.hpp"
#include "reframer/hold_times.hpp"

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include <dlfcn.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

using reframer::dpdk::InPlace, reframer::dpdk::PreloadOptions;

namespace {

struct Totals {
	uint64_t in = 0, out = 0, thinned = 0, runs_in = 0, runs_out = 0, freed = 0, held = 0,
			 hold_max_ns = 0, hold_p50_ns = 0;

	void add(reframer_dpdk_queue *queue)
	{
		reframer_dpdk_stats s;
		reframer_dpdk_get_stats(queue, &s);
		reframer::stage::HoldTimes holds;
		holds.add(reframer_dpdk_stage(queue));
		in += s.stage.packets_in;
		out += s.stage.packets_out - s.freed; // freed ones left the stage, but not to the program
		thinned += s.stage.packets_thinned;
		runs_in += s.stage.runs_in;
		runs_out += s.stage.runs_out;
		freed += s.freed;
		held += s.stage.packets_held;
		hold_max_ns = std::max(hold_max_ns, s.stage.hold_max_ns);
		hold_p50_ns = holds.quantile(0.5); // of the last start
	}
};

struct Queue {
	reframer_dpdk_queue *reframer = nullptr;
	const rte_mempool *pool = nullptr;
	Totals before; // of earlier starts of the port
};

using QueueId = std::pair<uint16_t, uint16_t>;

struct State {
	std::mutex mutex; // set-up of different ports may run on different threads
	PreloadOptions options;
	std::map<QueueId, Queue> queues;
	std::map<uint16_t, InPlace> ports; // of the last start
	bool active = false;               // EAL is up and REFRAMER was understood
};

// Never destroyed: the program's own destructors may still stop ports.
State &state()
{
	static auto *one = new State;
	return *one;
}

template <typename Function> Function *next(const char *name)
{
	return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

uint32_t pool_users(const State &s, const rte_mempool *pool)
{
	uint32_t users = 0;
	for (const auto &[id, queue] : s.queues)
		users += queue.pool == pool && s.options.takes(id.first);
	return std::max(1u, users);
}

void retire(Queue &queue)
{
	if (queue.reframer == nullptr)
		return;
	queue.before.add(queue.reframer);
	reframer_dpdk_close(queue.reframer);
	queue.reframer = nullptr;
}

void start(uint16_t port)
{
	State &s = state();
	rte_eth_dev_info info;
	if (!s.active || !s.options.takes(port) || InPlace::is_on(port) ||
	    rte_eth_dev_info_get(port, &info) != 0)
		return;
	const std::lock_guard lock(s.mutex);
	std::vector<reframer_dpdk_queue *> opened;
	for (uint16_t q = 0; q < info.nb_rx_queues; q++) {
		Queue &queue = s.queues[{port, q}];
		retire(queue); // nobody has polled since the port was stopped
		reframer_dpdk_params params = s.options.params;
		params.pool = queue.pool;
		params.nb_pool_users = pool_users(s, queue.pool);
		const int error = reframer_dpdk_open(port, q, &params, &queue.reframer);
		if (error != 0)
			std::fprintf(stderr, "reframer: port %u queue %u runs without: %s\n", port, q,
			             reframer_strerror(error));
		opened.push_back(queue.reframer);
	}
	s.ports.erase(port);
	s.ports.try_emplace(port, port, opened);
}

void stop(uint16_t port)
{
	State &s = state();
	if (!s.active)
		return;
	const std::lock_guard lock(s.mutex);
	for (auto &[id, queue] : s.queues) {
		if (id.first == port && queue.reframer)
			reframer_dpdk_free_held(queue.reframer);
	}
}

// Understood, and made for this DPDK?
bool set_up()
{
	State &s = state();
	const char *text = std::getenv("REFRAMER");
	const std::string wrong = reframer::dpdk::parse_preload(text ? text : "", s.options);
	if (!wrong.empty()) {
		std::fprintf(stderr,
		             "reframer: REFRAMER=%s: %s\nreframer: it takes, with commas between: %s\n",
		             text, wrong.c_str(), reframer::dpdk::preload_grammar);
		return false;
	}
	if (!s.options.off &&
	    (rte_version_year() != RTE_VER_YEAR || rte_version_month() != RTE_VER_MONTH)) {
		std::fprintf(
			stderr,
			"reframer: built for DPDK %d.%d, the program has %u.%u; build this library with the DPDK of the program\n",
			RTE_VER_YEAR, RTE_VER_MONTH, rte_version_year(), rte_version_month());
		return false;
	}
	return true;
}

[[gnu::destructor]] void report()
{
	State &s = state();
	if (!s.active || s.options.off || s.options.quiet)
		return;
	bool any = false;
	for (auto &[id, queue] : s.queues) {
		Totals t = queue.before;
		if (queue.reframer) {
			t.add(queue.reframer);
		} else if (t.in == 0) {
			continue;
		}
		any = true;
		const auto slf = [](uint64_t packets, uint64_t runs) {
			return runs ? double(packets) / double(runs) : 0.0;
		};
		std::fprintf(
			stderr,
			"reframer: port %u queue %u: in %lu, out %lu, thinned %lu, freed at stop %lu, held %lu; "
			"SLF %.3f in, %.3f out; hold median %.1f us, longest %.1f us\n",
			id.first, id.second, t.in, t.out, t.thinned, t.freed, t.held, slf(t.in, t.runs_in),
			slf(t.out + t.freed, t.runs_out), double(t.hold_p50_ns) / 1000,
			double(t.hold_max_ns) / 1000);
	}
	if (!any)
		std::fprintf(stderr, "reframer: the program started no port\n");
}

} // namespace

#pragma GCC visibility push(default)
extern "C" {

int rte_eal_init(int argc, char **argv)
{
	static const auto real = next<decltype(rte_eal_init)>("rte_eal_init");
	if (real == nullptr || !set_up()) {
		rte_errno = EINVAL;
		return -1;
	}
	const int result = real(argc, argv);
	if (result >= 0) {
		state().active = true;
		if (!state().options.off)
			reframer_dpdk_telemetry(); // without telemetry the counters at exit remain
	}
	return result;
}

int rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t nb_desc, unsigned int socket,
                           const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
	static const auto real = next<decltype(rte_eth_rx_queue_setup)>("rte_eth_rx_queue_setup");
	const int result = real(port, queue, nb_desc, socket, conf, pool);
	if (result == 0) {
		const std::lock_guard lock(state().mutex);
		state().queues[{port, queue}].pool = pool;
	}
	return result;
}

int rte_eth_dev_start(uint16_t port)
{
	static const auto real = next<decltype(rte_eth_dev_start)>("rte_eth_dev_start");
	const int result = real(port);
	if (result == 0)
		start(port);
	return result;
}

int rte_eth_dev_stop(uint16_t port)
{
	static const auto real = next<decltype(rte_eth_dev_stop)>("rte_eth_dev_stop");
	const int result = real(port);
	if (result == 0)
		stop(port);
	return result;
}

} // extern "C"
#pragma GCC visibility pop
