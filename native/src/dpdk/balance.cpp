// Job `balance-dpdk`: cores that receive, count and free the packets of a DPDK port, balanced by its
// RETA, by flow rules, or by a table in software; see lab/device_session.hpp.
//
// spec    {"eal": ["--vdev=net_null0", ...], "port": "net_null0", "table": "reta"|"flow"|"software",
//          "cores": 2, "entries": 512 (not reta: the port says), "workRounds": 100}
//         Unless `eal` allows a PCI device, EAL gets --no-pci: it would take the machine's own NIC.
// details {"received","dropped"}
// summary {"received","dropped","refused"}
#include "dpdk/balance.hpp"

#include "dpdk/port_cores.hpp"
#include "lab/device_session.hpp"
#include "lab/spec_reader.hpp"

#include <rte_eal.h>
#include <rte_errno.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <unistd.h>
#include <vector>

namespace reframer::dpdk {

namespace {

void start_eal(const std::vector<std::string> &wanted)
{
	std::vector<std::string> args = {"reframer-dpdk"};
	args.insert(args.end(), wanted.begin(), wanted.end());
	const bool pci = std::any_of(wanted.begin(), wanted.end(), [](const std::string &a) {
		return a.rfind("-a", 0) == 0 || a.rfind("--allow", 0) == 0 || a == "--no-pci";
	});
	if (!pci)
		args.push_back("--no-pci");
	std::vector<char *> argv;
	for (std::string &a : args)
		argv.push_back(a.data());
	// At a bad option EAL prints its usage on stdout, where records belong.
	const int saved = dup(STDOUT_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	const int result = rte_eal_init(int(argv.size()), argv.data());
	std::fflush(stdout); // while it still goes there
	dup2(saved, STDOUT_FILENO);
	close(saved);
	if (result < 0)
		throw lab::JobError("not-supported", std::string("DPDK's EAL does not come up: ") + rte_strerror(rte_errno) +
		                                         "; its options were given by --eal", 3);
}

} // namespace

void run_balance_dpdk(const lab::Json &spec)
{
	lab::SpecReader in(spec, "");
	std::vector<std::string> eal;
	if (const lab::Json *given = in.take("eal"))
		eal = given->get<std::vector<std::string>>();
	PortParams params;
	params.port = in.text("port", "");
	params.table = in.choice("table", PortTable::reta,
	                         {{"reta", PortTable::reta}, {"flow", PortTable::flow}, {"software", PortTable::software}});
	params.nb_cores = uint32_t(in.integer("cores", params.nb_cores, 1, 64));
	params.nb_entries = uint32_t(in.integer("entries", params.nb_entries, 64, 4096));
	params.work_rounds = uint32_t(in.integer("workRounds", params.work_rounds, 0, 10'000'000));
	in.finish();
	if (params.port.empty())
		in.fail("port", "is missing");

	lab::SessionInput input;
	start_eal(eal);
	try {
		PortCores cores(params);
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
