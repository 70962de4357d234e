// One epoch: count, predict, decide on cores, solve, and say which buckets move.
#include "api/sized.hpp"
#include "rsspp/autoscale.hpp"
#include "rsspp/params.hpp"
#include "rsspp/predict.hpp"
#include "rsspp/problem.hpp"

#include <cerrno>
#include <chrono>
#include <cmath>
#include <new>

using namespace reframer::rsspp;

namespace {

constexpr float clipped_at = 0.98f; // a core this busy may be hiding demand (authors' value)
constexpr float busy_at =
	0.9f; // one this busy will drop or delay if its load rises: epochs are short
// And for so long after: what was levelled closely under load stays level.
constexpr uint64_t busy_for_us = 1'000'000;
constexpr float queue_weight = 0.1f; // full queue against full load, to rank clipped cores (theirs)
constexpr float most_behind = 1.0f;  // an epoch of waiting packets at most
constexpr float imbalance_cap = 2000.0f; // percent, as in the published figures
constexpr float default_tolerance = 0.009f;
constexpr float error_weight = 0.2f; // of the newest prediction error in its average
constexpr float error_share =
	1.0f; // of that error to which levelling goes; 0.5 to 1.5 differ little on campus traffic
constexpr float most_tolerance = 0.05f;
constexpr float least_gain = 0.002f; // hysteresis under a load that stands still

} // namespace

struct rsspp_balancer {
	explicit rsspp_balancer(const rsspp_balancer_params &p)
		: params(p), workspace(p.nb_buckets, p.nb_cores),
		  predictor(p.nb_buckets, p.smoothing, p.trend),
		  autoscale(p.target_load, p.min_cores, p.shrink_epochs), table(p.nb_buckets),
		  next(p.nb_buckets), held(p.nb_buckets), pinned(p.nb_buckets), active(p.nb_cores, 1),
		  usable(p.nb_cores, 1), load(p.nb_cores), core_packets(p.nb_cores), expected(p.nb_cores),
		  epoch_us(p.interval_us)
	{
		if (p.node)
			node.assign(p.node, p.node + p.nb_cores);
		params.node = node.empty() ? nullptr : node.data();
		for (uint32_t b = 0; b < p.nb_buckets; b++)
			table[b] = uint16_t(b % p.nb_cores);
	}

	uint32_t nb_active() const
	{
		uint32_t count = 0;
		for (uint8_t a : active)
			count += a;
		return count;
	}
	uint32_t nb_usable() const
	{
		uint32_t count = 0;
		for (uint8_t u : usable)
			count += u;
		return count;
	}

	int step(const rsspp_epoch &epoch, rsspp_move *moves, rsspp_report &report);
	uint32_t read_loads(const rsspp_epoch &epoch);
	void scale_to(uint32_t wanted);
	void measure_packets();
	float measured_imbalance() const;
	void learn_error();
	float tolerance_now() const;
	void set_pace(bool busy, rsspp_report &report);

	rsspp_balancer_params params;
	Workspace workspace;
	Predictor predictor;
	Autoscale autoscale;
	std::vector<uint16_t> table;
	std::vector<uint16_t> next;
	std::vector<uint8_t> held; // epochs for which a bucket still stays
	std::vector<uint8_t> pinned;
	std::vector<uint8_t> active;
	std::vector<uint8_t> usable; // not dead
	std::vector<uint16_t> node;
	std::vector<float> load;
	std::vector<uint64_t> core_packets; // of the epoch that ended
	std::vector<float> expected; // packets that each core was to get in it, by the counts before
	float error = 0;             // smoothed: how far off that was, as a share of the mean
	uint64_t epochs = 0;
	uint64_t busy_left_us = 0; // for which epochs stay short
	uint32_t epoch_us;         // length of the running one
};

