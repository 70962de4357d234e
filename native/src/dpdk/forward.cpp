// Job `forward`: a box of its own between two DPDK ports, with Reframer on every RX queue.
//
// spec    {"eal": [...], "in": "net_tap0", "out": "net_tap1", "bothWays": false, "queues": 1, "txQueues": as many,
//          "cores": polling threads, one CPU each (default: the lcores that `eal` names, else 1),
//          "descriptors": 1024, "buffers": of the pool (default: enough for all rings and holds),
//          "user": "nobody" (who it becomes once its ports are open, if root started it), "reframe": true, "delayNs", "policy", "key", "hash", "maxPackets",
//          "maxBytes", "maxBurst", "bypass": ["syn", ...], "early": ["fin", ...], "repair", "thin",
//          "guards": see guards.hpp, "balancer": see box_balancer.hpp, "siblings": threads of one core may poll,
//          of the ports: see PortWish in ports.hpp; RSS++, flows, functions: SuiteParams in suite/suite.hpp}
//         Unless `eal` allows a PCI device, EAL gets --no-pci: it would take the machine's own NIC.
// Commands come as JSON lines on stdin, each gets one record on stdout:
//   {"do":"sample"}                       SAMPLE
//   {"do":"rules","guards":[...]}         {"rules":N}; see guards.hpp
//   {"do":"balancer","command":{...}}     see box_balancer.hpp
//   {"do":"stop"}, end of input, SIGTERM  drains; {"summary":SAMPLE with "lost":N}
// SAMPLE is told in forward_sample.hpp. The first record is {"ready":{"lanes":N,"threads":N,
// "cpus":[of each thread, ...],"ports":[what each granted, ...],"uid"?,"gid"?}}: whom it became, where
// it was root.
#include "dpdk/box_balancer.hpp"
#include "dpdk/eal.hpp"
#include "dpdk/forward_lanes.hpp"
#include "dpdk/forward_sample.hpp"
#include "dpdk/guards.hpp"
#include "dpdk/jobs.hpp"
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"

#include <string>
#include <vector>

namespace reframer::dpdk {

namespace {

void read_reframer(lab::SpecReader &in, reframer_dpdk_params &params)
{
	reframer_params &s = params.stage;
	in.read("delayNs", s.delay_ns, 0, REFRAMER_MAX_DELAY_NS);
	in.read(
		"policy", s.policy,
		{{"fixed", REFRAMER_FIXED}, {"adaptive", REFRAMER_ADAPTIVE}, {"burst", REFRAMER_BURST}});
	in.read("key", s.key,
	        {{"5tuple", REFRAMER_KEY_5TUPLE},
	         {"symmetric", REFRAMER_KEY_SYMMETRIC},
	         {"destination", REFRAMER_KEY_DESTINATION},
	         {"inner", REFRAMER_KEY_INNER}});
	in.read("hash", params.hash,
	        {{"auto", REFRAMER_DPDK_HASH_AUTO},
	         {"software", REFRAMER_DPDK_HASH_SOFTWARE},
	         {"nic", REFRAMER_DPDK_HASH_NIC}});
	in.read("maxPackets", s.max_packets, 32, 1u << 20);
	in.read("maxBytes", s.max_bytes, 1, 1ull << 40);
	in.read("maxBurst", s.max_burst, 1, 1u << 20);
	s.bypass = in.bits("bypass", {{"syn", REFRAMER_BYPASS_SYN},
	                              {"new", REFRAMER_BYPASS_NEW_FLOW},
	                              {"ef", REFRAMER_BYPASS_DSCP_EF},
	                              {"ect1", REFRAMER_BYPASS_ECT1},
	                              {"dns", REFRAMER_BYPASS_DNS}});
	s.early = in.bits(
		"early",
		{{"fin", REFRAMER_EARLY_FIN}, {"rst", REFRAMER_EARLY_RST}, {"psh", REFRAMER_EARLY_PSH}});
	if (in.boolean("repair", false))
		s.options |= REFRAMER_OPT_TCP_REPAIR;
	if (in.boolean("thin", false))
		s.options |= REFRAMER_OPT_ACK_THINNING;
}

lab::Json sample(const ForwardLanes &lanes, const Guards &guards, BoxBalancer &balancer)
{
	lab::Json record = forward_sample(lanes);
	if (!guards.empty())
		record["guards"] = guards.sample();
	if (!balancer.empty())
		record["balancer"] = balancer.sample();
	return record;
}

} // namespace

void run_forward(const lab::Json &spec)
{
	lab::SpecReader in(spec, "");
	const lab::Json *given = in.take("eal");
	const auto eal = given ? given->get<std::vector<std::string>>() : std::vector<std::string>();
	ForwardParams params;
	reframer_dpdk_default_params(&params.reframer);
	params.in = in.needed("in");
	params.out = in.needed("out");
	in.read("bothWays", params.both_ways);
	in.read("queues", params.nb_queues, 1, 64);
	in.read("txQueues", params.nb_tx_queues, 0, 64);
	in.read("cores", params.nb_cores, 0, 64);
	in.read("descriptors", params.nb_descriptors, 64, 16384);
	in.read("buffers", params.nb_buffers, 0, 1u << 27);
	const std::string user = in.text("user", "nobody");
	in.read("reframe", params.reframe);
	read_reframer(in, params.reframer);
	params.port.read(in);
	params.suite.read(in);
	const PollerWish wish = {in.boolean("siblings", false), params.in};
	Guards guards(in.take("guards"));
	BoxBalancer balancer(in.take("balancer"));
	in.finish();

	lab::SessionInput input;
	PollerCpus cpus(eal, wish);
	cpus.start_eal(params.nb_cores ? params.nb_cores : 1);
	reframer_dpdk_telemetry(); // without it the records here remain
	balancer.open();
	if (!balancer.empty())
		params.balancer = &balancer;
	ForwardLanes lanes(params, cpus);
	balancer.polled(true);
	guards.start();
	lab::Json ready = {{"lanes", lanes.lanes().size()}, {"threads", lanes.nb_threads()}};
	for (uint32_t c = 0; c < lanes.nb_threads(); c++)
		ready["cpus"].push_back(cpus.text(c));
	for (const PortGrant &port : lanes.grants())
		ready["ports"].push_back(port.record);
	if (const std::optional<NewUser> now = drop_root(user)) {
		ready["uid"] = now->uid;
		ready["gid"] = now->gid;
	}
	lab::emit({{"ready", ready}});
	while (const std::optional<lab::SessionCommand> command = input.command()) {
		const auto &[whole, what] = *command;
		if (what == "stop")
			break;
		lab::emit(what == "sample"     ? sample(lanes, guards, balancer)
		          : what == "rules"    ? guards.change(whole)
		          : what == "balancer" ? balancer.change(whole.value("command", lab::Json()))
		                               : command->unknown());
	}
	guards.stop();
	lanes.stop();
	balancer.polled(false);
	lab::Json summary = sample(lanes, guards, balancer);
	uint64_t lost = 0;
	for (const auto &lane : lanes.lanes())
		lost += lane->unsent.load();
	summary["lost"] = lost;
	lab::emit({{"summary", summary}});
}

} // namespace reframer::dpdk
