// The box's guards: which packets its AF_XDP ports take from the kernel. See devices/guard.hpp.
//
// spec     "guards": [{"interface", "deny": [RULE, ...], "claim": [RULE, ...]}, ...]
// command  {"do":"rules","guards":[{"deny":[...],"claim":[...]}, ...]}, as many and in the same order
// sample   "guards": [{"interface","deniedSource","deniedProtocol","deniedPort","claimed","passed"}]
#pragma once

#include "devices/guard.hpp"
#include "jobs/job.hpp"

#include <memory>
#include <string>
#include <vector>

namespace reframer::dpdk {

class Guards {
public:
	// Before EAL. @throws lab::JobError for a rule that is none
	explicit Guards(const lab::Json *spec);

	void start(); // once the ports have opened their sockets. @throws lab::JobError
	// Gives all packets back to the kernel; before the ports close. Counters stay.
	void stop();
	// {"rules":N}, or {"failed":WORDS}; then the rules are as they were.
	lab::Json change(const lab::Json &command);
	lab::Json sample() const;
	bool empty() const { return all.empty(); }

private:
	void set(const std::vector<engine::GuardRules> &wanted);

	struct One {
		std::string interface;
		engine::GuardRules rules;
		std::unique_ptr<engine::Guard> guard;
		engine::GuardVerdicts last = {}; // when it ended
	};
	std::vector<One> all;
};

} // namespace reframer::dpdk
