// Cores in virtual time: the one that is furthest behind polls next, so that all see the same
// clock. A poll takes up to 32 packets through the real hand-over code, serves what it may, and gives
// up drained buckets. Every 100 ms the real balancer gets counters and loads and the table changes.
#include "lab/rsspp_trial.hpp"

#include "engine/histogram.hpp"
#include "lab/job.hpp"
#include "lab/rss_port.hpp"
#include "lab/rsspp_policy.hpp"
#include "reframer/reframer.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <unordered_map>

namespace reframer::lab {

namespace {

constexpr uint32_t burst_size = 32;
// What an empty poll costs: a few cache hits on the descriptor ring.
constexpr uint64_t empty_poll_ns = 50;
// One packet in so many tells which flows are heavy.
constexpr uint64_t sample_every = 8;

struct Core {
	uint64_t now_ns = 0;
	uint64_t busy_ns = 0;      // since the last epoch
	uint64_t busy_total_ns = 0;
	uint64_t received = 0;
	uint64_t packets = 0;      // in the running second
	std::vector<Arrival *> refused;
};

double median(std::vector<double> v)
{
	if (v.empty())
		return 0;
	std::nth_element(v.begin(), v.begin() + long(v.size() / 2), v.end());
	return v[v.size() / 2];
}

class Machine {
public:
	explicit Machine(const RssppTrial &t)
	    : trial(t), profile(profile_of(t)),
	      port(ArrivalStream(profile, t.seed, t.ramp_low, t.ramp_period_seconds), first_table(t), t.cores, t.ring_depth,
	           dispatch_of(t.method), t.dispatch_ns),
	      cores(t.cores), next_out(port.accepted.size()), random_state(t.seed * 2654435761u + 1)
	{
		service_ns = t.service_ns > 0 ? t.service_ns : t.load * t.cores / rate(t) * 1e9;
		create();
		pool.resize(pool_size(t));
		for (Arrival &a : pool)
			free_list.push_back(&a);
	}
	~Machine() { rsspp_handover_free(handover); }
	Machine(const Machine &) = delete;
	Machine &operator=(const Machine &) = delete;

	RssppTrialResult run();

private:
	static const traffic::FlowPopulationProfile &profile_of(const RssppTrial &t)
	{
		return t.profile == "campus" ? traffic::campus_population : traffic::campus4_population;
	}
	static Dispatch dispatch_of(const std::string &method)
	{
		return method == "sprayer"    ? Dispatch::spray
		       : method == "sw-rr"    ? Dispatch::software_packet
		       : method == "sw-flow"  ? Dispatch::software_flow
		       : method == "sw-load"  ? Dispatch::software_load
		                              : Dispatch::table;
	}
	// Packets a second that `load` refers to: the profile's, or what really comes while measuring.
	static double rate(const RssppTrial &t)
	{
		if (!t.exact_load)
			return profile_of(t).packets_per_second;
		ArrivalStream first(profile_of(t), t.seed, t.ramp_low, t.ramp_period_seconds);
		const uint64_t from = uint64_t(t.warmup_seconds * 1e9), to = from + uint64_t(t.seconds * 1e9);
		uint64_t packets = 0;
		for (; first.peek().time_ns < to; first.drop_front())
			packets += first.peek().time_ns >= from;
		return double(packets) / t.seconds;
	}
	// Entries, then slots of rules.
	static std::vector<uint16_t> first_table(const RssppTrial &t)
	{
		std::vector<uint16_t> table(2 * t.entries);
		for (uint32_t b = 0; b < table.size(); b++)
			table[b] = uint16_t(b % first_cores(t));
		return table;
	}
	// Every packet that is out of its ring is in this pool: rings, held ones, bursts.
	static size_t pool_size(const RssppTrial &t) { return size_t(t.ring_depth) * t.cores + 4096; }

