// CPUs of the polling threads: one each, so that no two of them share a CPU, nor the caches of a core
// where the user did not ask for that.
#pragma once

#include <sched.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace reframer::dpdk {

// A thread that polls: one of EAL's lcores, or, on the main lcore's CPU, one that is registered with
// EAL. Ended by its work; whoever has it waits for that.
class Poller {
public:
	Poller() = default;
	Poller(Poller &&) = default;
	Poller &operator=(Poller &&) = default;

	bool running() const { return work != nullptr; }
	void join();

private:
	friend class PollerCpus;
	struct Work {
		std::string name;
		std::function<void()> run;
	};
	static int run(void *work); // on the lcore

	std::unique_ptr<Work> work;
	unsigned lcore = 0;
	std::thread thread; // where it is no lcore of EAL's
};

struct PollerWish {
	bool siblings = false; // threads of one core may poll, too
	std::string near;      // name of a port: CPUs of a PCI device's node come first
};

class PollerCpus {
public:
	// Made before EAL comes up, which narrows what this thread may use. `eal`: its options.
	explicit PollerCpus(std::vector<std::string> eal, const PollerWish &wish = {});

	// Brings EAL up. The CPUs: the lcores that -l, -c or --lcores gave, else those that this process may
	// use, one of each core, of which the first `nb_pollers` become lcores. The main thread only waits for
	// commands: it leaves the CPU that EAL pinned it to. @throws lab::JobError
	void start_eal(uint32_t nb_pollers);
	// How many pollers where nobody says: the lcores that were given, else `otherwise`, at most the CPUs.
	uint32_t usual(uint32_t otherwise) const;
	// @throws lab::JobError: more pollers than CPUs
	void require(uint32_t nb_pollers) const;

	uint32_t count() const { return uint32_t(places.size()); }
	// Starts the work on CPU `index`, under a name that ps and top show. @throws lab::JobError
	Poller start(uint32_t index, std::string name, std::function<void()> work) const;
	// "0", or "2-3" where an lcore was given several.
	std::string text(uint32_t index) const;
	// Says on stderr where a poller is on another NUMA node than the port that it polls.
	void warn_if_far(uint32_t index, int port_socket, const std::string &port) const;

private:
	struct Place {
		unsigned lcore; // of EAL; no_lcore: a thread of this program's
		cpu_set_t cpus;
	};
	static constexpr unsigned no_lcore = ~0u;
	void warn_of_shared_cores() const;

	std::vector<std::string> eal;
	cpu_set_t allowed;
	PollerWish wish;
	bool given;
	std::vector<int> chosen; // where no lcores are given
	std::vector<Place> places;
};

// A remark for the user, on stderr.
void warn(const std::string &text);

} // namespace reframer::dpdk
