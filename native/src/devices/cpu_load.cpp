#include "devices/cpu_load.hpp"

#include "devices/table_device.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace reframer::engine {

CpuLoad::CpuLoad(std::vector<uint32_t> cpus) : watched(std::move(cpus)), last(times())
{
	for (uint32_t cpu : watched)
		if (cpu >= last.size())
			throw DeviceError("bad-spec",
			                  "there is no CPU " + std::to_string(cpu) +
			                      "; name the CPUs that serve the queues",
			                  false);
}

std::vector<CpuLoad::Time> CpuLoad::times()
{
	std::vector<Time> times;
	std::ifstream file("/proc/stat");
	for (std::string line; std::getline(file, line);) {
		if (line.compare(0, 3, "cpu") != 0 || line[3] == ' ')
			continue;
		std::istringstream fields(line.substr(3));
		uint32_t cpu = 0;
		fields >> cpu;
		times.resize(std::max<size_t>(times.size(), cpu + 1));
		uint64_t value = 0;
		// user nice system idle iowait irq softirq steal; guests are in user and nice.
		for (int i = 0; i < 8 && fields >> value; i++) {
			times[cpu].all += value;
			times[cpu].idle += i == 3 || i == 4 ? value : 0;
		}
	}
	return times;
}

void CpuLoad::sample(std::span<float> loads)
{
	std::vector<Time> now = times();
	now.resize(std::max(now.size(), last.size())); // a CPU that went offline is not listed
	for (size_t i = 0; i < watched.size(); i++) {
		const uint32_t cpu = watched[i];
		const uint64_t all = now[cpu].all - last[cpu].all, idle = now[cpu].idle - last[cpu].idle;
		loads[i] = all > 0 && idle <= all ? float(all - idle) / float(all) : 0.0f;
	}
	last = std::move(now);
}

} // namespace reframer::engine