// Loads as the solver sees them; returns the cores that may be hiding demand.
uint32_t rsspp_balancer::read_loads(const rsspp_epoch &epoch)
{
	uint32_t clipped = 0;
	for (uint32_t c = 0; c < params.nb_cores; c++) {
		const float seen = std::isfinite(epoch.core_load[c]) ? epoch.core_load[c] : 0.0f;
		load[c] = std::clamp(seen, 0.0f, 1.0f);
		if (load[c] < clipped_at || !active[c])
			continue;
		// What is no number is no backlog.
		const float given = epoch.queue_fill ? epoch.queue_fill[c] : 0.0f;
		const float fill = given > 0 ? std::min(given, 1.0f) : 0.0f;
		clipped += !epoch.queue_fill || fill > 0.25f;
		// What waits costs as much as what was served.
		if (epoch.waiting && core_packets[c] > 0)
			load[c] *= 1 + std::min(most_behind, float(epoch.waiting[c]) / float(core_packets[c]));
		else
			load[c] += queue_weight * fill;
	}
	return clipped;
}

void rsspp_balancer::measure_packets()
{
	std::fill(core_packets.begin(), core_packets.end(), 0);
	for (uint32_t b = 0; b < params.nb_buckets; b++)
		core_packets[table[b]] += predictor.counts()[b];
}

// How wrong the last epoch's prediction was: root mean square over the active cores. In packets, since
// loads are clipped at 1.
void rsspp_balancer::learn_error()
{
	uint64_t total = 0;
	double squares = 0, known = 0;
	for (uint64_t p : core_packets)
		total += p;
	for (float e : expected)
		known += double(e);
	if (total > 0 && known > 0) {
		for (uint32_t c = 0; c < params.nb_cores; c++) {
			const double off =
				double(core_packets[c]) / double(total) - double(expected[c]) / known;
			squares += active[c] ? off * off : 0;
		}
		const double n = nb_active();
		error += error_weight * (float(std::sqrt(squares / n) * n) - error);
	}
}

// Levelling finer than the next epoch can be foretold costs moves and brings nothing. Unless a bucket
// is heavier than a fair share: then only its own core is at the bound, and what else that core has
// goes for good.
float rsspp_balancer::tolerance_now() const
{
	const float least = params.tolerance > 0 ? params.tolerance : default_tolerance;
	float total = 0, heaviest = 0;
	for (float l : predictor.loads()) {
		total += l;
		heaviest = std::max(heaviest, l);
	}
	if (heaviest * float(nb_active()) > total)
		return least;
	return std::max(least, std::min(error_share * error, most_tolerance));
}

float rsspp_balancer::measured_imbalance() const
{
	uint64_t most = 0, least = UINT64_MAX;
	for (uint32_t c = 0; c < params.nb_cores; c++) {
		if (!active[c])
			continue;
		most = std::max(most, core_packets[c]);
		least = std::min(least, core_packets[c]);
	}
	if (most == 0)
		return 0;
	return least == 0 ? imbalance_cap
	                  : std::min(imbalance_cap, 100.0f * float(most - least) / float(least));
}

// Where a core can be added, that is the remedy, and the number of cores is judged by ordinary epochs: the
// noise of short ones took half a core more into service in the ramp of the experiment.
void rsspp_balancer::set_pace(bool busy, rsspp_report &report)
{
	if (params.autoscale && nb_active() < nb_usable())
		busy_left_us = 0;
	else if (busy)
		busy_left_us = busy_for_us;
	epoch_us = busy_left_us > 0 ? params.busy_interval_us : params.interval_us;
	busy_left_us -= std::min<uint64_t>(busy_left_us, epoch_us);
	report.next_epoch_us = epoch_us;
}

