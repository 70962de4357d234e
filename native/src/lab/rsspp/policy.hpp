// What decides about buckets once an epoch in a trial: our balancer, or one of the comparators.
#pragma once

#include "lab/rsspp/rss_port.hpp"
#include "reframer/rsspp.h"

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace reframer::lab {

struct RssppTrial;

struct EpochView {
	uint64_t now_ns;
	const std::vector<uint64_t> &counters; // by slot, monotonic
	const std::vector<float> &load;        // by core, 0..1
	const std::vector<float> &fill;        // by core, of its receive ring
	const std::vector<uint64_t> &waiting;  // packets, by core
	const std::unordered_map<uint32_t, uint32_t>
		&sampled; // packets of flows seen, if the policy wants them
};

struct EpochOutcome {
	std::vector<rsspp_move> moves;
	uint32_t active = 0;
	int32_t cores_changed = 0;
	double solve_us = 0;
	uint64_t next_epoch_ns = 0; // 0: the trial's interval
};

class BalancePolicy {
public:
	virtual ~BalancePolicy() = default;
	virtual EpochOutcome step(const EpochView &view) = 0;
	virtual void reject(const rsspp_move &move) = 0;
	virtual bool wants_flows() const { return false; }
};

// static, greedy, ours, lpt, exact; with autoscale ours, or the one of the RSS++ authors.
std::unique_ptr<BalancePolicy> make_balancer_policy(const RssppTrial &trial, uint32_t nb_slots,
                                                    bool paper_scaling);
// Traffic classes that split and merge, after Metron (NSDI'18) as configured for the published runs.
std::unique_ptr<BalancePolicy> make_classes_policy(const RssppTrial &trial);
// The balancer, and elephants as units of their own, after Dyssect (INFOCOM'22).
std::unique_ptr<BalancePolicy> make_flows_policy(const RssppTrial &trial, RssPort &port,
                                                 const rsspp_handover *handover);

// Cores that the first table uses: those that scale by splitting begin with one.
uint32_t first_cores(const RssppTrial &trial);

} // namespace reframer::lab
