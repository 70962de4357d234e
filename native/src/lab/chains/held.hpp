// A chain behind the reframing stage: what leaves the hold goes to it, in bursts of the same size.
#pragma once

#include "lab/chains/contender.hpp"
#include "lab/stage.hpp"
#include "reframer/reframer.h"

#include <vector>

namespace reframer::lab::chains {

struct Hold {
	enum reframer_policy policy = REFRAMER_FIXED;
	uint64_t delay_ns = 0; // T; adaptive: at most
};

class Held final : public Contender {
public:
	Held(std::unique_ptr<Contender> chain, const Hold &hold, uint64_t seed);

	void take(nf::Mbuf **packets, uint32_t n, uint64_t now_ns) override;
	void finish(uint64_t now_ns) override;
	uint64_t counted() override { return chain_->counted(); }
	uint64_t digest() override { return chain_->digest(); }
	uint64_t bytes() override { return chain_->bytes(); }

	// Of the time that packets spent in the stage, since reset_stats().
	double hold_us(double quantile) const;
	// Packets a run, where they leave.
	double run_length() const;
	void reset_stats() { reframer_reset_stats(stage_.get()); }
	// Of packets that the chain works on, how long they take: for the adaptive policy.
	void report(uint64_t busy_ns, uint64_t all_ns, uint32_t packets);

private:
	static constexpr uint32_t burst = 32, room = 4096;
	void release(uint64_t now_ns, bool all);

	std::unique_ptr<Contender> chain_;
	api::Stage stage_;
	nf::Mbuf *out_[room];
	reframer_run runs_[room];
	uint32_t wire_[burst], hash_[burst];
};

} // namespace reframer::lab::chains
