// Job `bench-conntrack`: flow trackers side by side, and the rate at which this machine gives out
// random cache lines of the same footprint.
//
// spec   {"quick": false, "contenders": [...],
//         "workloads": ["hits","misses","equal-memory","trace","churned","inserts","hostile"],
//         "flows": [10000,100000,1000000,4000000,16000000], "threads": [1, 2],
//         "depths": [32, 128], "lookAhead": [0], "seed": 1}
//        (all optional; with several threads each has a tracker of its own and its share of flows;
//        depths: keys that every contender takes at once; inserts run once, one key at a time,
//        hostile once a depth, both on one thread and with sizes of their own)
//        equal-memory: hits with Cuckoo++ 90 % full and the burst table in no more bytes, both of
//        nine tenths of a power of two of flows. trace: packets of live flows and new ones; churned:
//        the same after every flow has been replaced once, entry by entry. lookAhead 1: of those that
//        can, the memory of the next `depth` keys is asked for before these are worked on.
// record {"row": {"contender","workload","flows","threads","depth","lookAhead","mops","mopsLow",
//         "mopsHigh","boundMops","bytesPerFlow","hugeShare"}}
//        mops: millions of packets a second, median of the rounds; low and high enclose the middle
//        95 % of medians resampled from them. depth: keys that the contender takes at once, fewer
//        than asked where its library takes no more. hugeShare: of the process' memory, what the
//        kernel has on huge pages.
//        boundMops: random cache lines over the same memory; null for inserts and hostile.
//        inserts add "meanNs","p50Ns","p999Ns","p9999Ns","maxNs" of one insert; hostile adds "refusedPercent".
//
// Contenders take turns inside each round, in an order drawn for each pair of rounds and reversed
// in the second. Every answer is checked; a wrong one ends the job.
#include "lab/conntrack/bench.hpp"
#include "base/pages.hpp"
#include "conntrack/contenders/tracker.hpp"
#include "jobs/job.hpp"
#include "jobs/known_word.hpp"
#include "lab/conntrack/workload.hpp"
#include "measure/median.hpp"
#include "measure/memory_use.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <numeric>
#include <thread>

