#include "nf/balancer/pool.hpp"

#include <algorithm>
#include <bit>

namespace reframer::balance {

Pool::Pool(uint32_t max_servers) : servers_(max_servers)
{
	const uint32_t places = std::bit_ceil(std::max(max_servers * 4, 16u));
	places_.assign(places, {0, none});
	mask_ = places - 1;
	shift_ = 32 - static_cast<uint32_t>(std::countr_zero(places));
	for (uint32_t id = max_servers; id-- > 0;)
		free_.push_back(id);
}

uint32_t Pool::add(uint32_t address, const Server &server)
{
	if (free_.empty())
		return none;
	const uint32_t id = free_.back();
	free_.pop_back();
	servers_[id] = server;
	servers_[id].address = address;
	servers_[id].state = ServerState::active;
	changed();
	return id;
}

void Pool::remove(uint32_t id)
{
	servers_[id] = Server();
	free_.insert(free_.begin(), id); // comes again after all others
	changed();
}

void Pool::set_state(uint32_t id, ServerState state)
{
	servers_[id].state = state;
	changed();
}

void Pool::changed()
{
	active_.clear();
	nb_draining_ = 0;
	std::fill(places_.begin(), places_.end(), Place{0, none});
	for (uint32_t id = 0; id < size(); id++) {
		const Server &s = servers_[id];
		if (!s.present())
			continue;
		uint32_t i = place(s.address);
		while (places_[i].id != none)
			i = (i + 1) & mask_;
		places_[i] = {s.address, id};
		if (s.state == ServerState::draining)
			nb_draining_++;
		else if (s.weight > 0)
			active_.push_back(id);
	}
}

} // namespace reframer::balance
