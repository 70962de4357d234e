// The servers: ids that stay, what is known of each, which address is whose.
#pragma once

#include "nf/balancer/server_clock.hpp"

#include <cstdint>
#include <vector>

namespace reframer::balance {

enum class ServerState : uint8_t { none, active, draining };

// What the packet path reads of a server: one line.
struct alignas(64) Server {
	uint32_t address = 0; // network order
	ServerState state = ServerState::none;
	bool has_mac = false;
	uint8_t mac[6] = {};
	uint16_t change = 0; // of a sum, where its address takes the place of the service's
	ServerClock clock;
	uint32_t carried = 0; // connections that the flow table carries on, see balancer.h
	uint32_t weight = 1;

	bool present() const { return state != ServerState::none; }
	// Whether a connection's own clock may be in the flow table.
	bool by_table() const { return clock.kind() != ServerClock::Kind::uniform || carried > 0; }
};
static_assert(sizeof(Server) == 64);

class Pool {
public:
	static constexpr uint32_t none = UINT32_MAX;

	explicit Pool(uint32_t max_servers);

	// `none` where there is no room.
	uint32_t add(uint32_t address, const Server &server);
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

	uint32_t at_address(uint32_t address) const
	{
		for (uint32_t i = place(address);; i = (i + 1) & mask_) {
			const Place &p = places_[i];
			if (p.id == none || p.address == address)
				return p.id;
		}
	}

private:
	struct Place {
		uint32_t address, id;
	};
	uint32_t place(uint32_t address) const { return (address * 0x9e3779b1u) >> shift_; }

	std::vector<Server> servers_;
	std::vector<uint32_t> active_;
	std::vector<uint32_t> free_; // ids, the next one last
	std::vector<Place> places_;  // open addressing, at most a quarter full
	uint32_t mask_, shift_;
	uint32_t nb_draining_ = 0;
};

} // namespace reframer::balance
