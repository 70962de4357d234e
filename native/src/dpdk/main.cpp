// reframer-dpdk: jobs on DPDK ports.
#include "dpdk/balance.hpp"
#include "lab/program.hpp"

int main(int argc, char **argv)
{
	static constexpr reframer::lab::JobEntry jobs[] = {
	    {"balance-dpdk", reframer::dpdk::run_balance_dpdk},
	};
	return reframer::lab::run_program(jobs, argc, argv);
}
