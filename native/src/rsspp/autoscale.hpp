// How many cores the coming epoch needs, judged by the load *after* the change. The original
// compared the headroom with a guard that grows with the number of cores, so that with few cores it
// hardly ever gave one back, and it changed one core an epoch.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

namespace reframer::rsspp {

class Autoscale {
public:
	Autoscale(float target, uint32_t min_cores, uint32_t shrink_epochs)
	    : target(target), min_cores(min_cores), shrink_epochs(shrink_epochs)
	{
	}

	// `loads`: predicted, per bucket; `clipped`: a core ran at full load, so demand is more than
	// was seen. Returns the number of cores from now on, 1..available.
	uint32_t decide(const std::vector<float> &loads, bool clipped, uint32_t active, uint32_t available)
	{
		uint32_t wanted = cores_for(loads, target, available);
		if (clipped)
			wanted = std::max(wanted, active + std::max(1u, active / 4));
		wanted = std::min(wanted, available);
		if (wanted > active) {
			agreeing = 0;
			return wanted;
		}
		// Giving back needs room to spare and several epochs that agree; the most cautious of them
		// counts.
		const uint32_t fewer = std::max(min_cores, cores_for(loads, target - margin, available));
		if (clipped || fewer >= active) {
			agreeing = 0;
			return active;
		}
		candidate = agreeing == 0 ? fewer : std::max(candidate, fewer);
		if (++agreeing < shrink_epochs)
			return active;
		agreeing = 0;
		return candidate;
	}

private:
	// Five points below the target: without a gap, noise of a few percent would add the core back.
	static constexpr float margin = 0.05f;

	// Elephants above the aim fill a core each and cannot be split; the rest spreads.
	uint32_t cores_for(const std::vector<float> &loads, float aim, uint32_t available) const
	{
		uint32_t elephants = 0;
		float rest = 0;
		for (float load : loads) {
			if (load > aim)
				elephants++;
			else
				rest += load;
		}
		const uint32_t cores = elephants + uint32_t(std::ceil(rest / aim - 1e-4f));
		return std::clamp(cores, std::max(1u, min_cores), std::max(1u, available));
	}

	float target;
	uint32_t min_cores;
	uint32_t shrink_epochs;
	uint32_t agreeing = 0;
	uint32_t candidate = 0;
};

} // namespace reframer::rsspp
