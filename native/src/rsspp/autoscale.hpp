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
	// was seen; `epochs`: length of the one that ended, in ordinary ones. Returns the number of cores from
	// now on, 1..available.
	uint32_t decide(const std::vector<float> &loads, bool clipped, uint32_t active,
	                uint32_t available, float epochs)
	{
		float total = 0;
		for (float load : loads)
			total += load;
		const float weight = epochs == 1 ? newest : 1 - std::pow(1 - newest, epochs);
		level = level < 0 ? total : level + weight * (total - level);
		const float scale = total > 0 ? level / total : 1;
		// One full core among others with room is the solver's business, once; demand that is hidden
		// twice in a row, or while all are busy, is not.
		const bool pressed = clipped && (was_clipped || level > (target - margin) * float(active));
		was_clipped = clipped;
		uint32_t wanted = active;
		if (total > (target + 2 * margin) * float(active) ||
		    cores_for(loads, target + margin, scale, available) > active)
			wanted = std::max(active, cores_for(loads, target, std::max(1.0f, scale), available));
		if (pressed)
			wanted = std::max(wanted, active + std::max(1u, active / 4));
		wanted = std::min(wanted, available);
		if (wanted > active) {
			agreed = 0;
			return wanted;
		}
		// Giving back needs several epochs that agree; the most cautious of them counts.
		const uint32_t fewer =
			std::max(min_cores, cores_for(loads, target, std::max(1.0f, scale), available));
		if (clipped || fewer >= active) {
			agreed = 0;
			return active;
		}
		candidate = agreed == 0 ? fewer : std::max(candidate, fewer);
		agreed += epochs;
		if (agreed < float(shrink_epochs) - rounding)
			return active;
		agreed = 0;
		return candidate;
	}

private:
	// Cores are added above the target by this, and given back only where the others then stay at or
	// below it: without a gap, noise of a few percent would add the core back.
	static constexpr float margin = 0.05f;
	// Weight of the newest epoch in the level that decides: three epochs, so that one burst does not
	// take a core into service that the next epoch has no use for.
	static constexpr float newest = 0.33f;
	// Ten tenths of an epoch are one.
	static constexpr float rounding = 0.01f;

	// Elephants above the aim fill a core each and cannot be split; the rest spreads.
	uint32_t cores_for(const std::vector<float> &loads, float aim, float scale,
	                   uint32_t available) const
	{
		uint32_t elephants = 0;
		float rest = 0;
		for (float load : loads) {
			if (load > aim)
				elephants++;
			else
				rest += load;
		}
		const uint32_t cores = elephants + uint32_t(std::ceil(scale * rest / aim - 1e-4f));
		// There may be fewer left than shall be kept.
		const uint32_t most = std::max(1u, available);
		return std::clamp(cores, std::min(std::max(1u, min_cores), most), most);
	}

	float target;
	uint32_t min_cores;
	uint32_t shrink_epochs;
	float level = -1; // of the total load, smoothed; below 0: none yet
	bool was_clipped = false;
	float agreed = 0; // for so many ordinary epochs
	uint32_t candidate = 0;
};

} // namespace reframer::rsspp
