// Load balancing on flow blocks: the block remembers a flow's server, and by it what is counted for
// all flows of a server.
#pragma once

#include "nf/backends.hpp"
#include "nf/block/functions.hpp"
#include "nf/flow_hash.hpp"

#include <atomic>
#include <memory>

namespace reframer::nf::block {

// Counts of a server or a source, which other cores may read or, where `add()` is given `shared`,
// change too. A line of its own, so that neighbours do not share it.
struct alignas(64) SharedCounts {
	std::atomic<uint64_t> packets{0}, bytes{0}, flows{0};

	void add(uint64_t nb_packets, uint64_t nb_bytes, bool shared)
	{
		constexpr auto relaxed = std::memory_order_relaxed;
		if (shared) {
			packets.fetch_add(nb_packets, relaxed);
			bytes.fetch_add(nb_bytes, relaxed);
		} else { // one writer: no locked instruction
			packets.store(packets.load(relaxed) + nb_packets, relaxed);
			bytes.store(bytes.load(relaxed) + nb_bytes, relaxed);
		}
	}
};
static_assert(sizeof(SharedCounts) == 64);

class BlockBalancer {
public:
	struct State {
		uint16_t server_plus_one;
		uint16_t change; // of both sums
	};
	static constexpr bool translates = true;

	BlockBalancer(std::shared_ptr<const Backends> servers, uint64_t seed)
		: counts(servers->size()), servers_(std::move(servers)), seed_(seed)
	{
	}
	void process(Run &run, Packets &, State &s, uint64_t)
	{
		// Its server cannot be told from the address alone; replies go around this box.
		if (!run.has_ports() || run.is_reply())
			return;
		if (s.server_plus_one == 0) [[unlikely]] {
			const uint16_t server = servers_->choose(hash_key(run.key, seed_));
			s.server_plus_one = static_cast<uint16_t>(server + 1);
			s.change = fold(change32(run.key.destination, servers_->address(server)));
			counts[server].flows.fetch_add(1, std::memory_order_relaxed);
		}
		const uint32_t server = s.server_plus_one - 1u;
		counts[server].add(run.alive, run.bytes, false);
		run.to.destination = servers_->address(server);
		translate(run, s.change, s.change);
	}
	void ended(const Ipv4Tuple &, const State &s)
	{
		if (s.server_plus_one)
			counts[s.server_plus_one - 1u].flows.fetch_sub(1, std::memory_order_relaxed);
	}
	static uint64_t digest(const State &s) { return s.server_plus_one | uint64_t{s.change} << 16; }

	// By server: packets and bytes so far, flows now. This core's own.
	std::vector<SharedCounts> counts;

private:
	std::shared_ptr<const Backends> servers_;
	uint64_t seed_;
};

} // namespace reframer::nf::block
