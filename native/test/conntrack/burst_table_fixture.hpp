// A burst table in a setup of one's choice, driven through the C interface.
#pragma once

#include "conntrack/table.hpp"
#include "model.hpp"
#include "reframer/conntrack.h"

#include <doctest/doctest.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace reframer::test {

using conntrack::Isa;

inline constexpr uint64_t tick_ns = 1'000'000;

struct Setup {
	const char *name;
	uint32_t key_size = 16, state_size = 8;
	uint32_t flags = 0, nb_groups = 1;
	uint64_t initial_flows = 64;
	uint32_t nic_bits = 32; // fewer: colliding NIC hashes
	uint64_t nb_keys = 3000;
	uint64_t largest_step = 40; // ticks between calls
	uint32_t burst = 64;
	Isa isa = conntrack::best_isa();
	bool silent = false; // nobody is told of removals: sweeps then go by the buckets alone
};

inline void count_removed(void *context, const void *, void *, int reason)
{
	static_cast<uint64_t *>(context)[reason]++;
}

struct Fixture {
	Setup setup;
	conntrack_params params;
	conntrack_table *table = nullptr;
	uint64_t removed[3] = {};
	std::mt19937_64 random{run_seed()};

	explicit Fixture(const Setup &s, uint64_t max_flows = 1 << 20) : setup(s)
	{
		conntrack_default_params(&params);
		params.key_size = s.key_size;
		params.state_size = s.state_size;
		params.flags = s.flags;
		params.nb_groups = s.nb_groups;
		params.initial_flows = s.initial_flows;
		params.max_flows = max_flows;
		params.tick_ns = tick_ns;
		params.seed = run_seed();
		params.on_removed = s.silent ? nullptr : count_removed;
		params.context = removed;
		uint64_t ms[] = {500, 3000, 40'000, 0, 200'000};
		for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
			params.timeout_ns[c] = ms[c % 5] * tick_ns;
		REQUIRE(conntrack::create_table(params, setup.isa, &table) == 0);
	}
	~Fixture() { conntrack_free(table); }
	Fixture(const Fixture &) = delete;
	Fixture &operator=(const Fixture &) = delete;

	std::vector<uint64_t> timeouts() const
	{
		std::vector<uint64_t> out;
		for (uint64_t t : params.timeout_ns)
			out.push_back(t ? t / tick_ns + 1 : 0);
		return out;
	}
	std::string key(uint64_t number) const
	{
		std::string k(setup.key_size, '\0');
		std::memcpy(k.data(), &number, 8);
		std::memcpy(k.data() + setup.key_size - 4, &number, 4);
		return k;
	}
	uint32_t nic_hash(uint64_t number) const
	{
		auto h = static_cast<uint32_t>(number * 0x9e3779b97f4a7c15u >> 32);
		return setup.nic_bits == 32 ? h : h & ((1u << setup.nic_bits) - 1);
	}
	std::vector<uint64_t> digests(const std::vector<uint64_t> &numbers, const std::string &keys)
	{
		std::vector<uint64_t> out(numbers.size());
		std::vector<uint32_t> nic;
		for (uint64_t n : numbers)
			nic.push_back(nic_hash(n));
		conntrack_digest_burst(table, keys.data(), nic.data(), uint32_t(numbers.size()),
		                       out.data());
		return out;
	}
	std::map<std::string, uint64_t> live(uint64_t now)
	{
		struct Context {
			std::map<std::string, uint64_t> flows;
			size_t key_size;
		} c{{}, setup.key_size};
		auto visit = [](void *context, const void *key, void *state, int) {
			auto *c = static_cast<Context *>(context);
			uint64_t value;
			std::memcpy(&value, state, 8);
			c->flows[std::string(static_cast<const char *>(key), c->key_size)] = value;
		};
		uint64_t visited = conntrack_iterate(table, now, visit, &c);
		CHECK(visited == c.flows.size());
		return c.flows;
	}
};

} // namespace reframer::test
