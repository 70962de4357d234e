// Explores the interleavings of a few threads over the real source of a lock-free protocol.
//
// The source is compiled with ExploredAtomic in the place of std::atomic. Threads are fibers; before
// each operation on a location that several of them use, the explorer may switch to another, and a
// load may give any value that the C++ memory model lets it see: an older store, unless an acquire
// has made a later one known. All choices of an execution form a path in a tree that is walked
// whole, depth first, by running from the start again with the next path. Two budgets bound the
// tree: how often the schedule departs from taking turns, and how many loads are stale. Random walks
// of the same tree reach deeper with larger budgets, without the claim to have been everywhere.
//
// The memory model: each location has its stores in the order in which they were made; a thread has
// a view, the first store of each location that it may still read; a release store carries its
// thread's view and an acquire load takes it over; read-modify-writes see the last store and hand a
// release on. What this leaves out: loads that see stores made later (load buffering), which no
// compiler or machine does across the dependencies that are here.
//
// Plain memory is watched by happens-before: check_access() says when two threads meet on it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <ucontext.h>

namespace reframer::test {

constexpr unsigned max_threads = 6, max_locations = 96;

using View = std::array<uint16_t, max_locations>;
using Clock = std::array<uint16_t, max_threads>;

template <class Array> void join(Array &into, const Array &other)
{
	for (size_t i = 0; i < into.size(); i++)
		into[i] = std::max(into[i], other[i]);
}

// What a release publishes.
struct Knowledge {
	View view{};
	Clock clock{};
};

// Plain memory as the race check sees it.
struct Watched {
	unsigned thread = max_threads;
	uint16_t at = 0;
};

struct Budget {
	unsigned departures = 2;
	unsigned stale = 1;
	bool all_orders = true; // of turns; else each thread once first, in one cycle
	uint64_t executions = UINT64_MAX;
	uint64_t seed = 0; // not 0: random walks, as many as `executions`
};

struct Explored {
	uint64_t executions = 0;
	uint64_t choices = 0;
	bool whole = false;    // the tree was walked to its end
	std::string violation; // empty: none
	std::vector<uint32_t> path;
};

class Explorer {
public:
	static Explorer *current;

	// `build` makes a fresh scenario: adds the threads; `finish` runs behind them, on the main thread.
	Explored explore(const Budget &allowed, const std::function<void()> &build,
	                 const std::function<void()> &finish)
	{
		Explored result;
		current = this;
		std::fill(users.begin(), users.end(), 0);
		path.clear();
		random.seed(allowed.seed);
		for (bool more = true; more && result.executions < allowed.executions;) {
			begin(allowed);
			build();
			run_threads();
			if (violation.empty())
				finish();
			result.executions++;
			result.choices += at;
			if (!violation.empty()) {
				result.violation = violation;
				for (const Choice &c : path)
					result.path.push_back(c.taken);
				return result;
			}
			if (allowed.seed)
				continue;
			if (shared_grew) // one more location is a moment to switch: begin again with it
				path.clear();
			else
				more = next_path();
			result.whole = !more;
		}
		return result;
	}

	unsigned add_thread(std::function<void()> work)
	{
		Fiber &f = fibers[nb_threads];
		f.work = std::move(work);
		f.done = false;
		know[nb_threads] = {};
		know[nb_threads].clock[nb_threads] = 1;
		return nb_threads++;
	}

	// The thread that the following calls are made for, once all fibers have ended; it sees all stores.
	void act_as(unsigned thread)
	{
		me = thread;
		fair = true;
	}
	unsigned self() const { return me; }
	// The order of turns is one of the choices.
	void shuffle_turns()
	{
		for (unsigned i = 0; i < nb_threads; i++)
			order[i] = i;
		if (allowed.all_orders) {
			for (unsigned i = nb_threads; i > 1; i--)
				std::swap(order[i - 1], order[choose(i)]);
		} else {
			std::rotate(order.begin(), order.begin() + choose(nb_threads),
			            order.begin() + nb_threads);
		}
	}

