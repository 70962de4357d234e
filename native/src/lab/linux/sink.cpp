// Job `linux-sink`: counts what comes to an interface of this network namespace, and drops it. Talked to
// as in device_session.hpp; it leaves nothing behind, however it ends.
//
//   {"do":"begin"}   {"begun":true}: forgets all; each flow begins anew
//   {"do":"read"}    {"frames","bytes","outOfOrder","gaps","others","delayP50Us","delayP99Us"}; see arrivals.hpp
//
// Specification: {"interface", "flows"}. The first record is {"ready":{}}.
#include "jobs/device_session.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/linux/arrivals.hpp"

namespace reframer::lab {

namespace {

Json answer(Arrivals &arrivals, const Json &command)
{
	const std::string what = command.at("do").get<std::string>();
	if (what == "begin") {
		arrivals.begin();
		return {{"begun", true}};
	}
	if (what != "read")
		return {{"failed", "'" + what + "' is no command"}};
	const ArrivalCounts counts = arrivals.read();
	const ArrivalDelays delays = arrivals.delays();
	return {{"frames", counts.frames},           {"bytes", counts.bytes},
	        {"outOfOrder", counts.out_of_order}, {"gaps", counts.gaps},
	        {"others", counts.others},           {"delayP50Us", delays.p50_us},
	        {"delayP99Us", delays.p99_us}};
}

} // namespace

void run_linux_sink(const Json &spec)
{
	SpecReader in(spec, "");
	const std::string interface = in.text("interface", "");
	const auto flows = static_cast<uint32_t>(in.integer("flows", 32768, 1, 32768));
	in.finish();
	SessionInput input;
	Arrivals arrivals(interface, flows);
	emit({{"ready", Json::object()}});
	while (const std::optional<std::string> line = input.line())
		emit(answer(arrivals, Json::parse(*line)));
}

} // namespace reframer::lab
