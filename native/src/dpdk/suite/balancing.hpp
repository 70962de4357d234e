// The thread that moves buckets between the box's cores: once an epoch as RSS++ decides, or, for tests
// and demonstrations, at random while cores come and go.
#pragma once

#include "dpdk/lane.hpp"
#include "dpdk/suite/suite_core.hpp"
#include "jobs/job.hpp"
#include "reframer/dpdk.h"

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace reframer::dpdk {

struct BalancingParams {
	uint32_t interval_ms = 100; // RSS++'s epoch
	bool autoscale = false;
	rsspp_method method = RSSPP_OURS;
	uint32_t shuffle = 0; // moves a second at random, in place of RSS++; 0: RSS++ decides
	uint64_t seed = 1;
};

class Balancing {
public:
	// `lanes`: of each core. @throws lab::JobError
	Balancing(const BalancingParams &params, SuiteShared &shared, std::vector<const Lane *> lanes);
	~Balancing();
	Balancing(const Balancing &) = delete;
	Balancing &operator=(const Balancing &) = delete;

	void start();
	// Ends the thread once no bucket is on its way. The NIC's table stays as it is until this goes, when
	// no core polls any more: one that got packets of another's bucket would overtake it.
	void stop();
	lab::Json sample() const;
	// As it is at first.
	const std::vector<uint16_t> &owners() const { return owners_; }

private:
	void run();
	void epoch();
	void shuffle();
	void move(std::vector<rsspp_move> &moves);
	bool write_table(std::vector<rsspp_move> &moves, std::vector<rsspp_move> &refused);

	const BalancingParams params_;
	SuiteShared &shared_;
	const std::vector<const Lane *> lanes_;
	rsspp_dpdk_table *table_ = nullptr; // of the NIC
	api::Balancer balancer_;
	std::vector<uint16_t> owners_;
	std::vector<uint64_t> packets_, cycles_;
	std::vector<float> loads_;
	uint64_t sampled_at_ = 0, next_at_ = 0; // TSC
	uint32_t active_;                       // cores, of a shuffle
	double owed_ = 0;                       // moves
	uint64_t active_until_ = 0;
	std::mt19937_64 random_;
	std::atomic<uint64_t> epochs_{0}, moves_{0}, refused_{0}, cores_changed_{0};
	std::atomic<uint32_t> nb_active_;
	std::atomic<float> imbalance_{0};
	std::atomic<bool> stopping_{false};
	std::thread thread_;
};

} // namespace reframer::dpdk
