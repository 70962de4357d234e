// The shared burst table: one thread against the model, several threads against what must hold.
#include "model.hpp"
#include "reframer/conntrack_shared.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cerrno>
#include <thread>

using reframer::test::FlowModel;
using reframer::test::run_seed;

namespace {

constexpr uint64_t tick_ns = 1'000'000;

struct Setup {
	const char *name;
	uint32_t key_size = 16, state_size = 8;
	uint32_t flags = 0;
	uint64_t initial_flows = 64;
	uint64_t nb_keys = 3000;
	uint64_t largest_step = 40; // ticks between calls
	uint32_t burst = 64;
};

std::string key_of(uint64_t number, uint32_t key_size)
{
	std::string k(key_size, '\0');
	std::memcpy(k.data(), &number, 8);
	std::memcpy(k.data() + key_size - 4, &number, 4);
	return k;
}

void count_removed(void *context, const void *, void *, int reason)
{
	static_cast<std::atomic<uint64_t> *>(context)[reason]++;
}

struct Fixture {
	conntrack_params params;
	conntrack_shared *table = nullptr;
	std::atomic<uint64_t> removed[3] = {};

	explicit Fixture(const Setup &s, uint64_t max_flows = 1 << 20)
	{
		conntrack_default_params(&params);
		params.key_size = s.key_size;
		params.state_size = s.state_size;
		params.flags = s.flags;
		params.initial_flows = s.initial_flows;
		params.max_flows = max_flows;
		params.tick_ns = tick_ns;
		params.seed = run_seed();
		params.on_removed = count_removed;
		params.context = removed;
		uint64_t ms[] = {500, 3000, 40'000, 0, 200'000};
		for (unsigned c = 0; c < CONNTRACK_NB_CLASSES; c++)
			params.timeout_ns[c] = ms[c % 5] * tick_ns;
		REQUIRE(conntrack_shared_create(&params, &table) == 0);
	}
	~Fixture() { conntrack_shared_free(table); }
	Fixture(const Fixture &) = delete;
	Fixture &operator=(const Fixture &) = delete;

