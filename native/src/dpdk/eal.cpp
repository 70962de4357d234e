#include "dpdk/eal.hpp"

#include "lab/job.hpp"

#include <rte_eal.h>
#include <rte_errno.h>

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace reframer::dpdk {

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

} // namespace reframer::dpdk
