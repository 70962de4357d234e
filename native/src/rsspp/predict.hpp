// What a bucket will bring in the coming epoch. Counters are monotonic and never reset, so that no
// packet between a read and a reset is lost (the original's XDP path lost them).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace reframer::rsspp {

class Predictor {
public:
	Predictor(uint32_t nb_buckets, float smoothing, float trend)
		: smoothing(smoothing), trend(trend), counter(nb_buckets), count(nb_buckets),
		  smooth(nb_buckets), load(nb_buckets)
	{
	}

	// Ends an epoch: packets since the last call, per bucket. The first call takes the base.
	bool count_epoch(const uint64_t *packets)
	{
		for (size_t b = 0; b < count.size(); b++) {
			count[b] = packets[b] - counter[b];
			counter[b] = packets[b];
		}
		const bool complete = has_base;
		has_base = true;
		return complete;
	}

	// Packet counts apportion the measured load of the core that owned the buckets, so a core with
	// costlier traffic has heavier buckets; then the average and the trend are brought forward.
	void predict(const std::vector<uint16_t> &owner, const std::vector<float> &core_load)
	{
		std::vector<uint64_t> &packets = per_core;
		packets.assign(core_load.size(), 0);
		for (size_t b = 0; b < count.size(); b++)
			packets[owner[b]] += count[b];
		for (size_t b = 0; b < count.size(); b++) {
			const uint64_t of_core = packets[owner[b]];
			const float now =
				of_core ? float(double(count[b]) / double(of_core)) * core_load[owner[b]] : 0.0f;
			const float last = smooth[b];
			smooth[b] = epochs == 0 ? now : smoothing * now + (1 - smoothing) * last;
			const float change = epochs == 0 ? 0.0f : smooth[b] - last;
			load[b] = std::max(0.0f, smooth[b] + trend * change);
		}
		epochs++;
	}

	const std::vector<uint64_t> &counts() const { return count; }
	const std::vector<float> &loads() const { return load; }

private:
	float smoothing;
	float trend;
	std::vector<uint64_t> counter;
	std::vector<uint64_t> count;
	std::vector<float> smooth;
	std::vector<float> load;
	std::vector<uint64_t> per_core;
	uint64_t epochs = 0;
	bool has_base = false;
};

} // namespace reframer::rsspp
