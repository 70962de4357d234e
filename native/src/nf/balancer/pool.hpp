// The servers: ids that stay, what is known of each, which address is whose.
#pragma once

#include "base/random.hpp"
#include "nf/balancer/address.hpp"
#include "nf/balancer/server_clock.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace reframer::balance {

enum class ServerState : uint8_t { none, active, draining };

// What the packet path reads of a server: one line, and half of another with IPv6.
struct alignas(64) Server {
	uint32_t address = 0; // network order; 0: none
	ServerState state = ServerState::none;
	bool has_mac = false;
	uint8_t mac[6] = {};
	uint16_t change = 0;    // of a sum, where its address takes the place of the service's
	bool short_way = false; // see settle()
	ServerClock clock;
	uint32_t carried = 0; // connections that the flow table carries on, see balancer.h
	uint32_t weight = 1;
	std::array<uint8_t, 16> address6{};
	uint16_t change6 = 0;

	bool has_v4() const { return address != 0; }
	bool has_v6() const { return address6 != std::array<uint8_t, 16>{}; }
	Address at(bool v6) const
	{
		return {v6 ? address6.data() : reinterpret_cast<const uint8_t *>(&address), v6};
	}
	// Stands for its address where servers are ordered.
	uint64_t number() const
	{
		const auto [high, low] = at(true).words();
		return has_v4() ? address : base::mix64(base::mix64(high) ^ low);
	}
	bool present() const { return state != ServerState::none; }
	// Whether a connection's own clock may be in the flow table.
	bool by_table() const { return clock.kind() != ServerClock::Kind::uniform || carried > 0; }

	// The cookie tells all of its connections; kept, since every packet asks.
	void settle() { short_way = present() && !by_table() && clock.known(); }
	void observe(uint32_t timestamp, uint32_t client_hash, uint64_t now_ns)
	{
		clock.observe(timestamp, client_hash, now_ns);
		settle();
	}
	void carry()
	{
		carried++;
		settle();
	}
	void let_go()
	{
		carried -= carried > 0;
		settle();
	}
};
static_assert(sizeof(Server) == 128 && offsetof(Server, address6) == 64);

class Pool {
public:
	static constexpr uint32_t none = AddressMap::none;

	explicit Pool(uint32_t max_servers);

	// `none` where there is no room.
	uint32_t add(const Server &server);
	void remove(uint32_t id);
	void set_state(uint32_t id, ServerState state);
	// Weights and states have changed.
	void changed();

	uint32_t size() const { return static_cast<uint32_t>(servers_.size()); }
	bool has(uint32_t id) const { return id < size() && servers_[id].present(); }
	Server &operator[](uint32_t id) { return servers_[id]; }
	const Server &operator[](uint32_t id) const { return servers_[id]; }
	// Those that take new connections, by id; weight 0 does not.
	const std::vector<uint32_t> &active() const { return active_; }
	uint32_t nb_draining() const { return nb_draining_; }

	uint32_t at(Address address) const { return (address.v6 ? by_v6_ : by_v4_).find(address); }

private:
	std::vector<Server> servers_;
	std::vector<uint32_t> active_;
	std::vector<uint32_t> free_; // ids, the next one last
	AddressMap by_v4_, by_v6_;
	uint32_t nb_draining_ = 0;
};

} // namespace reframer::balance
