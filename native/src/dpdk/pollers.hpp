// CPUs of the polling threads: one each, so that no two of them share a CPU.
#pragma once

#include <sched.h>

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace reframer::dpdk {

class PollerCpus {
public:
	// Made before EAL comes up, which narrows what this thread may use. `eal`: its options.
	explicit PollerCpus(std::vector<std::string> eal);

	// Brings EAL up, with one lcore where the user named none: it would start a thread on every CPU else.
	// The CPUs: the lcores that -l, -c or --lcores gave, else the CPUs that this process may use. The main
	// thread only waits for commands: it leaves the CPU that EAL pinned it to. @throws lab::JobError
	void start_eal();
	// How many pollers where nobody says: the lcores that were given, else `otherwise`, at most the CPUs.
	uint32_t usual(uint32_t otherwise) const;
	// @throws lab::JobError: more pollers than CPUs
	void require(uint32_t nb_pollers) const;

	uint32_t count() const { return uint32_t(sets.size()); }
	// Starts a thread on CPU `index`, under a name that ps and top show. @throws lab::JobError
	std::thread start(uint32_t index, const char *name, std::function<void()> work) const;
	// "0", or "2-3" where an lcore was given several.
	std::string text(uint32_t index) const;

private:
	std::vector<std::string> eal;
	cpu_set_t allowed;
	bool given;
	std::vector<cpu_set_t> sets;
};

// A remark for the user, on stderr.
void warn(const std::string &text);

} // namespace reframer::dpdk
