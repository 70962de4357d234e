#include "nf/balancer/pool.hpp"

namespace reframer::balance {

Pool::Pool(uint32_t max_servers) : servers_(max_servers), by_v4_(max_servers), by_v6_(max_servers)
{
	for (uint32_t id = max_servers; id-- > 0;)
		free_.push_back(id);
}

uint32_t Pool::add(const Server &server)
{
	if (free_.empty())
		return none;
	const uint32_t id = free_.back();
	free_.pop_back();
	servers_[id] = server;
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
	by_v4_.clear();
	by_v6_.clear();
	for (uint32_t id = 0; id < size(); id++) {
		Server &s = servers_[id];
		s.settle();
		if (!s.present())
			continue;
		if (s.has_v4())
			by_v4_.put(s.at(false), id);
		if (s.has_v6())
			by_v6_.put(s.at(true), id);
		if (s.state == ServerState::draining)
			nb_draining_++;
		else if (s.weight > 0)
			active_.push_back(id);
	}
}

} // namespace reframer::balance
