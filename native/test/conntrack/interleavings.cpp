// Every interleaving of small programs on the real shared table, up to a number of preemptions.
//
// Its sources are compiled once more for this program, with a hook at each access to shared bytes.
// Two threads are two fibers; a run follows a list of steps at which one is preempted for the
// other. All lists up to two long are tried (as Musuvathi's CHESS does; REFRAMER_PREEMPTIONS says
// another number, three take half a minute), and each run's history must be linearizable. Under
// ThreadSanitizer each is searched for races, too, which takes 12 minutes: REFRAMER_SCENARIOS=K/N runs
// the K-th of N parts of the scenarios. What this does not see: reorderings by processor
// or compiler (acquire and release on every access rule those out that matter, see
// conntrack_shared.h), and preemption between other atomics than bucket words.
#include "conntrack/shared/atomics.hpp"
#include "linearizability.hpp"
#include "reframer/conntrack_shared.h"
#include "support/fibers.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>

using reframer::test::Fibers;
using reframer::test::HistoryChecker;
using reframer::test::Operation;

namespace {

// Runs two fibers by a schedule. Its own variables are nobody's business: ThreadSanitizer, to which the
// fibers are threads, leaves them out.
#define NOT_WATCHED [[gnu::no_sanitize("thread")]]

class Scheduler {
public:
	// @return steps taken. A run that does not end is a deadlock.
	NOT_WATCHED uint32_t run(const std::vector<uint32_t> &preempt_at, std::function<void()> first,
	                         std::function<void()> second)
	{
		preempt_at_ = preempt_at.data();
		nb_preemptions_ = preempt_at.size();
		next_ = 0;
		step_ = waits_ = 0;
		deadlock_ = false;
		bodies_[0] = std::move(first);
		bodies_[1] = std::move(second);
		done_[0] = done_[1] = false;
		active_ = this;
		fibers_.begin(&enter);
		for (current_ = 0; !(done_[0] && done_[1]) && !deadlock_;) {
			if (done_[current_])
				current_ = 1 - current_;
			fibers_.change(Fibers::none, current_);
		}
		active_ = nullptr;
		return step_;
	}
	bool deadlock() const { return deadlock_; }
	NOT_WATCHED uint64_t now() { return ++clock_; }

	NOT_WATCHED void point()
	{
		uint32_t step = step_++;
		if (next_ < nb_preemptions_ && preempt_at_[next_] == step) {
			next_++;
			yield();
		}
	}
	NOT_WATCHED void wait()
	{
		// Nobody can let the waiting one go on.
		if (++waits_ > 10'000 || done_[1 - current_]) {
			deadlock_ = true;
			fibers_.leave(current_);
		}
		yield();
	}

	static Scheduler *active_;

private:
	NOT_WATCHED static void enter()
	{
		Scheduler &s = *active_;
		const unsigned self = s.current_;
		s.bodies_[self]();
		s.done_[self] = true;
		s.fibers_.leave(self);
	}
	NOT_WATCHED void yield()
	{
		if (done_[1 - current_])
			return;
		unsigned from = current_;
		current_ = 1 - from;
		fibers_.change(from, current_);
	}

	const uint32_t *preempt_at_ = nullptr;
	size_t nb_preemptions_ = 0, next_ = 0;
	uint32_t step_ = 0, waits_ = 0;
	uint64_t clock_ = 0;
	bool done_[2] = {}, deadlock_ = false;
	unsigned current_ = 0;
	std::function<void()> bodies_[2];
	Fibers fibers_;
};

Scheduler *Scheduler::active_ = nullptr;

} // namespace

namespace reframer::conntrack::shared {

NOT_WATCHED void explore_point()
{
	if (Scheduler::active_)
		Scheduler::active_->point();
}
NOT_WATCHED void explore_wait()
{
	if (Scheduler::active_)
		Scheduler::active_->wait();
}

} // namespace reframer::conntrack::shared

namespace {

struct Key {
	uint64_t word[2];
};

// A small table in the state where a scenario begins.
class Bench {
public:
	static constexpr uint64_t now = 1'000'000'000;
	// As conntrack_shared_create() makes it of 64 flows at 80 %.
	static constexpr uint64_t nb_homes = 5;

	Bench()
	{
		conntrack_params params;
		conntrack_default_params(&params);
		params.initial_flows = 64;
		params.state_size = 16;
		params.seed = 7;
		REQUIRE(conntrack_shared_create(&params, &table) == 0);
		for (auto &t : threads)
			t = conntrack_shared_thread_create(table);
	}
	~Bench() { conntrack_shared_free(table); }
	Bench(const Bench &) = delete;
	Bench &operator=(const Bench &) = delete;

