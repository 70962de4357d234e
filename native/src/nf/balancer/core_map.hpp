// A server's cores as its NIC spreads packets over them: RSS key, indirection table, loads.
#pragma once

#include "nf/balancer/address.hpp"
#include "packet/toeplitz.hpp"
#include "reframer/balancer.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

namespace reframer::balance {

class CoreMap {
public:
	explicit CoreMap(const balancer_cores &cores)
		: key_(key_of(cores)), toeplitz_(std::make_shared<packet::Toeplitz>(key_)),
		  loads_(cores.nb_cores), booked_(cores.nb_cores)
	{
		set_table(cores);
	}
	// Of a server with the same key: 12 KiB of tables once for all.
	CoreMap(const balancer_cores &cores, const CoreMap &same_key)
		: key_(same_key.key_), toeplitz_(same_key.toeplitz_), loads_(cores.nb_cores),
		  booked_(cores.nb_cores)
	{
		set_table(cores);
	}

	static packet::ToeplitzKey key_of(const balancer_cores &cores)
	{
		packet::ToeplitzKey key;
		std::copy(cores.key, cores.key + sizeof(cores.key), key.begin());
		return key;
	}
	const packet::ToeplitzKey &key() const { return key_; }
	uint32_t nb_cores() const { return static_cast<uint32_t>(loads_.size()); }

	// Loads and bookings stay: the cores are the same.
	void set_table(const balancer_cores &cores)
	{
		table_.assign(cores.table, cores.table + cores.nb_buckets);
	}

	// Ports as they lie in the packet; the server's address stands where the service's is.
	uint32_t core_of(Address client, Address server, const uint16_t (&ports)[2]) const
	{
		uint8_t input[packet::toeplitz_input_max];
		const uint32_t size = client.size();
		std::memcpy(input, client.bytes, size);
		std::memcpy(input + size, server.bytes, size);
		std::memcpy(input + 2 * size, ports, sizeof(ports));
		const uint32_t hash = (*toeplitz_)({input, 2 * size + sizeof(ports)});
		return table_[hash & (table_.size() - 1)];
	}
	float load(uint32_t core) const { return loads_[core] + booked_[core]; }
	void book(uint32_t core, float load) { booked_[core] += load; }
	void report(const float *loads)
	{
		std::copy(loads, loads + loads_.size(), loads_.begin());
		std::fill(booked_.begin(), booked_.end(), 0.0f);
	}
	float total() const
	{
		float sum = 0;
		for (const float l : loads_)
			sum += l;
		return sum;
	}

private:
	packet::ToeplitzKey key_;
	std::shared_ptr<const packet::Toeplitz> toeplitz_;
	std::vector<uint16_t> table_;
	std::vector<float> loads_, booked_;
};

} // namespace reframer::balance
