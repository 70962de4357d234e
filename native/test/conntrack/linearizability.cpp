// Histories of several threads on few keys, recorded and checked, for every table that may be
// shared without owners. And the checker itself, on histories that no table can give.
#include "linearizability.hpp"
#include "conntrack/shared/shared_tracker.hpp"
#include "model.hpp"
#include "reframer/conntrack_shared.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

using namespace reframer::conntrack;
using reframer::test::HistoryChecker;
using reframer::test::Operation;
using reframer::test::run_seed;

namespace {

constexpr unsigned nb_threads = 4, nb_keys = 3;

std::string key_of(uint64_t number)
{
	std::string key(16, '\0');
	std::memcpy(key.data(), &number, 8);
	std::memcpy(key.data() + 8, &number, 8);
	return key;
}

// Does one operation on key `key` and fills in what it said.
using Act = std::function<void(unsigned thread, uint64_t key, Operation &)>;

// Runs `nb` random operations a thread; `aside` runs beside them, for growth and sweeps.
bool run_history(unsigned nb, uint64_t seed, bool with_find_or_insert, const Act &act,
                 const std::function<void(unsigned)> &aside)
{
	std::vector<Operation> history[nb_threads][nb_keys];
	std::atomic<uint64_t> clock{1};
	std::atomic<unsigned> ready{0}, running{nb_threads};
	std::vector<std::thread> threads;
	for (unsigned id = 0; id < nb_threads; id++)
		threads.emplace_back([&, id] {
			std::mt19937_64 random(seed * nb_threads + id);
			ready++;
			while (ready < nb_threads)
				std::this_thread::yield();
			for (unsigned i = 0; i < nb; i++) {
				uint64_t key = random() % nb_keys;
				Operation o{};
				unsigned choice = random() % (with_find_or_insert ? 8 : 6);
				o.kind = choice < 3    ? Operation::find
				         : choice < 5  ? Operation::store
				         : choice == 5 ? Operation::remove
				                       : Operation::find_or_insert;
				o.argument = (uint64_t{id} + 1) << 32 | i;
				o.begin = clock.fetch_add(1);
				act(id, key, o);
				o.end = clock.fetch_add(1);
				history[id][key].push_back(o);
				// Threads share cores: let them meet inside operations.
				if (random() % 16 == 0)
					std::this_thread::yield();
			}
			running--;
		});
	threads.emplace_back([&] {
		for (unsigned i = 0; running; i++) {
			aside(i);
			std::this_thread::yield();
		}
	});
	for (std::thread &t : threads)
		t.join();
	for (unsigned key = 0; key < nb_keys; key++) {
		std::vector<std::vector<Operation>> of_key;
		for (auto &of_thread : history)
			of_key.push_back(of_thread[key]);
		if (!HistoryChecker(of_key).linearizable())
			return false;
	}
	return true;
}

} // namespace

TEST_CASE("the checker knows good histories from bad ones")
{
	using O = Operation;
	auto good = [](std::vector<std::vector<O>> h) {
		return HistoryChecker(std::move(h)).linearizable();
	};
	// One after the other.
	CHECK(good({{{O::store, 7, true, 0, 1, 2},
	             {O::find, 0, true, 7, 3, 4},
	             {O::remove, 0, true, 0, 5, 6},
	             {O::find, 0, false, 0, 7, 8}}}));
	// A find that overlaps a store may see either value.
	CHECK(good({{{O::store, 7, true, 0, 1, 2}, {O::store, 8, false, 0, 3, 6}},
	            {{O::find, 0, true, 7, 4, 5}}}));
	CHECK(good({{{O::store, 7, true, 0, 1, 2}, {O::store, 8, false, 0, 3, 6}},
	            {{O::find, 0, true, 8, 4, 5}}}));
	// A value that was overwritten before the find began.
	CHECK_FALSE(good({{{O::store, 7, true, 0, 1, 2}, {O::store, 8, false, 0, 3, 4}},
	                  {{O::find, 0, true, 7, 5, 6}}}));
	// New, then old.
	CHECK_FALSE(good({{{O::store, 7, true, 0, 1, 2}, {O::store, 8, false, 0, 3, 10}},
	                  {{O::find, 0, true, 8, 4, 5}, {O::find, 0, true, 7, 6, 7}}}));
	// Two threads that both inserted, and nobody removed.
	CHECK_FALSE(
		good({{{O::find_or_insert, 7, true, 7, 1, 4}}, {{O::find_or_insert, 8, true, 8, 2, 5}}}));
	// A lost insert.
	CHECK_FALSE(good({{{O::store, 7, true, 0, 1, 2}}, {{O::find, 0, false, 0, 3, 4}}}));
	// A value from nowhere: half of one, half of another.
	CHECK_FALSE(good({{{O::store, 7, true, 0, 1, 9}}, {{O::find, 0, true, 6, 2, 3}}}));
}