	// The `number`th key at home in bucket `home` of the first generation. Found once: all tables
	// here have one seed.
	Key key_of(uint64_t home, size_t number)
	{
		static std::vector<Key> known[nb_homes];
		static uint64_t next = 0;
		while (known[home].size() <= number) {
			Key key = {{next, next}};
			next++;
			uint64_t digest;
			conntrack_shared_digest_burst(threads[0], &key, 1, &digest);
			known[(digest & 0xffffffff) * nb_homes >> 32].push_back(key);
		}
		return known[home][number];
	}
	Operation act(unsigned id, const Key &key, Operation::Kind kind, uint64_t value)
	{
		uint64_t state[2] = {value, ~value};
		uint8_t result = 0;
		Operation o{};
		o.kind = kind;
		o.argument = value;
		o.begin = stamp();
		if (kind == Operation::find)
			conntrack_shared_find_burst(threads[id], &key, nullptr, 1, now, state, &result);
		else if (kind == Operation::store)
			conntrack_shared_store_burst(threads[id], &key, nullptr, 1, now, state, &result);
		else if (kind == Operation::find_or_insert)
			conntrack_shared_find_or_insert_burst(threads[id], &key, nullptr, 1, now, state,
			                                      &result);
		else
			conntrack_shared_remove_burst(threads[id], &key, nullptr, 1, now, &result);
		o.end = stamp();
		o.flag = result != 0;
		o.value = state[1] == ~state[0] ? state[0] : UINT64_MAX;
		return o;
	}

	conntrack_shared *table = nullptr;
	conntrack_thread *threads[3];

private:
	uint64_t stamp() { return Scheduler::active_ ? Scheduler::active_->now() : ++before_; }
	uint64_t before_ = 0;
};

// One key's operations in each of two threads, after `prepare`; `beside` runs in the first thread
// instead of operations where it is there.
struct Scenario {
	const char *name;
	unsigned preemptions; // fewer where there are many steps
	// Puts the table into its state and says which key it is about and what it holds (0: nothing).
	std::function<std::pair<Key, uint64_t>(Bench &)> prepare;
	std::vector<Operation::Kind> first, second;
	std::function<void(Bench &)> beside = nullptr;
};

struct Outcome {
	uint64_t runs = 0;
	std::string failure;
};

uint32_t try_schedule(const Scenario &s, const std::vector<uint32_t> &schedule, Outcome &out)
{
	static Scheduler scheduler;
	Bench bench;
	auto [key, value] = s.prepare(bench);
	std::vector<std::vector<Operation>> history(3);
	if (value)
		history[2].push_back({Operation::store, value, true, 0, 0, 0});
	const Key &k = key;
	auto body = [&](unsigned id, const std::vector<Operation::Kind> &kinds) {
		return [&, id] {
			for (size_t i = 0; i < kinds.size(); i++)
				history[id].push_back(bench.act(id, k, kinds[i], 100 * (id + 1) + i));
		};
	};
	std::function<void()> first = body(0, s.first);
	if (s.beside)
		first = [&] { s.beside(bench); };
	uint32_t steps = scheduler.run(schedule, first, body(1, s.second));
	out.runs++;
	// Whatever happened, all threads agree on the end, and the books are right.
	if (!scheduler.deadlock()) {
		history[2].push_back(bench.act(2, k, Operation::find, 0));
		history[2].back().begin = UINT64_MAX - 1;
		history[2].back().end = UINT64_MAX;
		conntrack_stats stats;
		conntrack_shared_get_stats(bench.table, &stats);
		uint64_t visited = conntrack_shared_iterate(
			bench.threads[2], CONNTRACK_NO_TIME, [](void *, const void *, void *, int) {}, nullptr);
		if (visited != stats.flows || stats.evicted || stats.refused)
			out.failure = "books";
	} else {
		out.failure = "deadlock";
	}
	if (out.failure.empty() && !HistoryChecker(history).linearizable())
		out.failure = "not linearizable";
	if (!out.failure.empty())
		for (uint32_t at : schedule)
			out.failure.append(1, ' ').append(std::to_string(at));
	return steps;
}

void explore(const Scenario &s, size_t most, std::vector<uint32_t> &schedule, Outcome &out)
{
	uint32_t steps = try_schedule(s, schedule, out);
	if (!out.failure.empty() || schedule.size() == most)
		return;
	for (uint32_t at = schedule.empty() ? 0 : schedule.back() + 1;
	     at < steps && out.failure.empty(); at++) {
		schedule.push_back(at);
		explore(s, most, schedule, out);
		schedule.pop_back();
	}
}

std::pair<Key, uint64_t> empty_table(Bench &b)
{
	return {b.key_of(2, 0), 0};
}
std::pair<Key, uint64_t> key_there(Bench &b)
{
	Key key = b.key_of(2, 0);
	b.act(2, key, Operation::store, 1);
	return {key, 1};
}
// Its home is full, so that a key must live in the next bucket.
std::pair<Key, uint64_t> home_full(Bench &b)
{
	for (uint64_t i = 1; i <= 16; i++)
		b.act(2, b.key_of(2, i), Operation::store, 1);
	return {b.key_of(2, 0), 0};
}
std::pair<Key, uint64_t> key_away(Bench &b)
{
	Key key = home_full(b).first;
	b.act(2, key, Operation::store, 1);
	return {key, 1};
}
// Growth has begun, and the next home to move is the key's, or the key's is the one after.
std::pair<Key, uint64_t> growing(Bench &b, uint64_t home, bool there)
{
	conntrack_stats stats{};
	for (uint64_t i = 0; !stats.growing; i++) {
		b.act(2, b.key_of(0, 20 + i), Operation::store, 1);
		conntrack_shared_get_stats(b.table, &stats);
	}
	Key key = b.key_of(home, 0);
	if (there)
		b.act(2, key, Operation::store, 1);
	return {key, there ? 1u : 0u};
}

} // namespace

