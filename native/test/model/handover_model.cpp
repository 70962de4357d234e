// Every interleaving, up to a bound, of the bucket hand-over: its real source over explored atomics.
//
// Threads: the balancer moves buckets and writes the table; the NIC puts packets into the queue that
// the table names when they come; cores poll. Then everybody goes on in turn until nothing is left.
// Held against it: no packet lost or twice, each flow in order, processed by the bucket's owner, flow
// state (plain memory) never touched by two cores without happens-before, every hold ends.
//
// MODEL_DEPARTURES, MODEL_STALE and MODEL_WALKS (environment) widen the bounds for a long run.
#include "explored_atomic.hpp"

#include <bit>
#include <cerrno>
#include <chrono>
#include <deque>
#include <new>

#include <doctest/doctest.h>

#define atomic ExploredAtomic
#include "rsspp/handover.cpp"
#include "rsspp/handover_admit.cpp"
#include "rsspp/handover_leave.cpp"
#undef atomic

using namespace reframer::test;

namespace {

struct Move {
	uint32_t bucket;
	uint16_t to;
};

struct Scenario {
	const char *name;
	uint32_t nb_cores = 2;
	std::vector<uint32_t> arrivals;        // bucket of each packet; a bucket is a flow
	std::vector<std::vector<Move>> writes; // moves of each table write
	uint32_t polls = 3;                    // of each core, before the calm at the end
	bool knows_length = true;              // else the port only says "empty"
	uint32_t forward_capacity = 2, hold_capacity = 8;
	uint32_t burst = 2;
	bool passes = false;              // losing cores take their queue out without service
	std::vector<uint16_t> table = {}; // where the device sends at first; empty: to the owners
	bool refuses = false;  // the device does not take the first write, and its moves are taken back
	bool prepares = false; // moves are announced
};

// What is broken on purpose.
enum class Defect {
	none,
	relaxed,          // no acquire, no release
	early_written,    // the table is said to be in force before it is
	early_table,      // the table is written before the move has begun
	unordered_device, // the NIC acts on the table before begin() is visible
	no_watermark,     // the losing core does not wait for its queue
	early_release,    // the bucket is given up before what came out is processed
};

constexpr uint32_t nb_buckets = 2, largest_burst = 2, max_packets = 8, max_cores = 3;

struct World {
	const Scenario &s;
	Defect defect;
	Explorer &explorer;
	rsspp_handover *h = nullptr;

	struct Packet {
		uint32_t bucket, sequence;
		Knowledge arrival;
		Watched touched;
	};
	std::array<Packet, max_packets> packets{};
	std::array<uint16_t, nb_buckets> table{};
	Knowledge table_written, made;
	std::array<std::deque<Packet *>, max_cores> queue;
	std::array<std::deque<Packet *>, max_cores> left;
	std::array<uint64_t, max_cores> received{};
	std::array<uint32_t, nb_buckets> expected{};
	std::array<Watched, nb_buckets> state{};
	std::array<unsigned, max_cores> thread{};
	uint32_t arrived = 0, processed = 0;

	World(const Scenario &scenario, Defect defect, Explorer &e)
		: s(scenario), defect(defect), explorer(e)
	{
		rsspp_handover_params p;
		rsspp_handover_default_params(&p);
		p.nb_buckets = nb_buckets;
		p.nb_cores = s.nb_cores;
		p.hold_capacity = s.hold_capacity;
		p.forward_capacity = s.forward_capacity;
		if (rsspp_handover_create(&p, &h) != 0)
			std::abort();
		for (uint16_t b = 0; b < nb_buckets; b++)
			table[b] = s.table.empty() ? uint16_t(b % s.nb_cores) : s.table[b];
		// Threads start after the object was made. Their clocks begin anew.
		made = e.publish();
		made.clock = {};
		for (uint16_t c = 0; c < s.nb_cores; c++)
			thread[c] = e.add_thread([this, c] {
				explorer.learn(made);
				for (uint32_t i = 0; i < s.polls; i++) {
					poll(c);
					explorer.yield();
				}
			});
		e.add_thread([this] {
			explorer.learn(made);
			balance();
		});
		e.add_thread([this] { arrive(); });
	}
	~World() { rsspp_handover_free(h); }
	World(const World &) = delete;
	World &operator=(const World &) = delete;

	void arrive()
	{
		std::array<uint32_t, nb_buckets> next{};
		for (const uint32_t bucket : s.arrivals) {
			explorer.point();
			Packet &p = packets[arrived++];
			p.bucket = bucket;
			p.sequence = next[bucket]++;
			// Drivers order their writes to the device and their reads of what it wrote.
			if (defect != Defect::unordered_device)
				p.arrival = table_written;
			queue[table[bucket]].push_back(&p);
			explorer.yield();
		}
	}

