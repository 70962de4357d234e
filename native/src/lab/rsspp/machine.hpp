// Cores in virtual time: the one that is furthest behind polls next, so that all see the same
// clock. A poll takes up to 32 packets through the real hand-over code, serves what it may, and gives
// up drained buckets. Once an epoch the real balancer gets counters and loads and the table changes.
// No engine::VirtualClock: service times are given, or drawn from measured ones, and nothing is
// timed while this runs, so that times are whole nanoseconds and a trial repeats exactly.
#pragma once

#include "api/owned.hpp"
#include "jobs/job.hpp"
#include "lab/rsspp/policy.hpp"
#include "lab/rsspp/rss_port.hpp"
#include "lab/rsspp/service.hpp"
#include "lab/rsspp/trial.hpp"
#include "measure/histogram.hpp"

#include <cmath>
#include <map>
#include <memory>
#include <unordered_map>

namespace reframer::lab {

inline constexpr uint32_t burst_size = 32;
// What an empty poll costs: a few cache hits on the descriptor ring.
inline constexpr uint64_t empty_poll_ns = 50;
// One packet in so many tells which flows are heavy.
inline constexpr uint64_t sample_every = 8;

struct Core {
	uint64_t now_ns = 0;
	uint64_t rests_from_ns = 0;
	uint64_t busy_ns = 0; // since the last epoch
	uint64_t busy_total_ns = 0;
	uint64_t received = 0;
	uint64_t forwarded = 0;
	uint64_t packets = 0;           // in the running second
	std::vector<uint16_t> leaving;  // buckets that it gives up when its turn comes again
	uint32_t gives_up = 0;          // so many
	std::vector<Arrival *> refused; // received, and not yet taken by the hand-over
};

class Machine {
public:
	explicit Machine(const RssppTrial &t)
		: trial(t), profile(profile_of(t)),
		  port(ArrivalStream(profile, t.seed, t.ramp_low, t.ramp_period_seconds), first_table(t),
	           t.cores, t.ring_depth, dispatch_of(t.method), t.dispatch_ns),
		  cores(t.cores), next_out(port.accepted.size()), random{t.seed * 2654435761u + 1}
	{
		service_ns = t.service_ns > 0 ? t.service_ns : t.load * t.cores / rate(t) * 1e9;
		create();
		if (t.service == Service::measured) {
			measured_ns = measure_service_ns(t.seed);
			double sum = 0;
			for (float s : measured_ns)
				sum += double(s);
			for (float &s : measured_ns)
				s *= float(service_ns * double(measured_ns.size()) / sum);
		}
		pool.resize(pool_size(t));
		for (Arrival &a : pool)
			free_list.push_back(&a);
	}

	RssppTrialResult run();

private:
	static const traffic::FlowPopulationProfile &profile_of(const RssppTrial &t)
	{
		return t.profile == "campus" ? traffic::campus_population : traffic::campus4_population;
	}
	static Dispatch dispatch_of(const std::string &method)
	{
		static const std::map<std::string, Dispatch> others = {
			{"sprayer", Dispatch::spray},         {"pooled", Dispatch::pooled},
			{"shortest", Dispatch::shortest},     {"sw-rr", Dispatch::software_packet},
			{"sw-flow", Dispatch::software_flow}, {"sw-load", Dispatch::software_load}};
		const auto at = others.find(method);
		return at == others.end() ? Dispatch::table : at->second;
	}
	// Packets a second that `load` refers to: the profile's, or what really comes while measuring.
	static double rate(const RssppTrial &t)
	{
		if (!t.exact_load)
			return profile_of(t).packets_per_second;
		const uint64_t from = uint64_t(t.warmup_seconds * 1e9),
					   to = from + uint64_t(t.seconds * 1e9);
		return double(ArrivalStream(profile_of(t), t.seed, t.ramp_low, t.ramp_period_seconds)
		                  .count(from, to)) /
		       t.seconds;
	}
	// Entries, then slots of rules.
	static std::vector<uint16_t> first_table(const RssppTrial &t)
	{
		std::vector<uint16_t> table(2 * t.entries);
		for (uint32_t b = 0; b < table.size(); b++)
			table[b] = uint16_t(b % first_cores(t));
		return table;
	}
	// Every packet that is out of its ring is in this pool: held ones, backlogs, bursts.
	static size_t pool_size(const RssppTrial &t)
	{
		return 2 * size_t(t.ring_depth) * t.cores + 4096;
	}

