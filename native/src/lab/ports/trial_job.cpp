// Job `trial`: the trial of reframer-lab on DPDK ports: mbufs from a mempool, rte_eth_rx_burst(), the
// stage as libreframer_dpdk.so has it, the chain, rte_eth_tx_burst(). One queue, one core, one process.
//
// Specification: that of reframer-lab's `trial` (lab/reframer/trial.cpp) and
//   port        {"eal":  options of EAL, a list, default --no-huge --no-shconf -m 512 and the ports' --vdev,
//                "in":   port that is received from, as for --vdev: "net_pcap0,rx_pcap=FILE,tx_pcap=FILE",
//                        "net_ring0", "net_null0", "net_af_packet0,iface=veth0", "net_af_xdp0,iface=veth0"; with `eal`, a name,
//                "out":  port that is sent to, default `in`,
//                "feed": port into which the trial sends what `source` says: `in` itself with net_ring,
//                        the other end of a veth pair with af_packet or af_xdp. Without it `in` has packets of its own,
//                "clock": "tsc" (default) | "logical": packets are received by their time stamps, and each
//                        costs serviceNs. Then nothing depends on the machine, and what leaves is what
//                        reframer-lab's trial with the same serviceNs sends, in the same order,
//                "checkPackets": packets whose order within their flows is checked, default 65536}
// What differs: `queues` says of how many queues' traffic this core has one, and how large its tables
// are; learnNs is 0 where `in` has packets of its own, and the trial then ends with these. nicHash takes
// the port's hash where it has one, or the feeder's. releaseMax is 256 where it is 0. engine, dma,
// frontCores, sensitive, raw, standTwice and dump are the virtual NIC's. Frames come out of the port by a
// copy (pcap, af_packet) or from the core that fed them (ring): `dma` has no say.
//
// Result, one record: of the virtual trial's members those that can be known here, and
//   ports                        {in, out, feed: drivers or null, nicHash: whose hash was used}
//   rxNsPerPacket, stageNsPerPacket, chainNsPerPacket, txNsPerPacket
//   latencyNs                    departure - arrival on the logical clock; on the TSC to the end of
//                                the poll that sent it: from its arrival over net_ring, else from the
//                                poll that received it
//   drops                        {ring: before the loop (ring, buffers), nf, nfReasons, tx: refused by the port}
//   checks                       as there; ordered: within the flows of the first checkPackets packets; foreign:
//                                at least so many received that the trial did not feed, such as the kernel's
//                                own on a veth pair (IPv6 says hello; disable_ipv6 in the namespace)
// A failed check is an error record "check-failed" after the result, exit code 1.
#include "dpdk/eal.hpp"
#include "dpdk/jobs.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/latency.hpp"
#include "lab/ports/trial_run.hpp"
#include "lab/reframer/trial_setup.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace reframer::dpdk {

namespace {

using lab::Json;

// "net_pcap0,rx_pcap=FILE" is the port net_pcap0, and what EAL makes it of.
std::string name_of(const std::string &device)
{
	return device.substr(0, device.find(','));
}

void read_port(const Json &json, DpdkTrial &out)
{
	lab::SpecReader in(json, "port");
	const bool own_eal = in.has("eal");
	if (own_eal)
		out.eal = in.texts("eal", {});
	else
		out.eal = {"--no-huge", "--no-shconf", "--no-telemetry", "--log-level=error", "-m", "512"};
	std::vector<std::string> devices;
	const auto device = [&](const char *name, const std::string &fallback) {
		const std::string text = in.text(name, fallback);
		if (!text.empty() && std::find_if(devices.begin(), devices.end(), [&](const auto &d) {
								 return name_of(d) == name_of(text);
							 }) == devices.end())
			devices.push_back(text);
		return name_of(text);
	};
	out.in = device("in", "");
	if (out.in.empty())
		in.fail("in", "is missing");
	out.out = device("out", out.in);
	out.feed = device("feed", "");
	if (!own_eal)
		for (const std::string &d : devices)
			out.eal.push_back("--vdev=" + d);
	in.read("clock", out.clock, {{"tsc", TrialClock::tsc}, {"logical", TrialClock::logical}});
	in.read("checkPackets", out.check_packets, 0, 1u << 24);
	in.finish();
}

} // namespace

DpdkTrial read_dpdk_trial(const Json &json)
{
	DpdkTrial out;
	lab::SpecReader whole(json, "");
	const Json *port = whole.take("port");
	if (port == nullptr)
		whole.fail("port", "is missing");
	read_port(*port, out);
	for (const char *name :
	     {"engine", "dma", "frontCores", "sensitive", "raw", "standTwice", "dump"})
		if (whole.has(name))
			whole.fail(name, "belongs to the virtual NIC");
	const bool fed = !out.feed.empty(), logical = out.clock == TrialClock::logical;
	Json rest = json;
	rest.erase("port");
	if (!fed) {
		rest["dma"] = "dram"; // no second core is needed
		if (!rest.contains("learnNs"))
			rest["learnNs"] = 0;
	}
	out.trial = lab::parse_trial_spec(rest);
	if (logical != (out.trial.service_ns > 0))
		whole.fail("serviceNs", logical ? "must be given with clock 'logical'"
		                                : "goes with clock 'logical' only");
	if (logical && out.trial.policy == lab::HoldPolicy::adaptive)
		whole.fail("policy",
		           "adaptive measures what a packet costs, which a logical clock does not know");
	if (!fed && out.trial.learn_ns)
		whole.fail("learnNs", "must be 0 where the port has packets of its own");
	if (!fed && !logical && whole.has("source"))
		whole.fail("source", "goes with a port that is fed, or with clock 'logical'");
	if (out.trial.release_max > 512)
		whole.fail("releaseMax", "must be at most 512, the runs that a burst may have");
	return out;
}

void run_trial_job(const Json &json)
{
	DpdkTrial spec = read_dpdk_trial(json);
	const int feeding_core = spec.trial.cores.take(); // before EAL, which pins this thread as well
	start_eal(spec.eal);
	const DpdkOutcome outcome = run_dpdk_trial(spec, feeding_core);
	lab::emit(dpdk_trial_record(spec, outcome));
	if (!outcome.passed())
		throw lab::JobError("check-failed",
		                    "the trial's own checks failed; see checks in its record");
}

} // namespace reframer::dpdk