	void balance()
	{
		for (const std::vector<Move> &moves : s.writes) {
			std::array<uint16_t, nb_buckets> wanted = table;
			if (defect == Defect::early_table)
				write(moves);
			const bool refused = s.refuses && &moves == &s.writes.front();
			for (const Move &m : moves) {
				if (s.prepares && rsspp_handover_prepare(h, m.bucket) == 0)
					for (int tries = 0; tries < 2 && !rsspp_handover_prepared(h, m.bucket); tries++)
						explorer.yield();
				for (int tries = 0; tries < 4; tries++) {
					if (rsspp_handover_begin(h, m.bucket, m.to) == 0) {
						if (!refused)
							wanted[m.bucket] = m.to;
						else if (rsspp_handover_cancel(h, m.bucket) != 0)
							explorer.fail("a move that cannot be taken back");
						break;
					}
					explorer.yield(); // it is moving still
				}
			}
			if (defect == Defect::early_written)
				rsspp_handover_written(h);
			explorer.point();
			if (defect != Defect::early_table) {
				table = wanted;
				table_written = explorer.publish();
			}
			explorer.point();
			if (defect != Defect::early_written)
				rsspp_handover_written(h);
			explorer.yield();
		}
	}
	void write(const std::vector<Move> &moves)
	{
		for (const Move &m : moves)
			table[m.bucket] = m.to;
		explorer.point();
	}

	uint32_t receive(uint16_t c, void **in, uint32_t *hashes)
	{
		while (left[c].size() < s.burst && !queue[c].empty()) {
			explorer.learn(queue[c].front()->arrival);
			left[c].push_back(queue[c].front());
			queue[c].pop_front();
		}
		const auto nb = uint32_t(left[c].size());
		for (uint32_t i = 0; i < nb; i++) {
			in[i] = left[c][i];
			hashes[i] = left[c][i]->bucket;
			left[c][i]->touched = {thread[c], 0};
			explorer.check_access(left[c][i]->touched, "packet");
		}
		return nb;
	}

	// What the port says of its queue after a receive call that found `nb` packets.
	int64_t told_length(uint16_t c, uint32_t nb) const
	{
		const auto length = int64_t(queue[c].size() + left[c].size());
		if (defect == Defect::no_watermark)
			return 0;
		if (!s.knows_length)
			return nb == 0 && length == 0 ? RSSPP_QUEUE_EMPTY : RSSPP_QUEUE_UNKNOWN;
		return length;
	}

	// All out of the queue without service: the loop that rsspp.h prints.
	void pass(uint16_t c)
	{
		void *in[largest_burst];
		uint32_t hashes[largest_burst];
		uint16_t leaving[nb_buckets];
		while (rsspp_handover_draining(h, c) || (s.prepares && rsspp_handover_preparing(h, c))) {
			const uint32_t nb = receive(c, in, hashes);
			const uint32_t taken = rsspp_handover_absorb(h, c, in, hashes, nb);
			for (uint32_t i = 0; i < taken; i++)
				left[c].pop_front();
			received[c] += taken;
			explorer.point();
			if (rsspp_handover_poll(h, c, received[c], told_length(c, nb), leaving) > 0)
				rsspp_handover_release(h, c);
			else if (nb == 0 || taken < nb)
				break;
		}
	}

	void poll(uint16_t c)
	{
		explorer.point();
		if (s.passes)
			pass(c);
		void *in[largest_burst], *out[largest_burst];
		uint32_t hashes[largest_burst], out_hashes[largest_burst], nb_out = 0;
		const uint32_t nb = receive(c, in, hashes);
		const uint32_t taken =
			rsspp_handover_admit(h, c, in, hashes, nb, out, out_hashes, s.burst, &nb_out);
		for (uint32_t i = 0; i < taken; i++)
			left[c].pop_front();
		received[c] += taken;
		const auto process_all = [&] {
			for (uint32_t i = 0; i < nb_out; i++)
				process(c, *static_cast<Packet *>(out[i]));
		};
		if (defect != Defect::early_release)
			process_all();
		explorer.point();
		uint16_t leaving[nb_buckets];
		if (rsspp_handover_poll(h, c, received[c], told_length(c, nb), leaving) > 0)
			rsspp_handover_release(h, c);
		if (defect == Defect::early_release) {
			explorer.point();
			process_all();
		}
	}

	void process(uint16_t c, Packet &p)
	{
		explorer.check_access(p.touched, "a packet changes core");
		explorer.check_access(state[p.bucket], "flow state");
		if (p.sequence != expected[p.bucket])
			explorer.fail(p.sequence < expected[p.bucket] ? "a packet twice"
			                                              : "a flow out of order");
		// The owner's own load: it may only be its own bucket.
		if (rsspp_handover_owner(h, p.bucket) != c)
			explorer.fail("processed by a core that is not the owner");
		expected[p.bucket]++;
		processed++;
	}

