// Job `pipeline`: RSS++, Reframer, flow tracker and chain in one program, a thread for each core.
//
// spec   {"packets": 1000000, "seed": 1, "cores": 3, "buckets": 128, "flows": 20000, "movesEvery": 4096
//         (packets), "moves": 8 (buckets at a time), "delayUs": 64} (all optional)
// record {"packets","passed","dropped" (by the firewall), "lost","reordered","stateErrors","flows",
//         "runs","moves","held","forwarded","handedOver","seconds","seed"}; exit code 1 when lost,
//         reordered or stateErrors is not 0.
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/rsspp/pipeline.hpp"

#include <bit>

namespace reframer::lab {

void run_pipeline_job(const Json &spec)
{
	SpecReader in(spec, "");
	PipelineSpec p;
	p.packets = in.integer("packets", p.packets, 1, 1'000'000'000'000);
	p.seed = in.integer("seed", p.seed, 0, UINT32_MAX);
	p.cores = uint32_t(in.integer("cores", p.cores, 1, 64));
	p.buckets = uint32_t(in.integer("buckets", p.buckets, 2, 4096));
	if (!std::has_single_bit(p.buckets))
		in.fail("buckets", "must be a power of two");
	p.flows = uint32_t(in.integer("flows", p.flows, 1, 1 << 22));
	p.moves_every = uint32_t(in.integer("movesEvery", p.moves_every, 1, UINT32_MAX));
	p.moves = uint32_t(in.integer("moves", p.moves, 0, 4096));
	p.delay_ns = uint64_t(in.real("delayUs", 64, 0, 1e6) * 1e3);
	in.finish();
	const PipelineResult r = run_pipeline(p);
	emit({{"packets", r.packets},
	      {"passed", r.passed},
	      {"dropped", r.dropped},
	      {"lost", r.lost},
	      {"reordered", r.reordered},
	      {"stateErrors", r.state_errors},
	      {"flows", r.flows},
	      {"runs", r.runs},
	      {"moves", r.moves},
	      {"held", r.held},
	      {"forwarded", r.forwarded},
	      {"handedOver", r.handed_over},
	      {"seconds", r.seconds},
	      {"seed", p.seed}});
	if (r.lost != 0 || r.reordered != 0 || r.state_errors != 0)
		throw JobError(
			"promise-broken",
			"packets were lost or reordered, or a flow's state did not move with its bucket");
}

} // namespace reframer::lab