TEST_CASE("the shared burst table is linearizable, while it grows and is swept")
{
	CAPTURE(run_seed());
	for (uint64_t round = 0; round < 60; round++) {
		conntrack_params params;
		conntrack_default_params(&params);
		params.initial_flows = 64;
		params.state_size = 16;
		params.seed = run_seed() + round;
		conntrack_shared *table = nullptr;
		REQUIRE(conntrack_shared_create(&params, &table) == 0);
		conntrack_thread *threads[nb_threads + 1];
		for (auto &t : threads)
			t = conntrack_shared_thread_create(table);
		constexpr uint64_t now = 1'000'000'000;
		bool good = run_history(
			300, run_seed() + round, true,
			[&](unsigned id, uint64_t number, Operation &o) {
				std::string key = key_of(number);
				uint64_t state[2] = {o.argument, ~o.argument};
				uint8_t result = 0;
				switch (o.kind) {
				case Operation::find:
					conntrack_shared_find_burst(threads[id], key.data(), nullptr, 1, now, state,
				                                &result);
					break;
				case Operation::store:
					conntrack_shared_store_burst(threads[id], key.data(), nullptr, 1, now, state,
				                                 &result);
					break;
				case Operation::find_or_insert:
					conntrack_shared_find_or_insert_burst(threads[id], key.data(), nullptr, 1, now,
				                                          state, &result);
					break;
				default:
					conntrack_shared_remove_burst(threads[id], key.data(), nullptr, 1, now,
				                                  &result);
				}
				o.flag = result != 0;
				// A torn copy is a value that nobody stored.
				o.value = state[1] == ~state[0] ? state[0] : UINT64_MAX;
			},
			[&](unsigned i) {
				// Strangers drive growth through several generations.
				std::string keys;
				uint64_t states[16 * 2] = {};
				uint8_t results[16];
				for (uint64_t k = 0; k < 16; k++)
					keys += key_of(1000 + i * 16 + k);
				conntrack_shared_store_burst(threads[nb_threads], keys.data(), nullptr, 16, now,
			                                 states, results);
				conntrack_shared_expire(threads[nb_threads], now, 8);
			});
		conntrack_stats stats;
		conntrack_shared_get_stats(table, &stats);
		conntrack_shared_free(table);
		REQUIRE(good);
	}
}

