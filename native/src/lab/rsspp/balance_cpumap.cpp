// Job `balance-cpumap`: a table of ours in front of an interface that has none; see device_session.hpp.
//
// spec    {"interface", "cpus": [CPU that takes packets]?, "entries": 512, "queueDepth": 2048}
// details {"counted","dropped","moved","stayed"}; see devices/cpumap_program.hpp
// summary {"counted","processed","dropped","moved","stayed","passed","refused"}
#include "lab/rsspp/balance_cpumap.hpp"

#include "devices/cpumap_table.hpp"
#include "jobs/device_session.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"

namespace reframer::lab {

void run_balance_cpumap(const Json &spec)
{
	SpecReader in(spec, "");
	engine::CpumapParams params;
	params.interface = in.text("interface", "");
	if (const Json *cpus = in.take("cpus"))
		params.cpus = cpus->get<std::vector<uint32_t>>();
	in.read("entries", params.nb_buckets, 2, engine::cpumap_most_buckets);
	in.read("queueDepth", params.queue_depth, 8, 16384);
	in.finish();

	SessionInput input;
	engine::CpumapTable table(params);
	SessionHooks hooks;
	hooks.details = [&]() -> Json {
		const engine::CpumapTotals t = table.totals();
		return NAMED(t.counted, t.dropped, t.moved, t.stayed);
	};
	hooks.finish = [&]() -> Json {
		const engine::CpumapTotals t = table.stop();
		return NAMED(t.counted, t.processed, t.dropped, t.moved, t.stayed, t.passed);
	};
	serve_device(input, table, hooks);
}

} // namespace reframer::lab
