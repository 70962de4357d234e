// Which core a thread runs on, and which cores are one.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace reframer::base {

cpu_set_t set_of(int core);
// What the calling thread may use; nothing where the kernel does not say.
cpu_set_t affinity();
// 0, or the number of the error.
int set_affinity(pthread_t thread, const cpu_set_t &cores);

// False where this process may not use that core.
bool pin(pthread_t thread, int core);

// The processors that this process may use, by number.
std::vector<int> allowed_cores();

// The processors that share a core's first- and second-level caches with `cpu`, itself included:
// what Linux says in `root`/cpuN/topology/thread_siblings_list. `cpu` alone where it says nothing.
std::vector<int> thread_siblings(int cpu, const std::string &root = "/sys/devices/system/cpu");

// The first of `allowed` that is on another core than `cpu`; none where all share one.
std::optional<int> other_core(int cpu, std::span<const int> allowed,
                              const std::string &root = "/sys/devices/system/cpu");

// One processor of each core, in the order of `allowed`: threads that poll slow each other down where
// they share a core.
std::vector<int> one_per_core(std::span<const int> allowed,
                              const std::string &root = "/sys/devices/system/cpu");

// "0,2-3" as Linux writes lists of processors; nothing where it is none.
std::vector<int> parse_cpu_list(const std::string &text);

} // namespace reframer::base