	void fail(const std::string &what)
	{
		if (violation.empty())
			violation = what;
		if (running)
			leave();
	}

	// A moment at which another thread may come in.
	void point()
	{
		if (!running || allowed.departures == 0)
			return;
		unsigned others = 0;
		std::array<unsigned, max_threads> who{};
		for (unsigned t = 0; t < nb_threads; t++)
			if (t != me && !fibers[t].done)
				who[others++] = t;
		const uint32_t taken = others ? choose(others + 1) : 0;
		if (taken) {
			allowed.departures--;
			switch_to(who[taken - 1]);
		}
	}

	// End of a turn: the next in order, or, as a departure, another.
	void yield()
	{
		if (!running)
			return;
		unsigned position = 0;
		while (order[position] != me)
			position++;
		unsigned next = nb_threads;
		std::array<unsigned, max_threads> who{};
		unsigned others = 0;
		for (unsigned i = 1; i <= nb_threads; i++) {
			const unsigned t = order[(position + i) % nb_threads];
			if (fibers[t].done)
				continue;
			if (next == nb_threads)
				next = t;
			else
				who[others++] = t;
		}
		if (next == nb_threads)
			return;
		if (others && allowed.departures) {
			const uint32_t taken = choose(others + 1);
			if (taken) {
				allowed.departures--;
				next = who[taken - 1];
			}
		}
		if (next != me)
			switch_to(next);
	}

	// ---- locations ----

	struct Store {
		uint64_t value;
		bool released;
		Knowledge known;
	};

	unsigned add_location(uint64_t value)
	{
		if (nb_locations == max_locations)
			std::abort();
		stores[nb_locations].assign(1, {value, false, {}});
		return nb_locations++;
	}
	uint64_t load(unsigned location, std::memory_order order)
	{
		touch(location);
		auto &list = stores[location];
		const auto last = unsigned(list.size() - 1);
		unsigned index = last;
		if (!fair && allowed.stale) {
			const unsigned oldest = know[me].view[location];
			index = last - choose(last - oldest + 1);
			allowed.stale -= index != last;
		}
		read(location, index, order);
		return list[index].value;
	}
	void store(unsigned location, uint64_t value, std::memory_order order)
	{
		touch(location);
		append(location, value, order, nullptr);
	}
	// @return whether it was `expected`, which then holds what was there.
	template <class Change>
	uint64_t modify(unsigned location, std::memory_order order, Change change)
	{
		touch(location);
		const auto last = unsigned(stores[location].size() - 1);
		const uint64_t before = stores[location][last].value;
		uint64_t after = before;
		const bool writes = change(after);
		read(location, last, order);
		if (writes) {
			const Store previous = stores[location][last];
			append(location, after, order, &previous);
		}
		return before;
	}

	// ---- plain memory ----

	void check_access(Watched &memory, const char *what)
	{
		Clock &own = know[me].clock;
		if (memory.thread != max_threads && memory.thread != me && own[memory.thread] < memory.at)
			fail(std::string("race: ") + what);
		memory = {me, own[me]};
	}
	// A device that orders its accesses, such as a NIC behind its driver's barriers.
	Knowledge publish()
	{
		Knowledge k = know[me];
		know[me].clock[me]++;
		return k;
	}
	void learn(const Knowledge &k)
	{
		join(know[me].view, k.view);
		join(know[me].clock, k.clock);
	}

	// Deliberate defects: release stores and acquire loads that are none.
	bool weakened = false;

private:
	struct Choice {
		uint32_t taken, options;
	};
	struct Fiber {
		ucontext_t context;
		std::unique_ptr<char[]> stack = std::make_unique<char[]>(stack_size);
		std::function<void()> work;
		bool done = true;
	};
	static constexpr size_t stack_size = 64 << 10;

	void begin(const Budget &budget)
	{
		allowed = budget;
		at = 0;
		nb_threads = nb_locations = 0;
		me = 0;
		know[0] = {};
		fair = running = shared_grew = false;
		violation.clear();
	}