	void create()
	{
		const uint32_t nb_slots = trial.method == "flows" ? 2 * trial.entries : trial.entries;
		rsspp_handover_params h;
		rsspp_handover_default_params(&h);
		h.nb_buckets = nb_slots;
		h.nb_cores = trial.cores;
		h.hold_capacity = uint32_t(pool_size(trial));
		h.owner = port.table.data();
		owned = api::create<api::HandOver>(rsspp_handover_create, h);
		handover = owned.get();
		if (!handover)
			throw JobError("bad-spec", "cores or entries are out of range", 2);
		if (port.dispatch != Dispatch::table)
			policy = nullptr;
		else if (trial.method == "classes")
			policy = make_classes_policy(trial);
		else if (trial.method == "flows")
			policy = make_flows_policy(trial, port, handover);
		else
			policy = make_balancer_policy(trial, nb_slots, trial.paper_scaling);
		for (Core &core : cores)
			core.leaving.resize(nb_slots);
		written_ns.resize(port.table.size());
		given_ns.resize(port.table.size());
		own_ns.resize(port.table.size());
		own_at_write.resize(port.table.size());
		counters.resize(nb_slots);
		active = trial.cores;
	}

	uint64_t service()
	{
		if (trial.service == Service::fixed)
			return uint64_t(service_ns + 0.5);
		if (trial.service == Service::measured)
			return uint64_t(measured_ns[random.next() % measured_ns.size()] + 0.5f);
		return uint64_t(-std::log((double(random.next() >> 11) + 0.5) * 0x1p-53) * service_ns);
	}

	// Returns whether more could come out at once.
	bool poll(uint16_t id);
	void rest(uint16_t id, uint64_t until_ns);
	void wake(uint16_t id, uint64_t at_ns);
	void wake_all(uint64_t at_ns);
	void pass(uint16_t id);
	void receive(uint16_t id, uint32_t most);
	Ring &ring_of(uint16_t id) { return port.rings[port.rings.size() == 1 ? 0 : id]; }
	void serve(Core &core, const Arrival &a);
	void end_epoch();
	void end_second();
	void end_write();
	double floor_percent() const;
	void apply(const std::vector<rsspp_move> &moves);
	void begin_prepared();
	void note_hold(uint16_t id, const Arrival &a);

	const RssppTrial &trial;
	const traffic::FlowPopulationProfile &profile;
	RssPort port;
	std::vector<Core> cores;
	std::vector<uint32_t> next_out; // by order class: last sequence served
	base::Random random;
	std::vector<Arrival> pool;
	std::vector<Arrival *> free_list;
	std::unique_ptr<BalancePolicy> policy; // none where a table is not what decides
	api::HandOver owned;
	rsspp_handover *handover = nullptr;
	std::unordered_map<uint32_t, uint32_t> sampled;
	struct Planned {
		rsspp_move move;
		uint64_t until_ns; // for which it may wait
	};
	std::vector<Planned> planned; // moves that their losing cores prepare
	bool write_pending = false;
	std::vector<uint64_t> counters;
	std::vector<uint64_t> written_ns,
		given_ns; // of the last move by slot: table changed, owner changed
	double service_ns = 0;
	std::vector<float> measured_ns;
	uint64_t now_ns = 0; // of the core that polls next
	uint64_t epoch_start_ns = 0, next_epoch_ns = 0;
	uint64_t cores_changed_ns = 0; // when the number of cores in use last changed

	bool measuring = false;
	engine::Histogram latency;
	RssppTrialResult result = {};
	std::vector<double> solve_us;
	uint64_t active = 0, core_epochs = 0;
	int last_direction = 0;
	uint64_t drops_before = 0, second_start_drops = 0, write_losses_before = 0;
	std::vector<uint64_t> arrived_before;
	uint64_t hold_max_ns = 0, hold_beyond_max_ns = 0;
	std::vector<uint32_t> own_ns,
		own_at_write;    // by slot: service of its packets so far; it may wrap
	uint64_t served = 0; // all of the run
};

} // namespace reframer::lab
