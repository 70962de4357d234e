#include "lab/cores.hpp"

#include "base/cores.hpp"

#include <algorithm>
#include <sys/resource.h>

namespace reframer::lab {

void pin_job(int core)
{
	if (!base::pin(pthread_self(), core))
		throw JobError("not-supported", "cannot run on core " + std::to_string(core), 3);
}

void TrialCores::read(SpecReader &in)
{
	using Into = engine::Dma::Into;
	dma_asked = in.has("dma");
	in.read("dma", dma, {{"llc", Into::llc}, {"dram", Into::dram}});
	cpus = in.integers<uint32_t>("cpus", {}, 0, 1023);
	if (cpus.size() > 2)
		in.fail("cpus", "must be a list of one or two core numbers");
}

int TrialCores::take(bool on_threads)
{
	const std::vector<int> allowed = base::allowed_cores();
	if (allowed.empty())
		throw JobError("failed", "cannot read the cores that this process may use");
	std::vector<int> cores(cpus.begin(), cpus.end());
	if (cores.empty()) {
		cores.push_back(allowed[0]);
		if (const auto other = base::other_core(allowed[0], allowed))
			cores.push_back(*other);
	}
	// Threads of one core share its caches: what the one writes is warm for the other, which is no
	// "llc". With the frames flushed it does not matter who writes them.
	bool apart = cores.size() > 1;
	if (apart) {
		const auto siblings = base::thread_siblings(cores[0]);
		apart = std::find(siblings.begin(), siblings.end(), cores[1]) == siblings.end();
	}
	if (!apart && on_threads)
		throw JobError("not-supported",
		               "engine \"threads\" needs two cores; two threads of one share its caches",
		               3);
	if (!apart && dma == engine::Dma::Into::llc) {
		if (dma_asked)
			throw JobError(
				"not-supported",
				"dma \"llc\" needs a second core, not a thread of the same one, to write the frames; "
				"use \"dram\"",
				3);
		dma = engine::Dma::Into::dram; // the record says so
	}
	pin_job(cores[0]);
	return cores.size() < 2 ? -1 : cores[1];
}

int raise_priority()
{
	// Threads that start later inherit it.
	setpriority(PRIO_PROCESS, 0, -20);
	return getpriority(PRIO_PROCESS, 0);
}

} // namespace reframer::lab