	uint32_t choose(uint32_t options)
	{
		if (options <= 1)
			return 0;
		if (allowed.seed) { // the first choice, "as it comes", most of the time
			at++;
			const auto drawn = uint32_t(random());
			return running && drawn & 0x700 ? 0 : (drawn >> 16) % options;
		}
		if (at == path.size())
			path.push_back({0, options});
		else if (path[at].options != options)
			std::abort(); // the scenario does not repeat itself
		return path[at++].taken;
	}
	bool next_path()
	{
		path.resize(at);
		while (!path.empty() && path.back().taken + 1 == path.back().options)
			path.pop_back();
		if (path.empty())
			return false;
		path.back().taken++;
		return true;
	}

	void run_threads()
	{
		for (unsigned t = 0; t < nb_threads; t++) {
			Fiber &f = fibers[t];
			getcontext(&f.context);
			f.context.uc_stack = {f.stack.get(), 0, stack_size};
			f.context.uc_link = nullptr;
			makecontext(&f.context, &Explorer::enter, 0);
		}
		shuffle_turns();
		running = true;
		me = order[0];
		swapcontext(&home, &fibers[me].context);
		running = false;
	}
	static void enter()
	{
		Explorer &e = *current;
		e.fibers[e.me].work();
		e.fibers[e.me].done = true;
		unsigned position = 0;
		while (e.order[position] != e.me)
			position++;
		for (unsigned i = 1; i < e.nb_threads; i++) {
			const unsigned t = e.order[(position + i) % e.nb_threads];
			if (!e.fibers[t].done) {
				e.me = t;
				setcontext(&e.fibers[t].context);
			}
		}
		setcontext(&e.home);
	}
	void switch_to(unsigned t)
	{
		Fiber &from = fibers[me];
		me = t;
		swapcontext(&from.context, &fibers[t].context);
	}
	[[noreturn]] void leave()
	{
		setcontext(&home);
		std::abort();
	}

	// Locations of one thread alone need no switch: what others do meanwhile changes nothing there.
	void touch(unsigned location)
	{
		if (!running)
			return;
		const uint32_t bit = 1u << me;
		if (!(users[location] & bit)) {
			users[location] |= bit;
			shared_grew = shared_grew || (users[location] & (users[location] - 1));
		}
		if (users[location] & (users[location] - 1))
			point();
	}
	bool acquires(std::memory_order o) const
	{
		return !weakened && (o == std::memory_order_acquire || o == std::memory_order_acq_rel ||
		                     o == std::memory_order_seq_cst);
	}
	bool releases(std::memory_order o) const
	{
		return !weakened && (o == std::memory_order_release || o == std::memory_order_acq_rel ||
		                     o == std::memory_order_seq_cst);
	}
	void read(unsigned location, unsigned index, std::memory_order order)
	{
		know[me].view[location] = uint16_t(index);
		const Store &s = stores[location][index];
		if (s.released && acquires(order))
			learn(s.known);
	}
	void append(unsigned location, uint64_t value, std::memory_order order, const Store *previous)
	{
		auto &list = stores[location];
		know[me].view[location] = uint16_t(list.size());
		Store s{value, false, {}};
		if (previous && previous->released) { // a release sequence goes on
			s.released = true;
			s.known = previous->known;
		}
		if (releases(order)) {
			s.released = true;
			join(s.known.view, know[me].view);
			join(s.known.clock, know[me].clock);
			know[me].clock[me]++;
		}
		list.push_back(s);
	}

	Budget allowed;
	std::vector<Choice> path;
	size_t at = 0;
	std::mt19937 random;
	std::array<Fiber, max_threads> fibers;
	std::array<unsigned, max_threads> order{};
	std::array<Knowledge, max_threads> know;
	std::array<std::vector<Store>, max_locations> stores;
	std::array<uint32_t, max_locations> users{};
	unsigned nb_threads = 0, nb_locations = 0, me = 0;
	bool fair = false, running = false, shared_grew = false;
	std::string violation;
	ucontext_t home;
};

inline Explorer *Explorer::current = nullptr;

} // namespace reframer::test
