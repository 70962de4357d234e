// Jobs `conntrack-memory` and `conntrack-rate`.
//
// conntrack-memory: what a flow costs, by the table's own account and by the kernel's.
// spec   {"contender": "burst-table", "flows": 1000000, "keySize": 16, "seed": 1}
// record {"contender","flows","bytesPerFlow","residentBytesPerFlow","hugeShare"}
//        tables are made for that many flows; 8 bytes of state. Resident is what the kernel counts,
//        reserved huge pages (hugetlbfs) included; hugeShare: of that, what lies on huge pages.
//        seed: of a table that has a secret
//
// conntrack-rate: one row of job `bench-conntrack` for one contender.
// spec   {"contender","workload","flows","depth","quick","seed"}
// record {"row": ...} as of bench-conntrack, or {"contender","unavailable"}
#include "lab/conntrack/trial.hpp"
#include "measure/memory_use.hpp"

#include <algorithm>

namespace reframer::lab {

namespace {

// What `after` has more than `before`.
engine::ProcessMemory grown(const engine::ProcessMemory &before, const engine::ProcessMemory &after)
{
	auto more = [](uint64_t a, uint64_t b) { return b - std::min(a, b); };
	return {more(before.resident, after.resident), more(before.huge, after.huge)};
}

} // namespace

void run_conntrack_memory(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string contender = reader.text("contender", "burst-table");
	const uint64_t flows = reader.integer("flows", 1'000'000, 1000, 1 << 26);
	conntrack::TrackerOptions options;
	options.key_size = static_cast<uint32_t>(reader.integer("keySize", 16, 16, 40));
	options.seed = reader.integer("seed", 1, 0, UINT64_MAX / 4096) + 1;
	reader.finish();
	if (options.key_size != 16 && options.key_size != 40)
		reader.fail("keySize", "must be 16 or 40");
	options.flows = flows;
	// Starts what a process pays once, DPDK's EAL above all.
	conntrack::TrackerOptions small = options;
	small.flows = 1000;
	if (!open_contender(contender, small))
		return;
	const engine::ProcessMemory before = engine::process_memory();
	auto tracker = conntrack::make_tracker(contender, options);
	uint8_t key[40], result = 0;
	for (uint64_t i = 0; i < flows; i++) {
		write_flow_key(key, options.key_size, i, 1);
		if (tracker->track(key, 1, i, &result) != 1)
			wrong_answer(contender, "does not hold the flows that it was made for");
	}
	const engine::ProcessMemory held = grown(before, engine::process_memory());
	for (uint64_t i = 0; i < flows; i += 1 + flows / 1000) {
		uint64_t value = 0;
		uint8_t found = 0;
		write_flow_key(key, options.key_size, i, 1);
		if (tracker->find(key, 1, &value, &found) != 1 || value != i)
			wrong_answer(contender, "a flow has another state than its own");
	}
	emit({{"contender", contender},
	      {"flows", flows},
	      {"keySize", options.key_size},
	      {"bytesPerFlow", double(tracker->bytes()) / double(flows)},
	      {"residentBytesPerFlow", double(held.resident) / double(flows)},
	      {"hugeShare", held.huge_share()}});
}

void run_conntrack_rate(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string contender = reader.text("contender", "burst-table");
	const std::string workload = reader.text("workload", "hits");
	const uint64_t flows = reader.integer("flows", 1'000'000, 1000, 32'000'000);
	const auto depth = static_cast<uint32_t>(
		reader.integer("depth", conntrack::tracker_burst, 1, conntrack::tracker_max_depth));
	const bool quick = reader.boolean("quick", false);
	const uint64_t seed = reader.integer("seed", 1, 0, UINT64_MAX / 4096);
	reader.finish();
	conntrack::TrackerOptions small;
	small.flows = 1000;
	if (!open_contender(contender, small))
		return;
	run_bench_conntrack({{"contenders", {contender}},
	                     {"workloads", {workload}},
	                     {"flows", {flows}},
	                     {"depths", {depth}},
	                     {"threads", {1}},
	                     {"quick", quick},
	                     {"seed", seed + 1}});
}

} // namespace reframer::lab