	std::vector<uint64_t> timeouts() const
	{
		std::vector<uint64_t> out;
		for (uint64_t t : params.timeout_ns)
			out.push_back(t ? t / tick_ns + 1 : 0);
		return out;
	}
	conntrack_stats stats() const
	{
		conntrack_stats s;
		conntrack_shared_get_stats(table, &s);
		return s;
	}
	std::map<std::string, uint64_t> live(conntrack_thread *thread, uint64_t now)
	{
		struct Context {
			std::map<std::string, uint64_t> flows;
			size_t key_size;
		} c{{}, params.key_size};
		auto visit = [](void *context, const void *key, void *state, int) {
			auto *c = static_cast<Context *>(context);
			uint64_t value;
			std::memcpy(&value, state, 8);
			c->flows[std::string(static_cast<const char *>(key), c->key_size)] = value;
		};
		uint64_t visited = conntrack_shared_iterate(thread, now, visit, &c);
		CHECK(visited == c.flows.size());
		return c.flows;
	}
};

// A state's first and last words carry the value: half a copy would show.
void set_value(uint8_t *state, uint32_t state_size, uint64_t value)
{
	for (uint32_t at = 0; at < state_size; at += 8)
		std::memcpy(state + at, &value, 8);
}
uint64_t value_of(const uint8_t *state, uint32_t state_size)
{
	uint64_t first, last;
	std::memcpy(&first, state, 8);
	std::memcpy(&last, state + state_size - 8, 8);
	return first == last ? first : UINT64_MAX;
}

struct Change {
	uint64_t value;
	uint32_t timeout_class, state_size;
	std::vector<uint64_t> before;
};

void run_differential(const Setup &setup, unsigned nb_steps)
{
	CAPTURE(setup.name);
	Fixture f(setup);
	conntrack_thread *thread = conntrack_shared_thread_create(f.table);
	FlowModel model(f.timeouts());
	std::mt19937_64 random(run_seed());
	uint64_t now = 123456 * tick_ns, next_value = 1;
	for (unsigned step = 0; step < nb_steps; step++) {
		if (random() % 4 == 0)
			now += random() % (setup.largest_step + 1) * tick_ns;
		model.advance(now / tick_ns);
		auto n = uint32_t(1 + random() % setup.burst);
		std::vector<uint64_t> numbers(n), own(n);
		std::string keys;
		for (uint64_t &number : numbers) {
			number = random() % (random() % 2 ? setup.nb_keys : setup.nb_keys / 20);
			keys += key_of(number, setup.key_size);
		}
		conntrack_shared_digest_burst(thread, keys.data(), n, own.data());
		const uint64_t *digests = random() % 2 ? own.data() : nullptr;
		std::vector<uint8_t> states(size_t{n} * setup.state_size), results(n);
		auto state = [&](uint32_t i) { return states.data() + size_t{i} * setup.state_size; };
		unsigned operation = random() % 12;
		if (operation < 6) {
			bool store = operation < 2;
			for (uint32_t i = 0; i < n; i++)
				set_value(state(i), setup.state_size, next_value + i);
			REQUIRE(
				(store
			         ? conntrack_shared_store_burst
			         : [](conntrack_thread *t, const void *k, const uint64_t *d, uint32_t c,
			              uint64_t at, const void *s, uint8_t *r) {
						   return conntrack_shared_find_or_insert_burst(t, k, d, c, at,
				                                                        const_cast<void *>(s), r);
					   })(thread, keys.data(), digests, n, now, states.data(), results.data()) == n);
			for (uint32_t i = 0; i < n; i++) {
				auto *flow = model.find(key_of(numbers[i], setup.key_size));
				REQUIRE(results[i] == (flow ? 0 : CONNTRACK_NEW));
				if (!flow)
					model.insert(key_of(numbers[i], setup.key_size), next_value + i);
				else if (store)
					flow->value = next_value + i;
				else
					REQUIRE(value_of(state(i), setup.state_size) == flow->value);
			}
			next_value += n;
		} else if (operation < 8) {
			Change change{next_value++, static_cast<uint32_t>(random() % 5), setup.state_size,
			              std::vector<uint64_t>(n)};
			auto update = [](void *context, uint32_t i, void *state, uint32_t *timeout_class,
			                 int is_new) {
				auto *c = static_cast<Change *>(context);
				c->before[i] = is_new ? 0 : value_of(static_cast<uint8_t *>(state), c->state_size);
				set_value(static_cast<uint8_t *>(state), c->state_size, c->value);
				*timeout_class = c->timeout_class;
			};
			REQUIRE(conntrack_shared_update_burst(thread, keys.data(), digests, n, now, update,
			                                      &change, results.data()) == n);
			for (uint32_t i = 0; i < n; i++) {
				std::string key = key_of(numbers[i], setup.key_size);
				auto *flow = model.find(key);
				REQUIRE(results[i] == (flow ? 0 : CONNTRACK_NEW));
				if (!flow)
					flow = model.insert(key, 0);
				REQUIRE(change.before[i] == flow->value);
				flow->value = change.value;
				model.set_class(key, change.timeout_class);
			}
		} else if (operation < 10) {
			uint32_t expected = 0;
			uint32_t found = conntrack_shared_find_burst(thread, keys.data(), digests, n, now,
			                                             states.data(), results.data());
			for (uint32_t i = 0; i < n; i++) {
				auto *flow = model.find(key_of(numbers[i], setup.key_size));
				expected += flow != nullptr;
				REQUIRE(results[i] == (flow ? 1 : 0));
				if (flow)
					REQUIRE(value_of(state(i), setup.state_size) == flow->value);
			}
			REQUIRE(found == expected);
		} else if (operation < 11) {
			uint32_t expected = 0;
			for (uint64_t number : numbers)
				expected += model.remove(key_of(number, setup.key_size));
			REQUIRE(conntrack_shared_remove_burst(thread, keys.data(), digests, n, now, nullptr) ==
			        expected);
		} else {
			conntrack_shared_expire(thread, now, uint32_t(random() % 200));
		}
		if (step % 500 == 499)
			REQUIRE(f.live(thread, now) == model.live());
	}
	conntrack_stats s = f.stats();
	REQUIRE(s.flows == s.inserted - s.removed - s.expired - s.evicted);
	REQUIRE(s.refused == 0);
	REQUIRE(f.removed[CONNTRACK_REMOVED] == s.removed);
	REQUIRE(f.removed[CONNTRACK_EXPIRED] == s.expired);
	conntrack_shared_thread_free(thread);
}

} // namespace

