#include "nf/balancer/policy.hpp"

#include <algorithm>
#include <cmath>

namespace reframer::balance {

namespace {

// Slots of a server in the schedule at most: weights are told apart to a percent and a half.
constexpr double most_slots = 64;
// As Cheetah's weights by load: ten slots at the mean load, 2 to 30 whatever the load is.
constexpr double usual_slots = 10, least_adaptive = 2, most_adaptive = 30;

} // namespace

Policy::Policy(const Pool &pool, balancer_policy kind, double booked, uint64_t seed)
	: pool_(pool), kind_(kind), booked_(booked), random_{seed}, loads_(pool.size()),
	  cores_(pool.size())
{
}

void Policy::rebuild()
{
	if (kind_ == BALANCER_RING)
		ring_.build(pool_);
	else if (kind_ != BALANCER_HASH)
		maglev_.build(pool_);
	set_schedule();
}

void Policy::forget(uint32_t id)
{
	loads_[id] = {};
	cores_[id].reset();
}

double Policy::share(uint32_t id, double mean) const
{
	const double weight = pool_[id].weight;
	if (kind_ == BALANCER_WEIGHTED)
		return weight;
	const double load = loads_[id].reported;
	const double slots = load > 0 ? usual_slots * mean / load : most_adaptive;
	return weight * std::clamp(slots, least_adaptive, most_adaptive);
}

// Each server's slots at even distances, all of them sorted by place: a server's connections do not
// come in a row.
void Policy::set_schedule()
{
	if (kind_ != BALANCER_WEIGHTED && kind_ != BALANCER_ADAPTIVE)
		return;
	const auto &active = pool_.active();
	double mean = 0, largest = 0;
	for (const uint32_t id : active)
		mean += loads_[id].reported / static_cast<double>(active.size());
	for (const uint32_t id : active)
		largest = std::max(largest, share(id, mean));
	const double scale = std::min(1.0, most_slots / std::max(largest, 1.0));
	std::vector<std::pair<double, uint32_t>> slots;
	for (const uint32_t id : active) {
		const auto nb = std::max(1l, std::lround(share(id, mean) * scale));
		const double first = random_.unit();
		for (long i = 0; i < nb; i++)
			slots.emplace_back((static_cast<double>(i) + first) / static_cast<double>(nb), id);
	}
	std::sort(slots.begin(), slots.end());
	schedule_.clear();
	for (const auto &[place, id] : slots)
		schedule_.push_back(id);
}

void Policy::report(uint32_t id, double load)
{
	loads_[id] = {load, 0};
	if (kind_ == BALANCER_ADAPTIVE)
		set_schedule();
}

void Policy::set_cores(uint32_t id, const balancer_cores &cores)
{
	const auto key = CoreMap::key_of(cores);
	if (cores_[id] && cores_[id]->key() == key && cores_[id]->nb_cores() == cores.nb_cores) {
		cores_[id]->set_table(cores);
		return;
	}
	const auto same = std::find_if(cores_.begin(), cores_.end(),
	                               [&](const auto &map) { return map && map->key() == key; });
	cores_[id] = same != cores_.end() ? std::make_unique<CoreMap>(cores, **same)
	                                  : std::make_unique<CoreMap>(cores);
}

bool Policy::report_cores(uint32_t id, const float *loads, uint32_t nb)
{
	if (!cores_[id] || cores_[id]->nb_cores() != nb)
		return false;
	cores_[id]->report(loads);
	loads_[id] = {cores_[id]->total(), 0};
	return true;
}

uint32_t Policy::in_turn()
{
	const auto &turns =
		kind_ == BALANCER_WEIGHTED || kind_ == BALANCER_ADAPTIVE ? schedule_ : pool_.active();
	if (next_ >= turns.size())
		next_ = 0;
	return turns[next_++];
}

uint32_t Policy::least_loaded() const
{
	const auto &active = pool_.active();
	return *std::min_element(active.begin(), active.end(), [&](uint32_t a, uint32_t b) {
		return load(a) * pool_[b].weight < load(b) * pool_[a].weight;
	});
}

uint32_t Policy::one_of_two()
{
	const auto &active = pool_.active();
	const auto n = static_cast<uint32_t>(active.size());
	const uint32_t a = active[random_.below(n)], b = active[random_.below(n)];
	return load(b) * pool_[a].weight < load(a) * pool_[b].weight ? b : a;
}

uint32_t Policy::least_core(const Client &client)
{
	uint32_t best = Pool::none, core = 0;
	float least = 0;
	const uint16_t ports[2] = {client.key.source_port, client.key.destination_port};
	// Equal loads are common, and the first server would get all of them.
	const auto &active = pool_.active();
	const auto n = static_cast<uint32_t>(active.size());
	const uint32_t from = random_.below(n);
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t id = active[from + i < n ? from + i : from + i - n];
		if (!cores_[id])
			continue;
		const Address server = pool_[id].at(client.address.v6);
		const uint32_t at = cores_[id]->core_of(client.address, server, ports);
		const float load = cores_[id]->load(at) / static_cast<float>(pool_[id].weight);
		if (best == Pool::none || load < least) {
			best = id;
			core = at;
			least = load;
		}
	}
	if (best == Pool::none)
		return least_loaded(); // no server has told of its cores
	cores_[best]->book(core, static_cast<float>(booked_));
	return best;
}

uint32_t Policy::choose(uint64_t hash, const Client &client)
{
	if (pool_.active().empty())
		return Pool::none;
	uint32_t id;
	switch (kind_) {
	case BALANCER_POWER_OF_TWO:
		id = one_of_two();
		break;
	case BALANCER_LEAST_LOADED:
		id = least_loaded();
		break;
	case BALANCER_CROSS_RSS:
		id = least_core(client);
		break;
	case BALANCER_MAGLEV:
	case BALANCER_RING:
	case BALANCER_HASH:
		return by_hash(hash);
	default:
		return in_turn();
	}
	loads_[id].booked += booked_;
	return id;
}

} // namespace reframer::balance
