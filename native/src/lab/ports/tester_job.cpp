// Job `tester`: sends stamped frames into a bed and takes them back; the other end of a device under
// test. Commands come as JSON lines on stdin, each gets one record on stdout.
//
// spec    {"eal": [...], "tx": "net_memif0", "rx": default `tx`, "queues": 1, "rxQueues": as many, "cores": 1 or 2 (then one
//          sends, the other receives), "descriptors": 1024, "buckets": 512, "frames": 65536, "longest":
//          1514, "source": as of reframer-lab's trial, "seed", "siblings", and of the ports what
//          PortWish in dpdk/ports.hpp tells}
// ready   {"ready":{"flows","frames","cpus","ports"}}
//   {"do":"start","bps"|"pps": rate; neither: as fast as it goes, "warmupMs":0,"windowMs":0,
//     "packets":0,"inFlight":0,"graceMs":200}   {"started":true}
//   {"do":"sample"}                             {"sending","sent","received"}
//   {"do":"stop","now":false}                   {"result":RESULT}: once the window is over, or now
//   end of input, SIGTERM                       ends
// RESULT  {"seconds","sent","received","lost","outOfOrder","duplicates","foreign","refused","offeredBps",
//          "receivedBps","offeredPps","receivedPps","lateNs","reachedShare","stragglersNs","latencyNs",
//          "all":{...}}
//          of packets sent in the window, but for `all`, which counts from start to stop. A packet is
//          lost that did not come before `graceMs` of silence behind the last one that was sent.
#include "dpdk/eal.hpp"
#include "dpdk/jobs.hpp"
#include "jobs/device_session.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/latency.hpp"
#include "lab/ports/tester.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace reframer::dpdk {

namespace {

using lab::Json;

TesterConfig read_config(lab::SpecReader &in)
{
	TesterConfig config;
	config.tx = in.needed("tx");
	config.rx = in.text("rx", config.tx);
	in.read("queues", config.nb_queues, 1, 64);
	in.read("rxQueues", config.nb_rx_queues, 0, 64);
	in.read("cores", config.nb_cores, 1, 2);
	in.read("descriptors", config.nb_descriptors, 64, 16384);
	in.read("buckets", config.buckets, 1, 4096);
	in.read("frames", config.nb_frames, 1, 1u << 22);
	in.read("longest", config.longest, 128, 9014);
	config.port.read(in);
	Json trial = {{"queues", 1}, {"dma", "dram"}, {"offeredBps", 10e9}};
	for (const char *name : {"source", "seed"})
		if (const Json *value = in.take(name))
			trial[name] = *value;
	config.source = lab::parse_trial_spec(trial);
	return config;
}

TesterLoad read_load(const Json &json)
{
	lab::SpecReader in(json, "start");
	in.take("do");
	TesterLoad load;
	in.read("bps", load.bps, 0, 1e13);
	in.read("pps", load.pps, 0, 1e10);
	const auto ms = [&](const char *name, double otherwise) {
		return uint64_t(in.real(name, otherwise, 0, 3.6e6) * 1e6);
	};
	load.warmup_ns = ms("warmupMs", 0);
	load.window_ns = ms("windowMs", 0);
	load.grace_ns = ms("graceMs", 200);
	in.read("packets", load.packets, 0, 1e12);
	in.read("inFlight", load.in_flight, 0, 1u << 20);
	in.finish();
	return load;
}

Json record_of(const TesterResult &r)
{
	const TesterCounts &w = r.phases[window];
	uint64_t sent = 0, received = 0, out_of_order = 0, duplicates = 0;
	for (const TesterCounts &c : r.phases) {
		sent += c.sent;
		received += c.received;
		out_of_order += c.out_of_order;
		duplicates += c.duplicates;
	}
	const double s = r.window_seconds;
	using lab::ratio;
	return lab::joined(NAMED(w.sent, w.received, w.out_of_order, w.duplicates, r.foreign, r.refused,
	                         r.late_ns, r.reached_share, r.stragglers_ns),
	                   {{"seconds", s},
	                    {"lost", w.sent - std::min(w.sent, w.received)},
	                    {"offeredBps", ratio(double(w.bits), s)},
	                    {"receivedBps", ratio(double(w.received_bits), s)},
	                    {"offeredPps", ratio(double(w.sent), s)},
	                    {"receivedPps", ratio(double(w.received), s)},
	                    {"latencyNs", lab::whole_latency(w.latency)},
	                    {"all", NAMED(sent, received, out_of_order, duplicates)}});
}

Json answer(Tester &tester, const lab::SessionCommand &command)
{
	const std::string &what = command.what;
	if (what == "start") {
		tester.start(read_load(command.whole));
		return {{"started", true}};
	}
	if (what == "sample")
		return {{"sending", tester.sending()},
		        {"sent", tester.sent()},
		        {"received", tester.received()}};
	if (what == "stop")
		return {{"result", record_of(tester.stop(command.whole.value("now", false)))}};
	return command.unknown();
}

} // namespace

void run_tester(const Json &spec)
{
	lab::SpecReader in(spec, "");
	const auto eal = in.texts("eal", {"--no-huge", "--no-shconf", "-m", "512"});
	const TesterConfig config = read_config(in);
	const PollerWish wish = {in.boolean("siblings", false), config.tx};
	in.finish();

	lab::SessionInput input;
	PollerCpus cpus(eal, wish);
	cpus.start_eal(config.nb_cores);
	Tester tester(config, cpus);
	Json ready = {{"flows", tester.flows()}};
	for (uint32_t c = 0; c < config.nb_cores; c++)
		ready["cpus"].push_back(cpus.text(c));
	for (const PortGrant &port : tester.grants())
		ready["ports"].push_back(port.record);
	lab::emit({{"ready", ready}});
	while (const std::optional<lab::SessionCommand> command = input.command()) {
		try {
			lab::emit(answer(tester, *command));
		} catch (const lab::JobError &error) { // of a command; the next may be sound
			lab::emit({{"failed", error.what()}});
		}
	}
}

} // namespace reframer::dpdk