TEST_CASE("one thread of a shared table does what the model does")
{
	CAPTURE(run_seed());
	run_differential({"IPv4, small steps"}, 4000);
	run_differential({.name = "IPv6, large state", .key_size = 40, .state_size = 64}, 3000);
	run_differential({.name = "half-sized state", .state_size = 40, .nb_keys = 20000, .burst = 200},
	                 1500);
	run_differential({.name = "clock leaps", .largest_step = 70'000, .burst = 16}, 6000);
	run_differential({.name = "16-bit deadlines wrap", .largest_step = 3000, .burst = 16}, 10000);
	run_differential({.name = "growth in long calls", .nb_keys = 60000, .burst = 5000}, 150);
	run_differential({.name = "fixed size", .flags = CONNTRACK_FIXED_SIZE, .initial_flows = 4096},
	                 3000);
}

TEST_CASE("a full shared table of one thread evicts or refuses, and never holds more than its room")
{
	for (uint32_t flags :
	     {uint32_t{CONNTRACK_FIXED_SIZE}, uint32_t{CONNTRACK_FIXED_SIZE | CONNTRACK_NO_EVICTION}}) {
		Fixture f({.name = "full", .flags = flags, .initial_flows = 1000});
		conntrack_thread *thread = conntrack_shared_thread_create(f.table);
		uint32_t refused = 0;
		for (uint64_t i = 0; i < 3000; i++) {
			uint64_t state = i;
			uint8_t result;
			std::string key = key_of(i, 16);
			conntrack_shared_store_burst(thread, key.data(), nullptr, 1, tick_ns, &state, &result);
			refused += result == CONNTRACK_SHARED_REFUSED;
			REQUIRE(f.stats().flows <= 1000);
		}
		conntrack_stats s = f.stats();
		CHECK(s.flows == 1000);
		CHECK(s.refused == refused);
		CHECK((flags & CONNTRACK_NO_EVICTION ? s.refused : s.evicted) == 2000);
		conntrack_shared_thread_free(thread);
	}
}

TEST_CASE("shared tables say what they cannot do")
{
	conntrack_params params;
	conntrack_default_params(&params);
	conntrack_shared *table = nullptr;
	for (const uint32_t flags : {CONNTRACK_NIC_HASH, CONNTRACK_SYMMETRIC}) {
		params.flags = flags;
		CHECK(conntrack_shared_create(&params, &table) == -EINVAL);
	}
	params.flags = 0;
	params.tick_ns = 999'999;
	CHECK(conntrack_shared_create(&params, &table) == -EINVAL);
	params.tick_ns = 1'000'000;
	REQUIRE(conntrack_shared_create(&params, &table) == 0);
	std::vector<conntrack_thread *> threads;
	for (unsigned i = 0; i < CONNTRACK_SHARED_THREADS; i++) {
		threads.push_back(conntrack_shared_thread_create(table));
		REQUIRE(threads.back() != nullptr);
	}
	CHECK(conntrack_shared_thread_create(table) == nullptr);
	conntrack_shared_thread_free(threads[7]);
	CHECK(conntrack_shared_thread_create(table) == threads[7]);
	conntrack_shared_free(table);
	conntrack_shared_free(nullptr);
	conntrack_shared_thread_free(nullptr);
}

// Each thread owns its keys and knows what they must hold; the table grows from 64 flows, entries
// expire, and one thread looks at everything meanwhile.
TEST_CASE("threads that own their keys find what they put, while the table grows and time passes")
{
	constexpr unsigned nb_threads = 4;
	constexpr uint64_t keys_each = 4000;
	Fixture f({.name = "owners", .state_size = 24});
	std::atomic<uint64_t> clock{1000 * tick_ns}, wrong{0};
	std::atomic<unsigned> running{nb_threads};
	std::vector<std::thread> threads;
	for (unsigned id = 0; id < nb_threads; id++)
		threads.emplace_back([&, id] {
			conntrack_thread *thread = conntrack_shared_thread_create(f.table);
			std::mt19937_64 random(run_seed() + id);
			// Class 3 never expires: what was put must be there.
			auto keep = [](void *context, uint32_t i, void *state, uint32_t *timeout_class, int) {
				set_value(static_cast<uint8_t *>(state), 24, static_cast<uint64_t *>(context)[i]);
				*timeout_class = 3;
			};
			std::unordered_map<uint64_t, uint64_t> mine;
			for (unsigned step = 0; step < 1500; step++) {
				constexpr uint32_t n = 32;
				std::string keys;
				uint64_t numbers[n], values[n];
				uint8_t results[n], states[n * 24];
				uint64_t now = clock.fetch_add(random() % 3 * tick_ns / 4);
				for (uint32_t i = 0; i < n; i++) {
					numbers[i] = (random() % keys_each) * nb_threads + id;
					values[i] = random();
					keys += key_of(numbers[i], 16);
				}
				unsigned operation = random() % 8;
				if (operation < 4) {
					conntrack_shared_update_burst(thread, keys.data(), nullptr, n, now, keep,
					                              values, results);
					for (uint32_t i = 0; i < n; i++) {
						wrong += results[i] != (mine.count(numbers[i]) ? 0 : CONNTRACK_NEW);
						mine[numbers[i]] = values[i];
					}
				} else if (operation < 7) {
					conntrack_shared_find_burst(thread, keys.data(), nullptr, n, now, states,
					                            results);
					for (uint32_t i = 0; i < n; i++) {
						auto it = mine.find(numbers[i]);
						wrong += results[i] != (it != mine.end());
						wrong += results[i] && value_of(states + i * 24, 24) != it->second;
					}
				} else {
					conntrack_shared_remove_burst(thread, keys.data(), nullptr, 8, now, results);
					for (uint32_t i = 0; i < 8; i++)
						wrong += results[i] != mine.erase(numbers[i]);
				}
				// Keys that are everybody's, and short-lived.
				std::string common;
				uint8_t unused[8];
				for (uint64_t i = 0; i < 8; i++)
					common += key_of(1'000'000 + random() % 5000, 16);
				uint8_t common_bytes[8 * 24] = {};
				conntrack_shared_find_or_insert_burst(thread, common.data(), nullptr, 8, now,
				                                      common_bytes, unused);
				conntrack_shared_expire(thread, now, 4);
			}
			for (auto [number, value] : mine) {
				std::string key = key_of(number, 16);
				uint8_t found, state[24];
				conntrack_shared_find_burst(thread, key.data(), nullptr, 1, clock, state, &found);
				wrong += !found || value_of(state, 24) != value;
			}
			conntrack_shared_thread_free(thread);
			running--;
		});
	std::thread onlooker([&] {
		conntrack_thread *thread = conntrack_shared_thread_create(f.table);
		while (running) {
			struct Seen {
				uint64_t torn = 0;
			} seen;
			conntrack_shared_iterate(
				thread, clock,
				[](void *context, const void *, void *state, int) {
					static_cast<Seen *>(context)->torn +=
						value_of(static_cast<uint8_t *>(state), 24) == UINT64_MAX;
				},
				&seen);
			wrong += seen.torn;
			std::this_thread::yield();
		}
		conntrack_shared_thread_free(thread);
	});
	for (std::thread &t : threads)
		t.join();
	onlooker.join();
	CHECK(wrong == 0);
	conntrack_stats s = f.stats();
	CHECK(s.moved > 0);
	CHECK(s.evicted == 0);
	conntrack_thread *thread = conntrack_shared_thread_create(f.table);
	CHECK(f.live(thread, CONNTRACK_NO_TIME).size() == s.flows);
}
