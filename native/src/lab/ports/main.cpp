// reframer-dpdk: jobs on DPDK ports.
#include "dpdk/jobs.hpp"
#include "jobs/program.hpp"

int main(int argc, char **argv)
{
	static constexpr reframer::lab::JobEntry jobs[] = {
		{"balance-dpdk", reframer::dpdk::run_balance_dpdk},
		{"forward", reframer::dpdk::run_forward},
		{"live-trial", reframer::dpdk::run_live_trial},
		{"tester", reframer::dpdk::run_tester},
		{"trial", reframer::dpdk::run_trial_job},
	};
	return reframer::lab::run_program(jobs, argc, argv);
}
