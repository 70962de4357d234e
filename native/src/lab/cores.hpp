// The core that a trial runs on, the core that stands in for its NIC, and where that writes frames.
#pragma once

#include "datapath/ports/dma.hpp"
#include "jobs/spec_reader.hpp"

#include <vector>

namespace reframer::lab {

// The calling thread, for the rest of the job.
void pin_job(int core);

struct TrialCores {
	std::vector<uint32_t> cpus; // the core under test, then the NIC's; none: chosen
	engine::Dma::Into dma = engine::Dma::Into::llc;
	bool dma_asked = false; // not the default

	// "cpus" and "dma".
	void read(SpecReader &in);
	// Pins the calling thread; returns the core that stands in for the NIC, -1 where there is none. The
	// two are never threads of one core with dma "llc": where there are no others, and "llc" was only
	// the default, `dma` then is "dram". `on_threads`: two cores are needed in any case.
	int take(bool on_threads = false);
};

// Asks for the highest ordinary priority, so that other programs interrupt fewer polls; without the
// right to it the trial runs as it is. Real-time scheduling would not do: the kernel stops such
// threads for 50 ms of every second that they do not sleep. Returns what is in force.
int raise_priority();

} // namespace reframer::lab
