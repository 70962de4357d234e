// Job `balance-dpdk`: cores that receive, count and free the packets of a DPDK port, balanced by its
// RETA, by flow rules, or by a table in software; see jobs/device_session.hpp.
//
// spec    {"eal": ["--vdev=net_null0", ...], "port": "net_null0", "table": "reta"|"flow"|"software",
//          "cores": one CPU each (default: the lcores that `eal` names, else 4, at most the CPUs),
//          "entries": 512 (not reta: the port says), "workRounds": 100}
//         Unless `eal` allows a PCI device, EAL gets --no-pci: it would take the machine's own NIC.
// details {"received","dropped"}
// summary {"received","dropped","refused"}
#include "dpdk/jobs.hpp"
#include "dpdk/port_cores.hpp"
#include "jobs/device_session.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"

#include <string>
#include <vector>

namespace reframer::dpdk {

void run_balance_dpdk(const lab::Json &spec)
{
	lab::SpecReader in(spec, "");
	const lab::Json *given = in.take("eal");
	const auto eal = given ? given->get<std::vector<std::string>>() : std::vector<std::string>();
	PortParams params;
	params.port = in.needed("port");
	in.read(
		"table", params.table,
		{{"reta", PortTable::reta}, {"flow", PortTable::flow}, {"software", PortTable::software}});
	in.read("cores", params.nb_cores, 0, 64);
	in.read("entries", params.nb_entries, 64, 4096);
	in.read("workRounds", params.work_rounds, 0, 10'000'000);
	in.finish();

	lab::SessionInput input;
	PollerCpus cpus(eal);
	// A dispatching core may come on top.
	cpus.start_eal((params.nb_cores ? params.nb_cores : usual_port_cores) + 1);
	PortCores cores(params, cpus);
	lab::SessionHooks hooks;
	const auto counts = [&] { return NAMED(cores.received(), cores.dropped()); };
	hooks.details = counts;
	hooks.finish = [&] {
		cores.stop();
		return counts();
	};
	lab::serve_device(input, cores, hooks);
}

} // namespace reframer::dpdk