TEST_CASE("all interleavings of small programs are linearizable")
{
	using enum Operation::Kind;
	auto move_one = [](Bench &b) { conntrack_shared_expire(b.threads[0], Bench::now, 16); };
	const Scenario scenarios[] = {
		{"a reader sees a change whole", 2, key_there, {store}, {find}},
		{"two readings do not go back", 2, key_there, {store, store}, {find, find}},
		{"one of two inserts is the first", 2, empty_table, {find_or_insert}, {find_or_insert}},
		{"an insert and a lookup", 2, empty_table, {store}, {find}},
		{"a removal and an insert", 2, key_there, {remove}, {find_or_insert}},
		{"the slot is used again", 2, key_there, {remove, store}, {find, remove}},
		{"an insert away from home", 2, home_full, {store}, {find_or_insert}},
		{"a lookup away from home", 2, key_away, {remove}, {find}},
		{"one of two removals away from home is the first", 2, key_away, {remove}, {remove}},
		{"removed and back, away from home", 2, key_away, {remove, store}, {find}},
		{"a home moves under a lookup",
	     2,
	     [](Bench &b) { return growing(b, 1, true); },
	     {},
	     {find},
	     move_one},
		{"a home moves under a store",
	     2,
	     [](Bench &b) { return growing(b, 1, true); },
	     {},
	     {store},
	     move_one},
		{"a home moves under an insert",
	     2,
	     [](Bench &b) { return growing(b, 1, false); },
	     {},
	     {find_or_insert},
	     move_one},
		{"a home moves under a removal",
	     2,
	     [](Bench &b) { return growing(b, 1, true); },
	     {},
	     {remove},
	     move_one},
		{"the last home moves",
	     1,
	     [](Bench &b) { return growing(b, 4, true); },
	     {},
	     {find, store},
	     [](Bench &b) { conntrack_shared_expire(b.threads[0], Bench::now, 16 * 5); }},
	};
	uint64_t runs = 0;
	const char *part = std::getenv("REFRAMER_SCENARIOS");
	unsigned k = 1, n = 1, number = 0;
	if (part)
		REQUIRE((std::sscanf(part, "%u/%u", &k, &n) == 2 && k >= 1 && k <= n));
	for (const Scenario &s : scenarios) {
		if (number++ % n != k - 1)
			continue;
		Outcome out;
		std::vector<uint32_t> schedule;
		const char *given = std::getenv("REFRAMER_PREEMPTIONS");
		explore(s, given ? std::strtoul(given, nullptr, 10) : s.preemptions, schedule, out);
		CAPTURE(std::string(s.name));
		CHECK(out.failure == "");
		runs += out.runs;
	}
	MESSAGE(runs << " interleavings");
	CHECK(runs > (part ? 0 : 1000));
}