// Gives back the least loaded cores, or takes usable ones into service, near ones first.
void rsspp_balancer::scale_to(uint32_t wanted)
{
	for (uint32_t now = nb_active(); now > wanted; now--) {
		int least = -1;
		for (uint32_t c = 0; c < params.nb_cores; c++)
			if (active[c] && (least < 0 || load[c] < load[uint32_t(least)]))
				least = int(c);
		active[uint32_t(least)] = 0;
	}
	for (uint32_t now = nb_active(); now < wanted; now++) {
		int best = -1;
		for (uint32_t c = 0; c < params.nb_cores; c++) {
			if (active[c] || !usable[c])
				continue;
			const bool near =
				node.empty() ||
				node[c] ==
					node[uint32_t(std::find(active.begin(), active.end(), 1) - active.begin())];
			if (best < 0 || near) {
				best = int(c);
				if (near)
					break;
			}
		}
		if (best < 0)
			return;
		active[uint32_t(best)] = 1;
	}
}

int rsspp_balancer::step(const rsspp_epoch &epoch, rsspp_move *moves, rsspp_report &report)
{
	const bool complete = predictor.count_epoch(epoch.packets);
	report = {};
	report.epoch = ++epochs;
	report.nb_active = nb_active();
	const float of_interval = float(epoch_us) / float(params.interval_us);
	const bool busy = std::any_of(epoch.core_load, epoch.core_load + params.nb_cores,
	                              [](float l) { return l > busy_at; });
	if (!complete) {
		set_pace(busy, report);
		return 0;
	}
	measure_packets();
	learn_error();
	report.nb_overloaded = read_loads(epoch);
	const bool clipped = report.nb_overloaded > 0;
	report.imbalance_before_percent = measured_imbalance();
	predictor.predict(table, load);

	const uint32_t before = report.nb_active;
	if (params.autoscale)
		scale_to(autoscale.decide(predictor.loads(), clipped, before, nb_usable(), of_interval));
	report.nb_active = nb_active();
	set_pace(busy, report);
	report.cores_changed = int32_t(report.nb_active) - int32_t(before);

	for (uint32_t b = 0; b < params.nb_buckets; b++) {
		pinned[b] = held[b] > 0;
		held[b] -= held[b] > 0;
	}
	rsspp_problem problem = {};
	problem.nb_buckets = params.nb_buckets;
	problem.nb_cores = params.nb_cores;
	problem.bucket_load = predictor.loads().data();
	problem.owner = table.data();
	problem.active = active.data();
	problem.pinned = pinned.data();
	problem.node = params.node;
	problem.tolerance = tolerance_now();
	problem.node_penalty = params.node_penalty;
	if (!workspace.load(problem))
		return -EINVAL;
	rsspp_solution &solution = report.solution;
	workspace.finish(solution);
	const bool must = !workspace.orphans.empty() || report.cores_changed != 0;
	const rsspp_solution standing = solution;
	switch (params.method) {
	case RSSPP_STATIC:
		place_orphans(workspace);
		break;
	case RSSPP_GREEDY: // has its own band, of the same width
		solution.passes = solve_greedy(workspace);
		break;
	case RSSPP_LPT:
		solution.passes = solve_lpt(workspace);
		break;
	case RSSPP_EXACT:
		if (!solve_exact(workspace, solution.passes))
			return -E2BIG;
		break;
	default:
		solution.passes = solve_ours(workspace, solution.nb_elephants);
		break;
	}
	workspace.finish(solution);
	// Hysteresis on what is gained: at the worst core, or at the least loaded one where an elephant
	// decides the worst.
	const float gain = std::min(params.threshold, std::max(least_gain, error));
	const bool worth = standing.worst_before - solution.worst_after > gain * solution.lower_bound ||
	                   solution.least_after - standing.least_before > 2 * gain * solution.mean;
	if (!must && !worth) {
		workspace.rewind();
		workspace.finish(solution);
	}
	workspace.store(next.data());
	report.imbalance_after_percent =
		solution.least_after > 0
			? std::min(imbalance_cap, 100 * (solution.worst_after / solution.least_after - 1))
			: (solution.worst_after > 0 ? imbalance_cap : 0);
	std::fill(expected.begin(), expected.end(), 0.0f);
	for (uint32_t b = 0; b < params.nb_buckets; b++)
		expected[next[b]] += float(predictor.counts()[b]);
	int nb_moves = 0;
	for (uint32_t b = 0; b < params.nb_buckets; b++) {
		if (next[b] == table[b])
			continue;
		moves[nb_moves++] = {uint16_t(b), table[b], next[b], 0};
		table[b] = next[b];
		held[b] = uint8_t(std::min(params.hold_epochs, 255u));
	}
	return nb_moves;
}

