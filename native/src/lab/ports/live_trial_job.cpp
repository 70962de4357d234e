// Job `live-trial`: the trial of trial_job.cpp as a device under test: its load comes over the wire, from
// a tester that may be another machine. Commands come as JSON lines on stdin, each gets one record.
//
// spec    that of `trial` without source and feed; `port` as there, and {"queues": 1 (a core each),
//         "siblings", and what PortWish in dpdk/ports.hpp tells}
// ready   {"ready":{"cpus","ports"}}
//   {"do":"window"}             the tester's window begins: {"window":"open"}
//   {"do":"close"}              ... and ends: {"window":"closed"}
//   {"do":"sample"}             {"received"}
//   {"do":"stop"}               drains; the record of `trial`, with "lanes", as {"record":RECORD}. Costs,
//                               throughput, SLF, holds and latency (from the poll that received a packet)
//                               are of the window, checks and drops of all. What arrived is what the port gave.
//   end of input, SIGTERM       ends
#include "dpdk/eal.hpp"
#include "dpdk/jobs.hpp"
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/ports/live_trial.hpp"

#include <string>

namespace reframer::dpdk {

using lab::Json;

void run_live_trial(const Json &json)
{
	LiveParams params;
	Json rest = json;
	const Json port = json.value("port", Json::object());
	lab::SpecReader in(port, "port");
	in.read("queues", params.nb_queues, 1, 64);
	const bool siblings = in.boolean("siblings", false);
	params.port.read(in);
	for (const char *name : {"queues", "siblings", "rssKey", "hashFields", "offloads", "retaSize",
	                         "mtu", "promiscuous"})
		if (rest.contains("port"))
			rest["port"].erase(name);
	if (port.contains("feed") || port.contains("clock"))
		in.fail(port.contains("feed") ? "feed" : "clock", "belongs to a trial that loads itself");
	params.trial = read_dpdk_trial(rest);
	params.trial.trial.queues = params.nb_queues;

	lab::SessionInput input;
	PollerCpus cpus(params.trial.eal, {siblings, params.trial.in});
	cpus.start_eal(params.nb_queues);
	LiveTrial trial(params, cpus);
	Json ready = Json::object();
	for (uint32_t c = 0; c < params.nb_queues; c++)
		ready["cpus"].push_back(cpus.text(c));
	for (const PortGrant &grant : trial.grants())
		ready["ports"].push_back(grant.record);
	lab::emit({{"ready", ready}});
	while (const std::optional<lab::SessionCommand> command = input.command()) {
		const std::string &what = command->what;
		if (what == "window") {
			trial.open_window();
			lab::emit({{"window", "open"}});
		} else if (what == "close") {
			trial.close_window();
			lab::emit({{"window", "closed"}});
		} else if (what == "sample") {
			lab::emit({{"received", trial.received()}});
		} else if (what == "stop") {
			Json record = dpdk_trial_record(params.trial, trial.stop());
			record["lanes"] = params.nb_queues;
			lab::emit({{"record", record}});
			return;
		} else {
			lab::emit(command->unknown());
		}
	}
}

} // namespace reframer::dpdk
