// Job `pipeline`: RSS++, Reframer, flow tracker and chain in one program, a thread for each core.
//
// spec   {"packets": 1000000, "seed": 1, "cores": 3, "buckets": 128, "flows": 20000, "movesEvery": 4096
//         (packets), "moves": 8 (buckets at a time), "delayUs": 64} (all optional)
// record {"packets","passed","dropped" (by the firewall), "lost","reordered","stateErrors","flows",
//         "runs","moves","held","forwarded","handedOver","seconds","seed"}; exit code 1 when lost,
//         reordered or stateErrors is not 0.
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/pipeline.hpp"

#include <bit>

namespace reframer::lab {

void run_pipeline_job(const Json &spec)
{
	SpecReader in(spec, "");
	PipelineSpec p;
	in.read("packets", p.packets, 1, 1e12);
	in.read("seed", p.seed, 0, UINT32_MAX);
	in.read("cores", p.cores, 1, 64);
	in.read("buckets", p.buckets, 2, 4096);
	if (!std::has_single_bit(p.buckets))
		in.fail("buckets", "must be a power of two");
	in.read("flows", p.flows, 1, 1 << 22);
	in.read("movesEvery", p.moves_every, 1, UINT32_MAX);
	in.read("moves", p.moves, 0, 4096);
	p.delay_ns = uint64_t(in.real("delayUs", 64, 0, 1e6) * 1e3);
	in.finish();
	const PipelineResult r = run_pipeline(p);
	emit(NAMED(r.packets, r.passed, r.dropped, r.lost, r.reordered, r.state_errors, r.flows, r.runs,
	           r.moves, r.held, r.forwarded, r.handed_over, r.seconds, p.seed));
	if (r.lost != 0 || r.reordered != 0 || r.state_errors != 0)
		throw JobError(
			"promise-broken",
			"packets were lost or reordered, or a flow's state did not move with its bucket");
}

} // namespace reframer::lab
