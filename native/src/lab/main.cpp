// reframer-lab: every job that needs no DPDK.
#include "jobs/program.hpp"
#include "lab/balancer/jobs.hpp"
#include "lab/linux/busy.hpp"
#include "lab/linux/flood.hpp"
#include "lab/linux/listen.hpp"
#include "lab/rsspp/balance_cpumap.hpp"

namespace {

using namespace reframer::lab;

constexpr JobEntry jobs[] = {
	{"analyze", run_analyze},
	{"reorder", run_reorder},
	{"trial", run_trial},
	{"validate", run_validate},
	{"bench-reframer", run_bench_reframer},
	{"bench-rsspp", run_bench_rsspp},
	{"generate", run_generate},
	{"calibrate", run_calibrate},
	{"bench-conntrack", run_bench_conntrack},
	{"chains", run_chains},
	{"conntrack-load", run_conntrack_load},
	{"conntrack-lb", run_conntrack_lb},
	{"conntrack-expiry", run_conntrack_expiry},
	{"conntrack-threads", run_conntrack_threads},
	{"conntrack-growth", run_conntrack_growth},
	{"conntrack-memory", run_conntrack_memory},
	{"conntrack-rate", run_conntrack_rate},
	{"conntrack-hostile", run_conntrack_hostile},
	{"flows", run_flows},
	{"rss", run_rss},
	{"soak", run_soak},
	{"telemetry", run_telemetry},
	{"rsspp-trial", run_rsspp_trial_job},
	{"robustness-trial", run_robustness_trial},
	{"robustness-tables", run_robustness_tables},
	{"balancer-cost", run_balancer_cost},
	{"balancer-changes", run_balancer_changes},
	{"balancer-policies", run_balancer_policies},
	{"balancer-cores", run_balancer_cores},
	{"pipeline", run_pipeline_job},
	{"rsspp-state", run_rsspp_state},
	{"rsspp-tap", run_rsspp_tap},
	{"balance-tap", run_balance_tap},
	{"balance-ethtool", run_balance_ethtool},
	{"balance-cpumap", run_balance_cpumap},
	{"linux-busy", run_linux_busy},
	{"linux-flood", run_linux_flood},
	{"linux-listen", run_linux_listen},
	{"balance-servers", run_balance_servers},
	{"drop-frames", run_drop_frames},
	{"linux-send", run_linux_send},
	{"linux-sink", run_linux_sink},
	{"watch", run_watch},
};

} // namespace

int main(int argc, char **argv)
{
	return run_program(jobs, argc, argv);
}
