// How busy the machine's CPUs are, whatever they do.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace reframer::engine {

class CpuLoad {
public:
	// @throws DeviceError when one of them is not there
	explicit CpuLoad(std::vector<uint32_t> cpus);

	// Of each CPU, 0 to 1: the share of the time since the last call for which it was not idle. The
	// kernel counts in steps of 10 ms.
	void sample(std::span<float> loads);
	const std::vector<uint32_t> &cpus() const { return watched; }

private:
	struct Time {
		uint64_t all = 0, idle = 0;
	};
	static std::vector<Time> times();

	std::vector<uint32_t> watched;
	std::vector<Time> last;
};

} // namespace reframer::engine