extern "C" int rsspp_balancer_create(const rsspp_balancer_params *given, rsspp_balancer **out)
{
	reframer::api::Why why;
	rsspp_balancer_params params;
	if (!out || !take_params(given, params, why))
		return -EINVAL;
	try {
		*out = new rsspp_balancer(params);
	} catch (const std::bad_alloc &) {
		return -ENOMEM;
	}
	return 0;
}

extern "C" void rsspp_balancer_free(rsspp_balancer *balancer)
{
	delete balancer;
}

extern "C" int rsspp_balancer_set_table(rsspp_balancer *balancer, const uint16_t *owner)
{
	if (!balancer || !owner)
		return -EINVAL;
	for (uint32_t b = 0; b < balancer->params.nb_buckets; b++)
		if (owner[b] >= balancer->params.nb_cores)
			return -EINVAL;
	balancer->table.assign(owner, owner + balancer->params.nb_buckets);
	return 0;
}

extern "C" const uint16_t *rsspp_balancer_table(const rsspp_balancer *balancer)
{
	return balancer ? balancer->table.data() : nullptr;
}

extern "C" int rsspp_balancer_step_sized(rsspp_balancer *balancer, const rsspp_epoch *given,
                                         size_t epoch_size, rsspp_move *moves, rsspp_report *out,
                                         size_t report_size)
{
	rsspp_epoch epoch = {};
	if (!balancer || !given || !moves || !out ||
	    !reframer::api::read_sized(given, epoch_size, epoch) || !epoch.packets || !epoch.core_load)
		return -EINVAL;
	const auto start = std::chrono::steady_clock::now();
	rsspp_report report = {};
	int result;
	try {
		result = balancer->step(epoch, moves, report);
	} catch (const std::bad_alloc &) {
		result = -ENOMEM;
	}
	report.solve_ns = uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
								   std::chrono::steady_clock::now() - start)
	                               .count());
	reframer::api::write_sized(out, report_size, report);
	return result;
}

extern "C" int rsspp_balancer_remove_core(rsspp_balancer *balancer, uint16_t core)
{
	if (!balancer || core >= balancer->params.nb_cores || !balancer->usable[core] ||
	    balancer->nb_usable() == 1)
		return -EINVAL;
	balancer->usable[core] = 0;
	// Nobody else is active: one near it, while it still says where that is.
	if (balancer->active[core] && balancer->nb_active() == 1)
		balancer->scale_to(2);
	balancer->active[core] = 0;
	return 0;
}

extern "C" int rsspp_balancer_restore_core(rsspp_balancer *balancer, uint16_t core)
{
	if (!balancer || core >= balancer->params.nb_cores || balancer->usable[core])
		return -EINVAL;
	balancer->usable[core] = 1;
	if (!balancer->params.autoscale)
		balancer->active[core] = 1;
	return 0;
}

extern "C" int rsspp_balancer_reject(rsspp_balancer *balancer, const rsspp_move *moves,
                                     uint32_t nb_moves)
{
	if (!balancer || (nb_moves > 0 && !moves))
		return -EINVAL;
	REFRAMER_DEBUG_CHECK(nb_moves <= reframer::api::most_packets);
	for (uint32_t i = 0; i < nb_moves; i++) {
		if (moves[i].bucket >= balancer->params.nb_buckets ||
		    moves[i].from >= balancer->params.nb_cores)
			return -EINVAL;
		balancer->table[moves[i].bucket] = moves[i].from;
		balancer->held[moves[i].bucket] = 0;
	}
	return 0;
}
