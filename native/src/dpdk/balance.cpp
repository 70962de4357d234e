// Job `balance-dpdk`: cores that receive, count and free the packets of a DPDK port, balanced by its
// RETA, by flow rules, or by a table in software; see jobs/device_session.hpp.
//
// spec    {"eal": ["--vdev=net_null0", ...], "port": "net_null0", "table": "reta"|"flow"|"software",
//          "cores": one CPU each (default: the lcores that `eal` names, else 4, at most the CPUs),
//          "entries": 512 (not reta: the port says), "workRounds": 100}
//         Unless `eal` allows a PCI device, EAL gets --no-pci: it would take the machine's own NIC.
// details {"received","dropped"}
// summary {"received","dropped","refused"}
#include "dpdk/balance.hpp"

#include "dpdk/eal.hpp"
#include "dpdk/port_cores.hpp"
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"

#include <string>
#include <vector>

namespace reframer::dpdk {

void run_balance_dpdk(const lab::Json &spec)
{
	lab::SpecReader in(spec, "");
	std::vector<std::string> eal;
	if (const lab::Json *given = in.take("eal"))
		eal = given->get<std::vector<std::string>>();
	PortParams params;
	params.port = in.text("port", "");
	params.table = in.choice(
		"table", PortTable::reta,
		{{"reta", PortTable::reta}, {"flow", PortTable::flow}, {"software", PortTable::software}});
	params.nb_cores = uint32_t(in.integer("cores", params.nb_cores, 0, 64));
	params.nb_entries = uint32_t(in.integer("entries", params.nb_entries, 64, 4096));
	params.work_rounds = uint32_t(in.integer("workRounds", params.work_rounds, 0, 10'000'000));
	in.finish();
	if (params.port.empty())
		in.fail("port", "is missing");

	lab::SessionInput input;
	PollerCpus cpus(eal);
	for (const std::string &option : cpus.eal_options())
		eal.push_back(option);
	start_eal(eal);
	cpus.settle();
	try {
		PortCores cores(params, cpus);
		lab::SessionHooks hooks;
		const auto counts = [&]() -> lab::Json {
			return {{"received", cores.received()}, {"dropped", cores.dropped()}};
		};
		hooks.details = counts;
		hooks.finish = [&] {
			cores.stop();
			return counts();
		};
		lab::serve_device(input, cores, hooks);
	} catch (const engine::DeviceError &e) {
		throw lab::job_error(e);
	}
}

} // namespace reframer::dpdk