	void create()
	{
		const uint32_t nb_slots = trial.method == "flows" ? 2 * trial.entries : trial.entries;
		rsspp_handover_params h;
		rsspp_handover_default_params(&h);
		h.nb_buckets = nb_slots;
		h.nb_cores = trial.cores;
		h.hold_capacity = uint32_t(pool_size(trial));
		h.owner = port.table.data();
		if (rsspp_handover_create(&h, &handover) != 0)
			throw JobError("bad-spec", "cores or entries are out of range", 2);
		if (port.dispatch != Dispatch::table)
			policy = nullptr;
		else if (trial.method == "classes")
			policy = make_classes_policy(trial);
		else if (trial.method == "flows")
			policy = make_flows_policy(trial, port, handover);
		else
			policy = make_balancer_policy(trial, nb_slots, trial.paper_scaling);
		leaving.resize(nb_slots);
		counters.resize(nb_slots);
		active = trial.cores;
	}

	uint64_t random()
	{
		uint64_t x = random_state += 0x9e3779b97f4a7c15ull;
		x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
		x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
		return x ^ (x >> 31);
	}
	uint64_t service()
	{
		if (!trial.exponential)
			return uint64_t(service_ns + 0.5);
		return uint64_t(-std::log((double(random() >> 11) + 0.5) * 0x1p-53) * service_ns);
	}

	void poll(uint16_t id);
	void serve(Core &core, const Arrival &a);
	void end_epoch();
	void end_second();
	void end_write();
	double floor_percent() const;
	void apply(const std::vector<rsspp_move> &moves);

	const RssppTrial &trial;
	const traffic::FlowPopulationProfile &profile;
	RssPort port;
	std::vector<Core> cores;
	std::vector<uint32_t> next_out; // by order class: last sequence served
	uint64_t random_state;
	std::vector<Arrival> pool;
	std::vector<Arrival *> free_list;
	std::unique_ptr<Policy> policy; // none where a table is not what decides
	rsspp_handover *handover = nullptr;
	std::unordered_map<uint32_t, uint32_t> sampled;
	bool write_pending = false;
	std::vector<uint16_t> leaving;
	std::vector<uint64_t> counters;
	double service_ns = 0;
	uint64_t now_ns = 0; // of the core that polls next

