#include "lab/chains/held.hpp"

#include <algorithm>

namespace reframer::lab::chains {

Held::Held(std::unique_ptr<Contender> chain, const Hold &hold, uint64_t seed)
	: chain_(std::move(chain))
{
	reframer_params p;
	reframer_default_params(&p);
	p.policy = hold.policy;
	p.delay_ns = hold.delay_ns;
	p.max_packets = room;
	p.hash_seed = seed | 1;
	stage_ = make_stage(p);
}

void Held::take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns)
{
	for (uint32_t i = 0; i < n; i++) {
		wire_[i] = packets[i]->wire;
		hash_[i] = packets[i]->rss;
	}
	const reframer_burst in = {
		reinterpret_cast<void **>(packets), nullptr, nullptr, wire_, hash_, n};
	if (reframer_passes(stage_.get())) {
		// The stage has to see what passes, or it would never find that holding pays again.
		reframer_pass(stage_.get(), &in, now_ns);
		chain_->take(packets, n, now_ns);
		return;
	}
	reframer_push(stage_.get(), &in, now_ns);
	release(now_ns, false);
}

void Held::finish(uint64_t now_ns)
{
	release(now_ns, true);
	chain_->finish(now_ns);
	passed = chain_->passed;
	dropped = chain_->dropped;
}

void Held::release(uint64_t now_ns, bool all)
{
	for (;;) {
		uint32_t nb_runs = room;
		auto **out = reinterpret_cast<void **>(out_);
		const uint32_t n = all ? reframer_drain(stage_.get(), now_ns, out, room, runs_, &nb_runs)
		                       : reframer_poll(stage_.get(), now_ns, out, room, runs_, &nb_runs);
		for (uint32_t first = 0; first < n; first += burst)
			chain_->take(out_ + first, std::min(burst, n - first), now_ns);
		if (n < room)
			return;
	}
}

double Held::hold_us(double q) const
{
	uint64_t packets[REFRAMER_HISTOGRAM_BUCKETS];
	reframer_hold_histogram(stage_.get(), packets, REFRAMER_HISTOGRAM_BUCKETS);
	return static_cast<double>(reframer_hold_quantile(packets, REFRAMER_HISTOGRAM_BUCKETS, q)) /
	       1000;
}

double Held::run_length() const
{
	reframer_stats stats;
	reframer_get_stats(stage_.get(), &stats);
	return stats.runs_out
	           ? static_cast<double>(stats.packets_out) / static_cast<double>(stats.runs_out)
	           : 0;
}

void Held::report(uint64_t busy_ns, uint64_t all_ns, uint32_t packets)
{
	const reframer_load load = {0, 1024, busy_ns, all_ns, packets};
	reframer_report_load(stage_.get(), &load);
}

} // namespace reframer::lab::chains
