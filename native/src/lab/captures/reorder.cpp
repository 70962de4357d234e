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
	bool keep_going = false;
	ReorderOptions options;
	Json rate = "native";
	std::string policy, key;
};

Spec read_spec(const Json &json)
{
	SpecReader reader(json, "");
	Spec spec;
	spec.in = reader.needed("in", "must name the capture to read");
	spec.out = reader.needed("out", "must name the capture to write");
	reader.read("keepGoing", spec.keep_going);

	ReorderOptions &o = spec.options;
	reader.read("delayNs", o.delay_ns, 0, REFRAMER_MAX_DELAY_NS);
	reader.read("maxBurst", o.max_burst, 1, UINT32_MAX);
	reader.read("seed", o.seed, 1, 1ull << 53);
	if (reader.has("rate") && json.at("rate").is_number()) {
		// 1 kbit/s: the slowest at which 2^63 bits of frames still have a time.
		reader.read("rate", o.rate_bps, 1000, 1e12);
		spec.rate = o.rate_bps;
	} else if (reader.text("rate", "native") != "native") {
		reader.fail("rate", "must be \"native\" or a number of bits per second");
	}
	reader.read(
		"policy", o.policy,
		{{"fixed", REFRAMER_FIXED}, {"adaptive", REFRAMER_ADAPTIVE}, {"burst", REFRAMER_BURST}});
	reader.read("key", o.key,
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
	const double slf_in = run.in().slf(), slf_out = run.out().slf();
	return joined(NAMED(spec.in, spec.out, output.format(), slf_in, slf_out, run.flows_reordered(),
	                    run.time_backwards(), spec.rate, spec.policy, spec.key, spec.options.seed,
	                    input.damage()),
	              {{"packetsIn", run.in().packets},
	               {"packetsOut", run.out().packets},
	               {"bytesIn", run.in().bytes},
	               {"bytesOut", run.out().bytes},
	               {"ratio", slf_in > 0 ? slf_out / slf_in : 1.0},
	               {"holdMaxUs", static_cast<double>(run.hold_max_ns()) / 1000},
	               {"holdP50Us", run.hold_p50_ns() / 1000},
	               {"released",
	                {{"deadline", stats.released[REFRAMER_BY_DEADLINE]},
	                 {"burst", stats.released[REFRAMER_BY_BURST]},
	                 {"capacity", stats.released[REFRAMER_BY_CAPACITY]},
	                 {"drain", stats.released[REFRAMER_BY_DRAIN]}}},
	               {"delayUs", static_cast<double>(spec.options.delay_ns) / 1000},
	               {"warnings", warnings_of(input, run, spec, stats)}});
}

} // namespace

void run_reorder(const Json &json)
{
	const Spec spec = read_spec(json);
	CaptureInput input(spec.in, spec.keep_going, ReorderRun::max_batches);
	traffic::CaptureWriter output(spec.out, {spec.in});
	ReorderRun run(input, output, spec.options);
	Progress progress("packets");
	run.run(progress);
	const auto &[in, out] = std::pair(run.in(), run.out());
	if (in.packets != out.packets || in.bytes != out.bytes || run.flows_reordered() != 0)
		throw JobError("self-check",
		               "the output is wrong and was not kept: " + std::to_string(in.packets) +
		                   " packets in, " + std::to_string(out.packets) + " out, " +
		                   std::to_string(run.flows_reordered()) +
		                   " flows out of order; report this with the capture");
	const auto &interfaces = input.reader().interfaces();
	output.finish(interfaces.empty() ? 1 : interfaces.front().link_field);
	emit(record_of(spec, input, run, output));
}

} // namespace reframer::lab
