// Job `reorder`: writes a capture as it would leave Reframer.
//
// Specification: {"in", "out", "delayNs": 64000, "rate": "native" | bits per second,
//   "policy": "fixed" | "adaptive" | "burst", "key": "5tuple" | "symmetric" | "destination" |
//   "inner", "maxBurst": packets (default: no limit), "keepGoing": false, "seed": 1}
// "native" takes the capture's own times; a rate puts the frames back to back on an Ethernet wire.
// "burst" takes up to 32 packets, or what comes within delayNs, as one RX burst. "adaptive" runs
// without a load to follow: only its own measure of the gain moves T.
//
// One record:
//   in, out, format (of OUT), packetsIn, packetsOut, bytesIn, bytesOut (captured), slfIn, slfOut,
//   ratio: slfOut / slfIn (flows are those of the grouping key)
//   holdMaxUs, holdP50Us, flowsReordered (found by an own check of every packet; 0 or the job fails)
//   released: groups by reason; timeBackwards, delayUs, rate, policy, key, seed, warnings, damage
// OUT takes its name only when it is complete.
#include "jobs/spec_reader.hpp"
#include "lab/captures/reorder_run.hpp"

namespace reframer::lab {
namespace {

struct Spec {
	std::string in, out;
	bool keep_going;
	ReorderOptions options;
	Json rate;
	std::string policy, key;
};

Spec read_spec(const Json &json)
{
	SpecReader reader(json, "");
	Spec spec;
	spec.in = reader.text("in", "");
	spec.out = reader.text("out", "");
	if (spec.in.empty())
		reader.fail("in", "must name the capture to read");
	if (spec.out.empty())
		reader.fail("out", "must name the capture to write");
	spec.keep_going = reader.boolean("keepGoing", false);

	ReorderOptions &o = spec.options;
	o.delay_ns = reader.integer("delayNs", o.delay_ns, 0, REFRAMER_MAX_DELAY_NS);
	o.max_burst = static_cast<uint32_t>(reader.integer("maxBurst", o.max_burst, 1, UINT32_MAX));
	o.seed = reader.integer("seed", o.seed, 1, 1ull << 53);
	spec.rate = "native";
	if (reader.has("rate") && json.at("rate").is_number()) {
		// 1 kbit/s: the slowest at which 2^63 bits of frames still have a time.
		o.rate_bps = reader.integer("rate", 0, 1000, 1'000'000'000'000);
		spec.rate = o.rate_bps;
	} else if (reader.text("rate", "native") != "native") {
		reader.fail("rate", "must be \"native\" or a number of bits per second");
	}
	o.policy = reader.choice<uint32_t>(
		"policy", REFRAMER_FIXED,
		{{"fixed", REFRAMER_FIXED}, {"adaptive", REFRAMER_ADAPTIVE}, {"burst", REFRAMER_BURST}});
	o.key = reader.choice("key", packet::KeyKind::five_tuple,
	                      {{"5tuple", packet::KeyKind::five_tuple},
	                       {"symmetric", packet::KeyKind::symmetric},
	                       {"destination", packet::KeyKind::destination},
	                       {"inner", packet::KeyKind::inner}});
	spec.policy = reader.text("policy", "fixed");
	spec.key = reader.text("key", "5tuple");
	reader.finish();
	return spec;
}

std::vector<std::string> warnings_of(const CaptureInput &input, const ReorderRun &run,
                                     const Spec &spec, const reframer_stats &stats)
{
	std::vector<std::string> said = input.warnings();
	if (spec.options.rate_bps == 0 && run.time_stood_still())
		said.push_back("all time stamps are equal: packets left only at the bound of what is held "
		               "and at the end; give a rate");
	if (spec.options.rate_bps == 0 && run.time_backwards())
		said.push_back("the clock steps back " + std::to_string(run.time_backwards()) +
		               " times; it was held at the latest time");
	if (stats.released[REFRAMER_BY_CAPACITY])
		said.push_back(std::to_string(stats.released[REFRAMER_BY_CAPACITY]) +
		               " groups left before their time because the bound of what is held was "
		               "reached");
	return said;
}

Json record_of(const Spec &spec, const CaptureInput &input, const ReorderRun &run,
               const traffic::CaptureWriter &output)
{
	const reframer_stats stats = run.stats();
	return {{"in", spec.in},
	        {"out", spec.out},
	        {"format", output.format()},
	        {"packetsIn", run.packets_in()},
	        {"packetsOut", run.packets_out()},
	        {"bytesIn", run.bytes_in()},
	        {"bytesOut", run.bytes_out()},
	        {"slfIn", run.slf_in()},
	        {"slfOut", run.slf_out()},
	        {"ratio", run.slf_in() > 0 ? run.slf_out() / run.slf_in() : 1.0},
	        {"holdMaxUs", static_cast<double>(run.hold_max_ns()) / 1000},
	        {"holdP50Us", run.hold_p50_ns() / 1000},
	        {"flowsReordered", run.flows_reordered()},
	        {"released",
	         {{"deadline", stats.released[REFRAMER_BY_DEADLINE]},
	          {"burst", stats.released[REFRAMER_BY_BURST]},
	          {"capacity", stats.released[REFRAMER_BY_CAPACITY]},
	          {"drain", stats.released[REFRAMER_BY_DRAIN]}}},
	        {"timeBackwards", run.time_backwards()},
	        {"delayUs", static_cast<double>(spec.options.delay_ns) / 1000},
	        {"rate", spec.rate},
	        {"policy", spec.policy},
	        {"key", spec.key},
	        {"seed", spec.options.seed},
	        {"warnings", warnings_of(input, run, spec, stats)},
	        {"damage", input.damage()}};
}

} // namespace

void run_reorder(const Json &json)
{
	const Spec spec = read_spec(json);
	CaptureInput input(spec.in, spec.keep_going, ReorderRun::max_batches);
	try {
		traffic::CaptureWriter output(spec.out, {spec.in});
		ReorderRun run(input, output, spec.options);
		Progress progress("packets");
		run.run(progress);
		if (run.packets_in() != run.packets_out() || run.bytes_in() != run.bytes_out() ||
		    run.flows_reordered() != 0)
			throw JobError("self-check", "the output is wrong and was not kept: " +
			                                 std::to_string(run.packets_in()) + " packets in, " +
			                                 std::to_string(run.packets_out()) + " out, " +
			                                 std::to_string(run.flows_reordered()) +
			                                 " flows out of order; report this with the capture");
		const auto &interfaces = input.reader().interfaces();
		output.finish(interfaces.empty() ? 1 : interfaces.front().link_field);
		emit(record_of(spec, input, run, output));
	} catch (const traffic::CaptureError &e) {
		throw job_error(e);
	}
}

} // namespace reframer::lab