	bool measuring = false;
	engine::Histogram latency;
	RssppTrialResult result = {};
	std::vector<double> solve_us;
	uint64_t active = 0, core_epochs = 0;
	int last_direction = 0;
	uint64_t drops_before = 0, second_start_drops = 0, write_losses_before = 0;
	std::vector<uint64_t> arrived_before;
	uint64_t hold_max_ns = 0;
	uint64_t served = 0; // all of the run
};

void Machine::serve(Core &core, const Arrival &a)
{
	const uint64_t work = service();
	core.now_ns += work;
	core.busy_ns += work;
	core.packets++;
	served++;
	uint32_t &last = next_out[a.order];
	if (a.sequence != last + 1)
		result.reordered++;
	last = std::max(last, a.sequence);
	if (measuring) {
		result.processed++;
		latency.add(core.now_ns - a.time_ns);
	}
}

void Machine::poll(uint16_t id)
{
	Core &core = cores[id];
	port.run_until(core.now_ns);
	Ring &ring = port.rings[id];
	const uint64_t polled_at = core.now_ns;
	if (port.dispatch != Dispatch::table) { // no ownership to respect, no order kept
		if (ring.length() == 0)
			core.now_ns += empty_poll_ns;
		for (uint32_t n = 0; n < burst_size && ring.length() > 0; n++)
			serve(core, ring.pop());
		return;
	}
	std::vector<Arrival *> &in = core.refused;
	while (in.size() < burst_size && ring.length() > 0 && !free_list.empty()) {
		Arrival *a = free_list.back();
		free_list.pop_back();
		*a = ring.pop();
		a->polled_ns = polled_at;
		if (policy->wants_flows() && (core.received + in.size()) % sample_every == 0)
			sampled[a->hash]++;
		in.push_back(a);
	}
	void *out[4 * burst_size];
	uint32_t hashes[burst_size], out_hashes[4 * burst_size], nb_out = 0;
	for (size_t i = 0; i < in.size(); i++)
		hashes[i] = in[i]->slot;
	const uint32_t taken = rsspp_handover_admit(handover, id, reinterpret_cast<void *const *>(in.data()), hashes,
	                                            uint32_t(in.size()), out, out_hashes, 4 * burst_size, &nb_out);
	in.erase(in.begin(), in.begin() + taken);
	core.received += taken;
	for (uint32_t i = 0; i < nb_out; i++) {
		Arrival *a = static_cast<Arrival *>(out[i]);
		hold_max_ns = std::max(hold_max_ns, polled_at - a->polled_ns);
		serve(core, *a);
		free_list.push_back(a);
	}
	const int64_t waiting = int64_t(ring.length() + in.size());
	if (rsspp_handover_poll(handover, id, core.received, waiting, leaving.data()) > 0)
		rsspp_handover_release(handover, id);
	if (core.now_ns == polled_at)
		core.now_ns += empty_poll_ns;
}

void Machine::apply(const std::vector<rsspp_move> &moves)
{
	std::vector<std::pair<uint32_t, uint16_t>> entries;
	for (const rsspp_move &move : moves) {
		// A table that is being written takes no second write; a bucket on its way stays, too.
		if (!write_pending && rsspp_handover_begin(handover, move.bucket, move.to) == 0)
			entries.emplace_back(move.bucket, move.to);
		else
			policy->reject(move);
	}
	if (entries.empty())
		return;
	port.write(entries, now_ns, uint64_t(trial.write_us * 1e3), trial.write_pauses);
	write_pending = true;
	if (measuring)
		result.moves += entries.size();
}

void Machine::end_write()
{
	if (!write_pending || port.writing(now_ns))
		return;
	port.run_until(now_ns);
	rsspp_handover_written(handover);
	write_pending = false;
}

void Machine::end_epoch()
{
	std::vector<float> load(trial.cores), fill(trial.cores);
	for (uint32_t c = 0; c < trial.cores; c++) {
		load[c] = std::min(1.0f, float(double(cores[c].busy_ns) / (trial.interval_ms * 1e6)));
		fill[c] = float(port.rings[c].length()) / float(trial.ring_depth);
		cores[c].busy_total_ns += measuring ? cores[c].busy_ns : 0;
		cores[c].busy_ns = 0;
	}
	if (measuring) {
		result.epochs++;
		core_epochs += active;
	}
	if (!policy)
		return;
	rsspp_handover_counters(handover, counters.data());
	const EpochOutcome out = policy->step({now_ns, counters, load, fill, sampled});
	sampled.clear();
	apply(out.moves);
	active = out.active;
	if (measuring) {
		solve_us.push_back(out.solve_us);
		const int direction = out.cores_changed > 0 ? 1 : out.cores_changed < 0 ? -1 : 0;
		result.reversals += direction && last_direction && direction != last_direction;
		last_direction = direction ? direction : last_direction;
	}
}

void Machine::end_second()
{
	uint64_t most = 0, least = UINT64_MAX, drops = 0;
	for (uint32_t c = 0; c < trial.cores; c++) {
		most = std::max(most, cores[c].packets);
		least = std::min(least, cores[c].packets);
		cores[c].packets = 0;
		drops += port.dropped[c];
	}
	if (measuring) {
		result.imbalance_by_second.push_back(
		    least ? std::min(2000.0, 100.0 * double(most - least) / double(least)) : 2000.0);
		result.floor_by_second.push_back(floor_percent());
		result.drops_by_second.push_back(double(drops - second_start_drops));
		result.cores_by_second.push_back(double(active));
	}
	second_start_drops = drops;
	arrived_before = port.arrived;
}

// The least (max - min) / min that any assignment could have had in this second: one core has the
// heaviest bucket alone, the others share the rest evenly.
double Machine::floor_percent() const
{
	uint64_t heaviest = 0, total = 0;
	for (size_t b = 0; b < port.arrived.size(); b++) {
		const uint64_t n = port.arrived[b] - (arrived_before.empty() ? 0 : arrived_before[b]);
		heaviest = std::max(heaviest, n);
		total += n;
	}
	if (total == heaviest || trial.cores < 2)
		return 0;
	return std::clamp(100.0 * (double(heaviest) * (trial.cores - 1) / double(total - heaviest) - 1), 0.0, 2000.0);
}

RssppTrialResult Machine::run()
{
	const uint64_t interval = uint64_t(trial.interval_ms) * 1'000'000;
	const uint64_t warm = uint64_t(trial.warmup_seconds * 1e9);
	const uint64_t end = warm + uint64_t(trial.seconds * 1e9);
	uint64_t next_epoch = 0, next_second = 1'000'000'000, next_random_move = UINT64_MAX;
	if (trial.moves_per_second > 0)
		next_random_move = warm;
	uint64_t offered_before = 0;
	for (;;) {
		uint16_t id = 0;
		for (uint16_t c = 1; c < trial.cores; c++)
			if (cores[c].now_ns < cores[id].now_ns)
				id = c;
		const uint64_t now = now_ns = cores[id].now_ns;
		if (now >= end)
			break;
		end_write();
		if (now >= next_epoch) {
			port.run_until(now);
			end_epoch();
			next_epoch += interval;
		}
		if (now >= next_second) {
			end_second();
			next_second += 1'000'000'000;
		}
		if (!measuring && now >= warm) {
			measuring = true;
			offered_before = port.offered;
			drops_before = 0;
			for (uint64_t d : port.dropped)
				drops_before += d;
			write_losses_before = port.lost_to_writes;
		}
		if (now >= next_random_move) {
			next_random_move += uint64_t(1e9 / trial.moves_per_second);
			const uint32_t bucket = uint32_t(random() % trial.entries);
			const rsspp_move move = {uint16_t(bucket), port.table[bucket], uint16_t(random() % trial.cores), 0};
			if (move.from != move.to)
				apply({move});
		}
		poll(id);
		// A core with nothing to do sleeps until something can happen to it.
		Core &core = cores[id];
		if (port.rings[id].length() == 0 && core.refused.empty() && rsspp_handover_in_progress(handover) == 0 && !write_pending &&
		    core.now_ns < port.next_arrival())
			core.now_ns = std::min({port.next_arrival(), next_epoch, std::max(next_random_move, core.now_ns + 1), end});
	}
	uint64_t drops = 0;
	for (uint64_t d : port.dropped)
		drops += d;
	RssppTrialResult &r = result;
	r.offered = port.offered - offered_before;
	r.dropped = drops - drops_before;
	for (uint32_t c = 0; c < trial.cores; c++) {
		r.in_flight += port.rings[c].length() + cores[c].refused.size();
		rsspp_handover_stats s;
		rsspp_handover_get_stats(handover, uint16_t(c), &s);
		r.held += s.held;
		r.forwarded += s.forwarded;
		r.held_max = std::max<uint64_t>(r.held_max, s.held_max);
		r.in_flight += s.held_now;
		r.mean_load += double(cores[c].busy_total_ns) / (trial.seconds * 1e9) / trial.cores;
	}
	r.lost_to_writes = port.lost_to_writes - write_losses_before;
	r.lost = int64_t(port.offered) - int64_t(served + drops + r.in_flight);
	r.hold_max_us = double(hold_max_ns) * 1e-3;
	r.seconds = trial.seconds;
	r.service_ns = service_ns;
	r.offered_pps = double(r.offered) / trial.seconds;
	r.goodput_pps = double(r.processed) / trial.seconds;
	r.latency_p50_us = trial.path_us + latency.quantile(0.5) * 1e-3;
	r.latency_p95_us = trial.path_us + latency.quantile(0.95) * 1e-3;
	r.latency_p99_us = trial.path_us + latency.quantile(0.99) * 1e-3;
	r.latency_p999_us = trial.path_us + latency.quantile(0.999) * 1e-3;
	r.latency_mean_us = trial.path_us + latency.mean() * 1e-3;
	r.imbalance_percent = median(r.imbalance_by_second);
	r.floor_percent = median(r.floor_by_second);
	r.solve_us = median(solve_us);
	r.mean_cores = r.epochs ? double(core_epochs) / double(r.epochs) : 0;
	return r;
}

} // namespace

RssppTrialResult run_rsspp_trial(const RssppTrial &trial) { return Machine(trial).run(); }

} // namespace reframer::lab
