// Job `watch`: counts what comes to an interface of this network namespace, and its locality, by an XDP
// program that passes all on. Talked to as in device_session.hpp; it leaves nothing behind, however it
// ends.
//
//   {"do":"sample"}            SAMPLE, of sums since the beginning
//   {"do":"measure","on":BOOL} {"measuring":BOOL}: whether the kernel takes the time of each run
//   {"do":"stop"}, end of input, SIGTERM: the end
//
// SAMPLE {"packets","bytes","tcp","udp","icmp","other","notIp","syn","synAck","fin","rst","runs",
//         "reused":{"4","16","64"},"heldRuns":{"16","64","128"},"buckets":[...],"flows","flowsSince",
//         "runNs","runCount"}
//   heldRuns: what would be left of `runs` if each flow was held for that many us
//   flowsSince: since the last sample; estimates both
//   runNs, runCount: time and number of runs while measured
//
// Specification: {"interface"}. The first record is {"ready":{"queues","inDriver"}}.
#include "devices/watcher.hpp"
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"

namespace reframer::lab {

namespace {

Json sample(engine::Watcher &watcher)
{
	const std::unique_ptr<engine::WatchCounts> counts = watcher.read();
	const engine::WatchState &sum = counts->sum;
	Json reused = Json::object(), held = Json::object();
	for (uint32_t i = 0; i < engine::watch_nb_reuse; i++)
		reused[std::to_string(engine::watch_reuse_distances[i])] = sum.reused[i];
	for (uint32_t i = 0; i < engine::watch_nb_delays; i++)
		held[std::to_string(engine::watch_delays_ns[i] / 1000)] = sum.held_runs[i];
	const engine::BpfRuns runs = watcher.runs();
	return {{"packets", sum.packets},
	        {"bytes", sum.bytes},
	        {"tcp", sum.tcp},
	        {"udp", sum.udp},
	        {"icmp", sum.icmp},
	        {"other", sum.other},
	        {"notIp", sum.not_ip},
	        {"syn", sum.syn},
	        {"synAck", sum.syn_ack},
	        {"fin", sum.fin},
	        {"rst", sum.rst},
	        {"runs", sum.runs},
	        {"reused", reused},
	        {"heldRuns", held},
	        {"buckets", sum.buckets},
	        {"flows", counts->flows},
	        {"flowsSince", counts->flows_since},
	        {"runNs", runs.ns},
	        {"runCount", runs.count}};
}

Json answer(engine::Watcher &watcher, const Json &command)
{
	const std::string what = command.at("do").get<std::string>();
	if (what == "sample")
		return sample(watcher);
	if (what != "measure")
		return {{"failed", "'" + what + "' is no command"}};
	const bool on = command.at("on").get<bool>();
	watcher.measure(on);
	return {{"measuring", on}};
}

} // namespace

void run_watch(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string interface = in.text("interface", "");
	in.finish();
	SessionInput input;
	engine::Watcher watcher(interface);
	emit({{"ready", {{"queues", watcher.nb_queues()}, {"inDriver", watcher.in_driver()}}}});
	while (const std::optional<std::string> line = input.line()) {
		const Json command = Json::parse(*line);
		if (command.at("do") == "stop")
			break;
		emit(answer(watcher, command));
	}
}

} // namespace reframer::lab