TEST_CASE("every table that needs no owners is linearizable")
{
	CAPTURE(run_seed());
	unsigned nb = 0;
	std::vector<std::string> names = tracker_names();
	for (const std::string &name : concurrent_names())
		if (std::find(names.begin(), names.end(), name) == names.end())
			names.push_back(name);
	for (const std::string &table : names)
		for (Sharing sharing : {Sharing::mutex, Sharing::spinlock, Sharing::rwlock,
		                        Sharing::striped, Sharing::concurrent})
			for (Expiry expiry : {Expiry::none, Expiry::wheel, Expiry::lazy}) {
				CAPTURE(table);
				CAPTURE(std::string(sharing_name(sharing)));
				CAPTURE(std::string(expiry_name(expiry)));
				SharedOptions o;
				o.table = table;
				o.sharing = sharing;
				o.nb_threads = nb_threads + 1;
				o.timed.tracker.flows = 1000;
				o.timed.tracker.updates = true;
				o.timed.expiry = expiry;
				std::unique_ptr<SharedTracker> tracker = make_shared_tracker(o);
				if (!tracker || tracker->needs_owner())
					continue;
				nb++;
				constexpr uint64_t tick = 10;
				REQUIRE(run_history(
					150, run_seed() + nb, false,
					[&](unsigned id, uint64_t number, Operation &op) {
						std::string key = key_of(number);
						const auto *bytes = reinterpret_cast<const uint8_t *>(key.data());
						uint8_t result = 0;
						switch (op.kind) {
						case Operation::find:
							tracker->find(id, bytes, 1, tick, &op.value, &result);
							break;
						case Operation::store:
							tracker->track(id, bytes, 1, tick, op.argument, &result);
							break;
						default:
							result = tracker->remove(id, bytes, 1, tick) != 0;
						}
						op.flag = result != 0;
					},
					[&](unsigned i) {
						std::string key = key_of(1000 + i % 300);
						uint8_t result;
						tracker->track(nb_threads, reinterpret_cast<const uint8_t *>(key.data()), 1,
					                   tick, 1, &result);
						tracker->expire(nb_threads, tick);
					}));
			}
	MESSAGE(nb << " combinations");
	CHECK(nb >= 8 * 4 * 3);
}

// What ThreadSanitizer is to look at: each thread owns its keys, all share the table.
TEST_CASE("with owners, every table in every way finds what its owner put")
{
	CAPTURE(run_seed());
	std::vector<std::string> names = tracker_names();
	for (const std::string &name : concurrent_names())
		if (std::find(names.begin(), names.end(), name) == names.end())
			names.push_back(name);
	for (const std::string &table : names)
		for (Sharing sharing : {Sharing::sharded, Sharing::mutex, Sharing::spinlock,
		                        Sharing::rwlock, Sharing::striped, Sharing::concurrent})
			for (Expiry expiry : {Expiry::none, Expiry::wheel, Expiry::lazy, Expiry::scan}) {
				CAPTURE(table);
				CAPTURE(std::string(sharing_name(sharing)));
				CAPTURE(std::string(expiry_name(expiry)));
				SharedOptions o;
				o.table = table;
				o.sharing = sharing;
				o.nb_threads = nb_threads;
				o.timed.tracker.flows = 4000;
				o.timed.tracker.updates = true;
				o.timed.expiry = expiry;
				o.timed.timeout_ticks = 5000;
				o.timed.ticks_per_second = 100;
				std::unique_ptr<SharedTracker> tracker = make_shared_tracker(o);
				if (!tracker)
					continue;
				std::atomic<uint64_t> wrong{0};
				std::vector<std::thread> threads;
				for (unsigned id = 0; id < nb_threads; id++)
					threads.emplace_back([&, id] {
						std::mt19937_64 random(run_seed() + id);
						std::unordered_map<uint64_t, uint64_t> mine;
						for (unsigned step = 0; step < 60; step++) {
							constexpr uint32_t n = 32;
							uint64_t numbers[n], values[n], tick = 100 + step;
							uint8_t results[n];
							std::string keys;
							for (uint64_t &number : numbers) {
								number = (random() % 500) * nb_threads + id;
								keys += key_of(number);
							}
							const auto *bytes = reinterpret_cast<const uint8_t *>(keys.data());
							unsigned operation = random() % 8;
							if (operation < 4) {
								tracker->track(id, bytes, n, tick, step, results);
								for (uint32_t i = 0; i < n; i++) {
									wrong += results[i] != !mine.count(numbers[i]);
									mine[numbers[i]] = step;
								}
							} else if (operation < 7) {
								tracker->find(id, bytes, n, tick, values, results);
								for (uint32_t i = 0; i < n; i++) {
									auto it = mine.find(numbers[i]);
									wrong += results[i] != (it != mine.end());
									wrong +=
										results[i] && it != mine.end() && values[i] != it->second;
								}
							} else {
								uint32_t expected = 0;
								for (uint32_t i = 0; i < 8; i++)
									expected += mine.erase(numbers[i]) != 0;
								wrong += tracker->remove(id, bytes, 8, tick) != expected;
							}
							tracker->expire(id, tick);
						}
					});
				for (std::thread &t : threads)
					t.join();
				REQUIRE(wrong == 0);
			}
}
