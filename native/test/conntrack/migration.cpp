// Groups of flows move between two cores' tables while both work: no packet lost, none counted twice.
#include "model.hpp"
#include "reframer/conntrack.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

using reframer::test::run_seed;

namespace {

constexpr unsigned nb_cores = 2, nb_groups = 16;
constexpr uint64_t flows_each = 400, packets_each = 40'000; // of a group

struct Key {
	uint64_t group, number;
};

// A RETA entry: which core it leads to, its packets so far, and its flows on their way.
struct alignas(64) Entry {
	std::atomic<unsigned> owner;
	std::atomic<unsigned> wanted;
	std::atomic<conntrack_group *> moving{nullptr};
	uint64_t next_packet = 0; // of who owns it
};

} // namespace

TEST_CASE("groups move under load, with every packet counted once")
{
	CAPTURE(run_seed());
	conntrack_params params;
	conntrack_default_params(&params);
	params.flags = CONNTRACK_NIC_HASH;
	params.nb_groups = nb_groups;
	params.initial_flows = 64; // they grow while they move
	params.seed = run_seed();
	conntrack_table *tables[nb_cores];
	for (unsigned core = 0; core < nb_cores; core++) {
		REQUIRE(conntrack_create(&params, &tables[core]) == 0);
		for (unsigned g = 0; g < nb_groups; g++)
			if (g % nb_cores != core)
				conntrack_free_group(conntrack_detach_group(tables[core], g, 0));
	}
	std::vector<Entry> reta(nb_groups);
	for (unsigned g = 0; g < nb_groups; g++)
		reta[g].owner = reta[g].wanted = g % nb_cores;
	std::atomic<unsigned> finished{0}, moves{0};
	std::atomic<uint64_t> lost{0};

	auto work = [&](unsigned core) {
		conntrack_table *table = tables[core];
		std::mt19937_64 random(run_seed() + core);
		while (finished < nb_groups)
			for (unsigned g = 0; g < nb_groups; g++) {
				Entry &entry = reta[g];
				if (entry.owner.load(std::memory_order_acquire) != core)
					continue;
				if (conntrack_group *group = entry.moving.exchange(nullptr))
					lost += conntrack_attach_group(table, group, 0) != 0;
				if (unsigned to = entry.wanted.load(); to != core) {
					entry.moving = conntrack_detach_group(table, g, 0);
					moves++;
					entry.owner.store(to, std::memory_order_release);
					continue;
				}
				if (entry.next_packet == packets_each) {
					entry.next_packet++;
					finished++;
				}
				constexpr uint32_t n = 32;
				if (entry.next_packet > packets_each)
					continue;
				// On a busy machine the one who asks for moves may not have come yet.
				if (entry.next_packet >= packets_each / 2 && moves == 0) {
					std::this_thread::yield();
					continue;
				}
				Key keys[n];
				uint32_t nic[n];
				uint64_t digests[n];
				void *states[n];
				for (uint32_t i = 0; i < n; i++, entry.next_packet++) {
					keys[i] = {g, entry.next_packet % flows_each};
					nic[i] = static_cast<uint32_t>(keys[i].number * 0x9e3779b97f4a7c15u >> 32) &
					         ~(nb_groups - 1);
					nic[i] |= g;
				}
				conntrack_digest_burst(table, keys, nic, n, digests);
				lost +=
					n - conntrack_find_or_insert_burst(table, keys, digests, n, 0, states, nullptr);
				for (void *state : states)
					if (state)
						++*static_cast<uint64_t *>(state);
				conntrack_expire(table, 0, 1);
			}
	};
	std::thread cores[nb_cores];
	for (unsigned core = 0; core < nb_cores; core++)
		cores[core] = std::thread(work, core);
	std::mt19937_64 random(run_seed());
	while (finished < nb_groups) {
		reta[random() % nb_groups].wanted = static_cast<unsigned>(random() % nb_cores);
		std::this_thread::yield();
	}
	for (std::thread &core : cores)
		core.join();
	CHECK(lost == 0);
	CHECK(moves > 0);
	uint64_t flows = 0;
	for (unsigned g = 0; g < nb_groups; g++)
		if (conntrack_group *group = reta[g].moving)
			REQUIRE(conntrack_attach_group(tables[reta[g].owner], group, 0) == 0);
	static_assert(packets_each % flows_each == 0);
	for (conntrack_table *table : tables) {
		flows += conntrack_iterate(
			table, 0,
			[](void *context, const void *, void *state, int) {
				*static_cast<std::atomic<uint64_t> *>(context) +=
					*static_cast<uint64_t *>(state) != packets_each / flows_each;
			},
			&lost);
		conntrack_free(table);
	}
	CHECK(lost == 0);
	CHECK(flows == nb_groups * flows_each);
}