	// Everybody goes on, in turn: all must end.
	void finish()
	{
		for (int round = 0; round < 30; round++)
			for (uint16_t c = 0; c < s.nb_cores; c++) {
				explorer.act_as(thread[c]);
				poll(c);
			}
		if (rsspp_handover_in_progress(h) != 0)
			explorer.fail("a move never ends");
		else if (processed != s.arrivals.size())
			explorer.fail("a packet is lost or held for ever");
	}
};

const Scenario scenarios[] = {
	{.name = "one move", .arrivals = {0, 0, 0}, .writes = {{{0, 1}}}},
	{.name = "two buckets change places", .arrivals = {0, 1, 0}, .writes = {{{0, 1}, {1, 0}}}},
	{.name = "there and back", .arrivals = {0, 0, 0}, .writes = {{{0, 1}}, {{0, 0}}}, .polls = 4},
	{.name = "a queue of unknown length",
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}},
     .polls = 4,
     .knows_length = false},
	{.name = "three cores in a row",
     .nb_cores = 3,
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}, {{0, 2}}}},
	{.name = "a queue longer than a burst",
     .arrivals = {0, 0, 0, 0},
     .writes = {{{0, 1}}},
     .burst = 1},
	{.name = "one move, passed through",
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}},
     .passes = true},
	{.name = "places changed, passed through",
     .arrivals = {0, 1, 0},
     .writes = {{{0, 1}, {1, 0}}},
     .passes = true},
	{.name = "there and back, passed through",
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}, {{0, 0}}},
     .polls = 4,
     .passes = true},
	// The device refused a write: what it sends to the wrong core is forwarded, more than the ring takes.
	{.name = "a device that misleads",
     .arrivals = {0, 0, 0, 0, 0},
     .writes = {},
     .polls = 4,
     .table = {1, 1}},
	{.name = "a refused write, then another",
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}, {{0, 1}}},
     .polls = 4,
     .refuses = true},
	{.name = "one announced move",
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}},
     .passes = true,
     .prepares = true},
	{.name = "a hold of one packet",
     .arrivals = {0, 0, 0},
     .writes = {{{0, 1}}},
     .hold_capacity = 1},
};

Explored explore(const Scenario &s, Defect defect, const Budget &budget)
{
	static Explorer explorer;
	explorer.weakened = defect == Defect::relaxed;
	std::unique_ptr<World> world;
	return explorer.explore(
		budget,
		[&] {
			world.reset();
			world = std::make_unique<World>(s, defect, explorer);
		},
		[&] { world->finish(); });
}

unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *given = std::getenv(name);
	return given ? unsigned(std::strtoul(given, nullptr, 10)) : otherwise;
}

} // namespace

#ifdef __SANITIZE_THREAD__
// ThreadSanitizer does not follow fibers.
TEST_CASE("hand-over model" * doctest::skip()) {}
#else

TEST_CASE("hand-over: no interleaving loses, doubles or reorders a packet, or races")
{
	const bool wide = std::getenv("MODEL_DEPARTURES");
	const Budget whole = {.departures = from_environment("MODEL_DEPARTURES", 1),
	                      .stale = from_environment("MODEL_STALE", 1),
	                      .all_orders = wide};
	const Budget walks = {.departures = 6,
	                      .stale = 3,
	                      .executions = from_environment("MODEL_WALKS", 20'000),
	                      .seed = from_environment("REFRAMER_SEED", 8)};
	for (const Scenario &s : scenarios) {
		for (const Budget &budget : {whole, walks}) {
			const auto start = std::chrono::steady_clock::now();
			const Explored result = explore(s, Defect::none, budget);
			const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
			std::printf("%-27s %-12s %9llu executions, %3.0f choices each, %.1f s\n", s.name,
			            budget.seed ? "random walks" : "whole tree",
			            static_cast<unsigned long long>(result.executions),
			            double(result.choices) / double(result.executions), took.count());
			CAPTURE(s.name);
			CHECK_MESSAGE(result.violation.empty(), result.violation);
			CHECK((result.whole || budget.seed));
		}
	}
}

TEST_CASE("hand-over: the explorer finds what is broken on purpose")
{
	const struct {
		Defect defect;
		const char *name;
	} defects[] = {{Defect::relaxed, "no acquire and no release"},
	               {Defect::early_written, "the table said to be in force too early"},
	               {Defect::early_table, "the table written before the move began"},
	               {Defect::unordered_device, "a device that does not order"},
	               {Defect::no_watermark, "no watermark"},
	               {Defect::early_release, "a bucket given up before its packets are out"}};
	for (const auto &d : defects) {
		std::string found;
		uint64_t executions = 0;
		for (const Scenario &s : scenarios) {
			const Explored result = explore(
				s, d.defect, {.departures = 6, .stale = 2, .executions = 30'000, .seed = 1});
			executions += result.executions;
			found = result.violation;
			if (!found.empty())
				break;
		}
		std::printf("%-42s %s after %llu executions\n", d.name,
		            found.empty() ? "NOT FOUND" : found.c_str(),
		            static_cast<unsigned long long>(executions));
		CAPTURE(d.name);
		CHECK(!found.empty());
	}
}

#endif
