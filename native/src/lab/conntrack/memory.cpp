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

void run_conntrack_memory(const Json &json)
{
	SpecReader in(json, "");
	ContenderSpec spec;
	spec.read(in);
	const uint64_t flows = in.integer("flows", 1'000'000, 1000, 1 << 26);
	const auto key_size = in.integer<uint32_t>("keySize", 16, 16, 40);
	if (key_size != 16 && key_size != 40)
		in.fail("keySize", "must be 16 or 40");
	in.finish();
	conntrack::TrackerOptions options = spec.options(1000);
	options.key_size = key_size;
	// Starts what a process pays once, DPDK's EAL above all.
	if (!Contender(spec.contender, options))
		return;
	options.flows = flows;
	const engine::ProcessMemory before = engine::process_memory();
	const Contender contender(spec.contender, options);
	uint8_t key[40], result = 0;
	for (uint64_t i = 0; i < flows; i++) {
		write_flow_key(key, key_size, i, 1);
		if (contender->track(key, 1, i, &result) != 1)
			contender.wrong("does not hold the flows that it was made for");
	}
	const engine::ProcessMemory held = engine::process_memory() - before;
	for (uint64_t i = 0; i < flows; i += 1 + flows / 1000) {
		uint64_t value = 0;
		uint8_t found = 0;
		write_flow_key(key, key_size, i, 1);
		if (contender->find(key, 1, &value, &found) != 1 || value != i)
			contender.wrong("a flow has another state than its own");
	}
	emit(joined(NAMED(spec.contender, flows, key_size, held.huge_share()),
	            {{"bytesPerFlow", double(contender->bytes()) / double(flows)},
	             {"residentBytesPerFlow", double(held.resident) / double(flows)}}));
}

void run_conntrack_rate(const Json &json)
{
	SpecReader in(json, "");
	ContenderSpec spec;
	spec.read(in);
	spec.read_depth(in);
	const std::string workload = in.text("workload", "hits");
	const uint64_t flows = in.integer("flows", 1'000'000, 1000, 32'000'000);
	const bool quick = in.boolean("quick", false);
	in.finish();
	if (!Contender(spec.contender, spec.options(1000)))
		return;
	run_bench_conntrack({{"contenders", {spec.contender}},
	                     {"workloads", {workload}},
	                     {"flows", {flows}},
	                     {"depths", {spec.depth}},
	                     {"threads", {1}},
	                     {"quick", quick},
	                     {"seed", spec.seed + 1}});
}

} // namespace reframer::lab
