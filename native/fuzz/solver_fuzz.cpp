// Any bytes as problems of the solver, every method, and as epochs of the balancer: bad numbers are
// refused, answers are assignments to active cores that keep pinned buckets in place, what is
// reported is what was done, and ours is never worse than what it was given.
#include "bytes.hpp"
#include "reframer/rsspp.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <vector>

using reframer::fuzz::Bytes;

namespace {

constexpr uint32_t max_buckets = 64, max_cores = 12;
// Beyond this the search for the exact answer takes longer than all else together.
constexpr uint32_t exact_buckets = 7, exact_cores = 3;

void expect(bool right, const char *what)
{
	reframer::fuzz::expect(right, "solver", what);
}

float load_of(Bytes &in)
{
	const uint32_t kind = in.byte();
	switch (kind % 16) {
	case 0:
		return in.real();
	case 1:
		return 0;
	case 2:
		return 1e-30f;
	case 3:
		return 3e38f;
	default:
		return float(kind) / 256;
	}
}

void solve(Bytes &in)
{
	static rsspp_solver *const solver = [] {
		rsspp_solver *made = nullptr;
		expect(rsspp_solver_create(max_buckets, max_cores, &made) == 0, "create");
		return made;
	}();
	const uint32_t kind = in.byte();
	const auto method = rsspp_method(in.below(6));
	rsspp_problem p = {};
	p.nb_buckets = in.below(method == RSSPP_EXACT ? exact_buckets : max_buckets + 2);
	p.nb_cores = in.below(method == RSSPP_EXACT ? exact_cores : max_cores + 2);
	// Blocks of their own: the sanitizer sees the first element too far.
	std::vector<float> load(p.nb_buckets);
	std::vector<uint16_t> owner(p.nb_buckets), answer(p.nb_buckets), node(p.nb_cores);
	std::vector<uint8_t> active(p.nb_cores), pinned(p.nb_buckets);
	for (uint32_t c = 0; c < p.nb_cores; c++) {
		active[c] = in.byte() & 3 ? 1 : 0;
		node[c] = uint16_t(in.byte() & 1);
	}
	for (uint32_t b = 0; b < p.nb_buckets; b++) {
		load[b] = load_of(in);
		owner[b] = uint16_t(kind & 1 ? in.byte() : in.byte() % std::max(1u, p.nb_cores));
		pinned[b] = in.byte() & 7 ? 0 : 1;
	}
	p.bucket_load = load.data();
	p.owner = owner.data();
	p.active = kind & 2 ? active.data() : nullptr;
	p.pinned = kind & 4 ? pinned.data() : nullptr;
	p.node = kind & 8 ? node.data() : nullptr;
	p.tolerance = kind & 16 ? in.real() : 0;
	p.node_penalty = kind & 32 ? in.real() : 0;

	bool sound = p.nb_buckets > 0 && p.nb_buckets <= max_buckets && p.nb_cores > 0 &&
	             p.nb_cores <= max_cores && method <= RSSPP_EXACT &&
	             (!p.active || std::count(active.begin(), active.end(), 1) > 0);
	double total = 0;
	for (uint32_t b = 0; b < p.nb_buckets; b++) {
		sound = sound && load[b] >= 0 && std::isfinite(load[b]) && owner[b] < p.nb_cores;
		total += load[b];
	}
	// Loads whose sum is no number are refused too.
	sound = sound && std::isfinite(float(total));
	// Whoever passes one array for both gets the same answer.
	std::vector<uint16_t> in_place = owner;
	rsspp_solution s = {};
	const int result = rsspp_solve(solver, method, &p, answer.data(), &s);
	if (total < 3e38 || total > 4e38) // rounding decides in between
		expect(result == (sound ? 0 : -EINVAL) ||
		           (sound && result == -E2BIG && method == RSSPP_EXACT),
		       "result");
	if (result != 0)
		return;

	std::vector<double> worst(p.nb_cores);
	bool moved_in = false;
	uint32_t moves = 0;
	for (uint32_t b = 0; b < p.nb_buckets; b++) {
		const bool idle = p.active && !active[owner[b]];
		expect(answer[b] < p.nb_cores, "owner exists");
		expect(!p.active || active[answer[b]], "owner is active");
		expect(idle || !p.pinned || !pinned[b] || answer[b] == owner[b], "pinned bucket stays");
		worst[answer[b]] += load[b];
		moves += !idle && answer[b] != owner[b];
		moved_in = moved_in || idle;
	}
	const double heaviest = *std::max_element(worst.begin(), worst.end());
	const double close = 1e-4 * total + 1e-30;
	expect(std::fabs(heaviest - double(s.worst_after)) <= close, "worst core as reported");
	expect(double(s.worst_after) >= double(s.lower_bound) - close, "not below the lower bound");
	expect(moves <= s.nb_moves, "moves as reported");
	if (method == RSSPP_STATIC)
		expect(moves == 0, "static moves nothing");
	if ((method == RSSPP_OURS || method == RSSPP_EXACT) && !moved_in)
		expect(double(s.worst_after) <= double(s.worst_before) + close, "never worse than before");
	p.owner = in_place.data();
	rsspp_solution again = {};
	expect(rsspp_solve(solver, method, &p, in_place.data(), &again) == 0 && in_place == answer,
	       "in place");
}

void balance(Bytes &in)
{
	rsspp_balancer_params params;
	rsspp_balancer_default_params(&params);
	params.nb_buckets = 2 + in.below(40);
	params.nb_cores = 1 + in.below(6);
	params.method = in.below(4);
	params.autoscale = in.byte() & 1;
	params.min_cores = 1 + in.below(2);
	params.hold_epochs = in.below(4);
	params.shrink_epochs = in.below(4);
	const uint32_t odd = in.byte();
	if (odd & 1)
		params.target_load = in.real();
	if (odd & 2)
		params.threshold = in.real();
	if (odd & 4)
		params.trend = in.real();
	if (odd & 8)
		params.smoothing = in.real();
	if (odd & 16)
		params.tolerance = in.real();
	rsspp_balancer *balancer = nullptr;
	if (rsspp_balancer_create(&params, &balancer) != 0)
		return;
	std::vector<uint64_t> packets(params.nb_buckets);
	std::vector<float> load(params.nb_cores), fill(params.nb_cores);
	std::vector<rsspp_move> moves(params.nb_buckets);
	std::vector<uint16_t> table(rsspp_balancer_table(balancer),
	                            rsspp_balancer_table(balancer) + params.nb_buckets);
	while (!in.empty()) {
		const uint32_t operation = in.byte();
		if (operation % 8 == 6)
			rsspp_balancer_remove_core(balancer, uint16_t(in.below(8)));
		if (operation % 8 == 7)
			rsspp_balancer_restore_core(balancer, uint16_t(in.below(8)));
		for (uint64_t &count : packets) // a counter that jumps back is a counter that was reset
			count = operation & 0x80 ? uint64_t(in.byte()) << 56 : count + in.byte() * 100;
		for (uint32_t c = 0; c < params.nb_cores; c++) {
			load[c] = operation & 0x40 ? in.real() : float(in.byte()) / 255;
			fill[c] = float(in.byte()) / 255;
		}
		const rsspp_epoch epoch = {packets.data(), load.data(),
		                           operation & 0x20 ? fill.data() : nullptr, nullptr};
		rsspp_report report = {};
		const int n = rsspp_balancer_step(balancer, &epoch, moves.data(), &report);
		if (n < 0)
			continue;
		expect(uint32_t(n) <= params.nb_buckets, "at most a move a bucket");
		expect(report.nb_active >= 1 && report.nb_active <= params.nb_cores, "active cores");
		for (int i = 0; i < n; i++) {
			expect(moves[i].bucket < params.nb_buckets && moves[i].to < params.nb_cores,
			       "a move inside the table");
			expect(moves[i].from == table[moves[i].bucket] && moves[i].to != moves[i].from,
			       "a move from its owner");
			table[moves[i].bucket] = moves[i].to;
		}
		expect(std::equal(table.begin(), table.end(), rsspp_balancer_table(balancer)),
		       "table is the sum of moves");
		if (n > 0 && operation & 0x10) { // a write that was refused, wholly or in part
			const uint32_t refused = 1 + in.below(uint32_t(n));
			expect(rsspp_balancer_reject(balancer, moves.data(), refused) == 0, "reject");
			for (uint32_t i = 0; i < refused; i++)
				table[moves[i].bucket] = moves[i].from;
			expect(std::equal(table.begin(), table.end(), rsspp_balancer_table(balancer)),
			       "table after a refusal");
		}
	}
	rsspp_balancer_free(balancer);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 2000)
		return 0;
	Bytes in(data, size);
	if (in.byte() & 1)
		balance(in);
	else
		solve(in);
	return 0;
}
