// Job `balance-ethtool`: the indirection table of an interface of Linux; see device_session.hpp.
//
// spec    {"interface", "cpus": [CPU of each queue]?}
// details {"counted"}: packets that the XDP program saw
// summary {"counted","countedInDriver": 0|1,"refused"}
#include "devices/ethtool_table.hpp"
#include "jobs/device_session.hpp"
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"

namespace reframer::lab {

void run_balance_ethtool(const Json &spec)
{
	SpecReader in(spec, "");
	engine::EthtoolParams params;
	params.interface = in.text("interface", "");
	if (const Json *cpus = in.take("cpus"))
		params.cpus = cpus->get<std::vector<uint32_t>>();
	in.finish();

	SessionInput input;
	engine::EthtoolTable table(params);
	SessionHooks hooks;
	hooks.details = [&]() -> Json { return {{"counted", table.counted()}}; };
	hooks.finish = [&]() -> Json {
		return {{"counted", table.counted()}, {"countedInDriver", int(table.counts_in_driver())}};
	};
	serve_device(input, table, hooks);
}

} // namespace reframer::lab
