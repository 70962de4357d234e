// Which server a new connection goes to.
#pragma once

#include "base/random.hpp"
#include "nf/balancer/core_map.hpp"
#include "nf/balancer/hash_tables.hpp"
#include "nf/balancer/packet.hpp"
#include "reframer/balancer.h"

#include <memory>
#include <vector>

namespace reframer::balance {

class Policy {
public:
	// `booked`: what a new connection counts until the next report; 0: nothing.
	Policy(const Pool &pool, balancer_policy kind, double booked, uint64_t seed);

	// The pool has changed: tables are built anew.
	void rebuild();
	void forget(uint32_t id); // the server left
	void report(uint32_t id, double load);
	void set_cores(uint32_t id, const balancer_cores &cores);
	bool report_cores(uint32_t id, const float *loads, uint32_t nb);

	// For a new connection, `hash` of its key. Pool::none without active servers.
	uint32_t choose(uint64_t hash, const Client &client);
	// Where a packet goes that nothing else tells, and every packet of a policy by hash. The upper half
	// of the hash decides.
	uint32_t by_hash(uint64_t hash) const
	{
		switch (kind_) {
		case BALANCER_RING:
			return ring_.find(hash);
		case BALANCER_HASH: {
			const auto &active = pool_.active();
			return active.empty() ? Pool::none : active[(hash >> 32) % active.size()];
		}
		default:
			return maglev_.find(hash);
		}
	}
	double load(uint32_t id) const { return loads_[id].reported + loads_[id].booked; }
	const CoreMap *cores(uint32_t id) const { return cores_[id].get(); }

private:
	struct Load {
		double reported = 0, booked = 0;
	};
	uint32_t in_turn();
	uint32_t least_loaded() const;
	uint32_t one_of_two();
	uint32_t least_core(const Client &client);
	void set_schedule();
	double share(uint32_t id, double mean) const;

	const Pool &pool_;
	const balancer_policy kind_;
	const double booked_;
	base::Random random_;
	MaglevTable maglev_;
	HashRing ring_;
	uint32_t next_ = 0;
	std::vector<uint32_t> schedule_; // of the weighted policies
	std::vector<Load> loads_;        // by id
	std::vector<std::unique_ptr<CoreMap>> cores_;
};

} // namespace reframer::balance
