#include "devices/watcher.hpp"

#include "base/distinct.hpp"
#include "devices/receive_queues.hpp"
#include "devices/rss_program.hpp"
#include "devices/table_device.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <linux/if_link.h>
#include <net/if.h>
#include <unistd.h>

namespace reframer::engine {

namespace {

constexpr uint32_t most_queues = 256;

void add(WatchState &sum, const WatchState &one)
{
	// All that is a plain sum comes first, in words.
	const auto *from = reinterpret_cast<const uint64_t *>(&one);
	auto *to = reinterpret_cast<uint64_t *>(&sum);
	for (size_t i = 0; i < offsetof(WatchState, ranks) / sizeof(uint64_t); i++)
		to[i] += __atomic_load_n(from + i, __ATOMIC_RELAXED);
	sum.last_flow = 0;
	std::fill(std::begin(sum.opened), std::end(sum.opened), 0);
}

} // namespace

Watcher::Watcher(const std::string &interface)
	: queues(receive_queues(interface, most_queues)),
	  toeplitz(toeplitz_map(packet::toeplitz_key_microsoft))
{
	const unsigned index = if_nametoindex(interface.c_str());
	if (index == 0)
		throw DeviceError("bad-spec", "there is no interface '" + interface + "'", false);
	attach(index);
}

void Watcher::attach(unsigned index)
{
	const auto load = [&](uint32_t wanted, bool by_cpu) {
		nb_states = std::bit_ceil(wanted);
		states = std::make_unique<BpfBlocks>(nb_states, uint32_t(sizeof(WatchState)));
		program = watch_program({toeplitz.get(), states->fd(), nb_states, by_cpu});
	};
	load(queues, false);
	link = FileDescriptor(bpf_xdp_link(program.get(), index, XDP_FLAGS_DRV_MODE));
	if (link.get() >= 0)
		return;
	if (errno == EBUSY || errno == EEXIST)
		throw_errno("xdp", "another XDP program is on this interface");
	driver = false;
	// Behind the driver any CPU may take a queue's packets.
	load(uint32_t(std::max(1l, sysconf(_SC_NPROCESSORS_CONF))), true);
	link = FileDescriptor(bpf_xdp_link(program.get(), index, XDP_FLAGS_SKB_MODE));
	if (link.get() < 0)
		throw_errno("xdp", "cannot attach the watching XDP program");
}

std::unique_ptr<WatchCounts> Watcher::read()
{
	auto counts = std::make_unique<WatchCounts>();
	Ranks since{};
	for (uint32_t i = 0; i < nb_states; i++) {
		add(counts->sum, state(i));
		uint8_t *ranks = state(i).ranks;
		for (size_t r = 0; r < since.size(); r++)
			since[r] = std::max(since[r], __atomic_exchange_n(ranks + r, 0, __ATOMIC_RELAXED));
	}
	for (size_t r = 0; r < seen.size(); r++)
		seen[r] = std::max(seen[r], since[r]);
	counts->flows_since = base::estimate_distinct(since);
	counts->flows = base::estimate_distinct(seen);
	return counts;
}

void Watcher::measure(bool on)
{
	statistics.reset();
	if (on)
		statistics.emplace();
}

} // namespace reframer::engine