namespace reframer::lab {

namespace {

using conntrack::tracker_burst;

struct Plan {
	uint32_t packets; // a thread and round
	uint32_t rounds;
	uint64_t seed;
	uint32_t threads;
	uint32_t depth;
	bool look_ahead;
};

// A contender with a table a thread.
struct Sharded {
	std::string name;
	std::vector<Contender> shards;
	std::vector<double> samples; // Mops
};

// Seconds that on_threads() takes.
double timed(uint32_t threads, const std::function<void(uint32_t)> &work)
{
	static const double hz = engine::measure_tsc_hz();
	return double(on_threads(threads, work)) / hz;
}

// Random lines of `bytes` of memory, 128 under way.
class Bound {
public:
	Bound(size_t bytes, uint64_t seed) : lines_(std::max<size_t>(bytes / 64, 1)), seed_(seed)
	{
		if (!pages_.map(lines_ * 64))
			throw std::bad_alloc();
		pages_.touch();
	}
	double mops(const Plan &plan)
	{
		constexpr uint32_t ahead = 128;
		std::vector<std::vector<uint32_t>> order(plan.threads);
		for (uint32_t t = 0; t < plan.threads; t++) {
			std::mt19937_64 random(seed_++);
			order[t].resize(plan.packets + ahead);
			for (uint32_t &line : order[t])
				line = static_cast<uint32_t>(random() % lines_);
		}
		double seconds = timed(plan.threads, [&](uint32_t t) {
			const uint8_t *data = pages_.data();
			uint64_t sum = 0;
			for (uint32_t i = 0; i < plan.packets; i++) {
				__builtin_prefetch(data + size_t{order[t][i + ahead]} * 64);
				sum += data[size_t{order[t][i]} * 64];
			}
			asm volatile("" : : "r"(sum));
		});
		return double(plan.packets) * plan.threads / seconds * 1e-6;
	}

private:
	size_t lines_;
	uint64_t seed_;
	base::Pages pages_;
};

// State of a flow in the tables for hits and misses: of those that a thread inserts together, the same.
uint64_t state_of(const Plan &plan, uint64_t flow)
{
	return flow / (uint64_t{plan.threads} * tracker_burst) * 2654435761u + 1;
}

// Lets every contender have the same packets, in the order given: work(contender, thread).
template <typename Work>
void in_turns(std::vector<Sharded> &contenders, const std::vector<size_t> &order, const Plan &plan,
              Work work)
{
	for (const size_t which : order) {
		Sharded &c = contenders[which];
		const double seconds = timed(plan.threads, [&](uint32_t t) { work(c.shards[t], t); });
		c.samples.push_back(double(plan.packets) * plan.threads / seconds * 1e-6);
	}
}

// Each thread's part of the flows: numbers thread, thread + threads, ...; in bursts, so that filling
// tables beyond the caches takes seconds, not a minute.
void fill(Sharded &c, const Plan &plan, uint64_t flows)
{
	timed(plan.threads, [&](uint32_t t) {
		KeyColumn keys;
		const uint64_t step = uint64_t{plan.threads} * tracker_burst;
		for (uint64_t first = t; first < flows; first += step) {
			keys.clear();
			keys.add_flows(first,
			               std::min<uint64_t>(tracker_burst,
			                                  (flows - first + plan.threads - 1) / plan.threads),
			               1, plan.threads);
			c.shards[t].insert(keys, state_of(plan, first));
		}
	});
}

// The flows that are live before a stream's first packet. Churned: each takes the place of another
// that was there before.
void fill_live(Sharded &c, const Plan &plan, const std::vector<TraceStream> &streams, bool churned)
{
	timed(plan.threads, [&](uint32_t t) {
		const KeyColumn keys = streams[t].live_keys();
		const Contender &shard = c.shards[t];
		KeyColumn former;
		if (churned)
			former.add_flows(0, keys.size(), 2);
		const auto each_burst = [&](auto work) {
			for (uint32_t first = 0; first < keys.size(); first += tracker_burst)
				work(first, std::min(tracker_burst, keys.size() - first));
		};
		if (churned)
			each_burst([&](uint32_t first, uint32_t n) { shard.insert(former, first, n, 0); });
		each_burst([&](uint32_t first, uint32_t n) {
			if (churned && shard->remove(former.at(first), n) != n)
				shard.wrong("a flow before could not be removed");
			shard.insert(keys, first, n, 0);
		});
	});
}

void run_lookups(std::vector<Sharded> &contenders, const Plan &plan, uint64_t flows, bool hits,
                 uint32_t round, const std::vector<size_t> &order)
{
	std::vector<Lookups> asked(plan.threads);
	for (uint32_t t = 0; t < plan.threads; t++) {
		std::mt19937_64 random(plan.seed + round * 64 + t);
		for (uint32_t p = 0; p < plan.packets; p++) {
			const uint64_t i = random() % (flows / plan.threads) * plan.threads + t;
			asked[t].add(i, !hits, state_of(plan, i));
		}
	}
	in_turns(contenders, order, plan, [&](const Contender &c, uint32_t t) {
		Answers answers;
		uint64_t found = 0, states = 0;
		each_call(plan.packets, [&](uint32_t first, uint32_t n) {
			look_up(*c.tracker, asked[t].keys, first, n, answers, found, states);
		});
		asked[t].check(c.name, found, states);
	});
}

void run_trace(std::vector<Sharded> &contenders, const Plan &plan,
               std::vector<TraceStream> &streams, uint32_t round, const std::vector<size_t> &order)
{
	// Ended flows go after each call rather than each burst: a tracker that looks ahead could
	// otherwise not.
	std::vector<TraceStream::Chunk> chunks;
	for (TraceStream &s : streams)
		chunks.push_back(s.next(plan.packets, trial_call));
	in_turns(contenders, order, plan, [&](const Contender &c, uint32_t t) {
		const TraceStream::Chunk &chunk = chunks[t];
		uint8_t results[trial_call];
		uint64_t nb_new = 0;
		uint32_t ended = 0;
		each_call(plan.packets, [&](uint32_t first, uint32_t n) {
			nb_new += c->track(chunk.packets.at(first), n, round, results);
			const uint32_t gone = chunk.nb_ended[first / trial_call];
			if (gone && c->remove(chunk.ended.at(ended), gone) != gone)
				c.wrong("a live flow could not be removed");
			ended += gone;
		});
		if (nb_new != chunk.nb_new)
			c.wrong("counted " + std::to_string(nb_new) + " new flows, not " +
			        std::to_string(chunk.nb_new));
	});
}

std::vector<Sharded> make_contenders(const std::vector<std::string> &names, const Plan &plan,
                                     conntrack::TrackerOptions options)
{
	options.seed = plan.seed;
	options.depth = plan.depth;
	options.look_ahead = plan.look_ahead;
	std::vector<Sharded> contenders;
	for (const std::string &name : names) {
		Sharded &c = contenders.emplace_back(Sharded{name, {}, {}});
		for (uint32_t t = 0; t < plan.threads; t++)
			c.shards.emplace_back(name, conntrack::make_tracker(name, options));
		if (!c.shards[0])
			throw JobError("not-supported", name + ": DPDK does not start here", 3);
		if (plan.look_ahead && !c.shards[0]->looks_ahead())
			contenders.pop_back();
	}
	return contenders;
}

// The fullest that the burst table can be made without taking more bytes than Cuckoo++ does, or
// else its fullest.
uint32_t load_of_equal_memory(conntrack::TrackerOptions options)
{
	constexpr uint32_t least = 25, most = 95;
	const size_t bytes = conntrack::make_tracker("cuckoopp-burst", options)->bytes();
	for (options.load_percent = least; options.load_percent < most; options.load_percent++)
		if (conntrack::make_tracker("burst-table", options)->bytes() <= bytes)
			break;
	return options.load_percent;
}

// Where nothing tells it from the form without.
bool only_tracks(const std::string &contender)
{
	return contender.find("timers") != std::string::npos;
}

// The rounds of one workload on filled tables. `round` makes its packets and lets the contenders have
// them in the order given.
template <typename Round>
void run_rounds(std::vector<Sharded> &contenders, const std::string &workload, uint64_t flows,
                const Plan &plan, Round run)
{
	Bound bound(contenders[0].shards[0]->bytes() * plan.threads, plan.seed);
	std::vector<double> bounds;
	std::vector<size_t> order(contenders.size());
	std::iota(order.begin(), order.end(), size_t{0});
	std::mt19937_64 random(plan.seed);
	for (Sharded &c : contenders)
		c.samples.clear();
	for (uint32_t round = 0; round <= plan.rounds; round++) {
		if (round % 2)
			std::reverse(order.begin(), order.end());
		else
			std::shuffle(order.begin(), order.end(), random);
		bounds.push_back(bound.mops(plan));
		run(round, order);
		if (round == 0) { // warm-up
			bounds.clear();
			for (Sharded &c : contenders)
				c.samples.clear();
		}
	}
	const double huge_share = engine::process_memory().huge_share();
	for (Sharded &c : contenders) {
		size_t bytes = 0;
		for (const Contender &shard : c.shards)
			bytes += shard->bytes();
		emit_row({c.name, workload, flows, plan.threads, c.shards[0]->depth(), plan.look_ahead,
		          double(bytes)},
		         c.samples, plan.seed,
		         {{"hugeShare", huge_share},
		          {"boundMops", engine::median(bounds)},
		          {"rounds", plan.rounds}});
	}
}

using Names = std::vector<std::string>;

// Tables that are filled once for all of `workloads`, which leave them as they are.
template <typename Done>
void run_all_lookups(Names names, const Names &workloads, uint64_t flows, const Plan &plan,
                     uint32_t load_percent, Done done)
{
	if (workloads.empty())
		return;
	std::erase_if(names, only_tracks);
	conntrack::TrackerOptions options;
	options.flows = (flows + plan.threads - 1) / plan.threads;
	options.load_percent = load_percent;
	std::vector<Sharded> contenders = make_contenders(names, plan, options);
	if (contenders.empty())
		return;
	for (Sharded &c : contenders)
		fill(c, plan, flows);
	for (const std::string &workload : workloads) {
		run_rounds(contenders, workload, flows, plan,
		           [&](uint32_t round, const std::vector<size_t> &order) {
					   run_lookups(contenders, plan, flows, workload != "misses", round, order);
				   });
		done(workload);
	}
}

template <typename Done>
void run_one_trace(const Names &names, const std::string &workload, uint64_t flows,
                   const Plan &plan, Done done)
{
	conntrack::TrackerOptions options;
	// New flows of a call come before the ended ones go.
	options.flows = flows / plan.threads + trial_call / 4;
	options.updates = true;
	std::vector<Sharded> contenders = make_contenders(names, plan, options);
	if (contenders.empty())
		return;
	// A new flow in 31 packets, as on the paper's campus trace.
	std::vector<TraceStream> streams;
	for (uint32_t t = 0; t < plan.threads; t++)
		streams.emplace_back(flows / plan.threads, 31, plan.seed + t);
	for (Sharded &c : contenders)
		fill_live(c, plan, streams, workload == "churned");
	run_rounds(contenders, workload, flows, plan,
	           [&](uint32_t round, const std::vector<size_t> &order) {
				   run_trace(contenders, plan, streams, round, order);
			   });
	done(workload);
}

template <typename Done>
void run_flows(const Names &names, const Names &workloads, uint64_t flows, const Plan &plan,
               Done done)
{
	Names lookups;
	for (const std::string &workload : workloads) {
		if (workload == "hits" || workload == "misses")
			lookups.push_back(workload);
	}
	run_all_lookups(names, lookups, flows, plan, 0, done);
	for (const std::string &workload : workloads) {
		if (workload == "trace" || workload == "churned")
			run_one_trace(names, workload, flows, plan, done);
		if (workload != "equal-memory")
			continue;
		const uint64_t nearly_full = std::bit_ceil(flows / plan.threads) * 9 / 10 * plan.threads;
		conntrack::TrackerOptions options;
		options.flows = nearly_full / plan.threads;
		run_all_lookups(names, {workload}, nearly_full, plan, load_of_equal_memory(options), done);
	}
}

} // namespace

void emit_row(const Row &row, std::vector<double> mops, uint64_t seed, const Json &more)
{
	const auto [mops_low, mops_high] =
		mops.size() > 1 ? engine::interval_of_median(mops, seed) : std::pair{mops[0], mops[0]};
	const Json record = NAMED(row.contender, row.workload, row.flows, row.threads, row.depth,
	                          row.look_ahead, mops_low, mops_high);
	emit({{"row", joined(joined(record, {{"mops", engine::median(mops)},
	                                     {"boundMops", nullptr},
	                                     {"bytesPerFlow", row.bytes / double(row.flows)}}),
	                     more)}});
}

void run_bench_conntrack(const Json &spec)
{
	SpecReader in(spec, "");
	const bool quick = in.boolean("quick", false);
	std::vector<std::string> wanted = {"burst-table", "cuckoopp-burst", "cuckoopp-timers-burst"};
	auto known = conntrack::tracker_names();
	if (std::find(known.begin(), known.end(), "rte-hash-burst") != known.end())
		wanted.push_back("rte-hash-burst");
	wanted = in.texts("contenders", wanted);
	auto workloads = in.several<std::string>("workloads", {{"hits", "hits"},
	                                                       {"misses", "misses"},
	                                                       {"equal-memory", "equal-memory"},
	                                                       {"trace", "trace"},
	                                                       {"churned", "churned"},
	                                                       {"inserts", "inserts"},
	                                                       {"hostile", "hostile"}});
	const auto flows = in.integers<uint64_t>(
		"flows",
		quick ? std::vector<uint64_t>{10'000, 1'000'000}
			  : std::vector<uint64_t>{10'000, 100'000, 1'000'000, 4'000'000, 16'000'000},
		1000, 32'000'000);
	const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
	const auto threads = in.integers<uint32_t>(
		"threads", quick || cores < 2 ? std::vector<uint32_t>{1} : std::vector<uint32_t>{1, 2}, 1,
		1024);
	const auto depths = in.integers<uint32_t>("depths", {32, 128}, 1, conntrack::tracker_max_depth);
	const auto look_ahead = in.integers<uint32_t>("lookAhead", {0}, 0, 1);
	const uint64_t seed = in.integer("seed", 1, 0, uint64_t{1} << 53);
	for (const std::string &name : wanted)
		check_known(in, "contenders", name, known);
	for (const uint32_t t : threads)
		if (t > cores)
			throw JobError("not-supported", "this machine has " + std::to_string(cores) + " cores",
			               3);
	in.finish();
	// These two do not depend on flows and threads.
	auto takes = [&](const char *name) { return std::erase(workloads, name) > 0; };
	const bool inserts = takes("inserts"), hostile = takes("hostile");
	uint64_t done = 0, total = inserts + depths.size() * (flows.size() * workloads.size() *
	                                                          threads.size() * look_ahead.size() +
	                                                      hostile);
	auto report = [&](const std::string &what) {
		emit({{"progress", {{"done", ++done}, {"total", total}, {"what", what}}}});
	};
	for (uint64_t f : flows)
		for (uint32_t t : threads)
			for (uint32_t d : depths)
				for (uint32_t ahead : look_ahead)
					run_flows(
						wanted, workloads, f,
						Plan{quick ? 1u << 18 : 1u << 20, quick ? 5u : 11u, seed, t, d, ahead != 0},
						report);
	if (inserts) {
		bench_inserts(wanted, quick ? 1u << 20 : 1u << 22, seed);
		report("inserts");
	}
	for (uint32_t d : depths) {
		if (!hostile)
			break;
		bench_hostile(wanted, quick ? 100'000 : 1'000'000, d, quick, seed);
		report("hostile");
	}
}

} // namespace reframer::lab
