// Every table in every way to share it, with every way to expire and both sizes of key, against
// the model.
#include "conntrack/shared/shared_tracker.hpp"
#include "model.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace reframer::conntrack;
using reframer::test::FlowModel;
using reframer::test::run_seed;

namespace {

constexpr Sharing sharings[] = {Sharing::sharded, Sharing::mutex,   Sharing::spinlock,
                                Sharing::rwlock,  Sharing::striped, Sharing::concurrent};
constexpr Expiry expiries[] = {Expiry::none, Expiry::wheel, Expiry::lazy, Expiry::scan};
constexpr unsigned nb_threads = 2;

std::string key_of(uint64_t number, uint32_t key_size)
{
	std::string key(key_size, '\0');
	std::memcpy(key.data(), &number, 8);
	uint64_t other = number * 0xd6e8feb86659fd93u ^ number >> 7;
	std::memcpy(key.data() + key_size - 8, &other, 8);
	return key;
}
unsigned owner_of(uint64_t number)
{
	return number * 0x9e3779b97f4a7c15u >> 63;
}

std::vector<std::string> tables()
{
	std::vector<std::string> names = tracker_names();
	for (const std::string &name : concurrent_names())
		if (std::find(names.begin(), names.end(), name) == names.end())
			names.push_back(name);
	return names;
}

SharedOptions options_of(const std::string &table, Sharing sharing, Expiry expiry,
                         uint32_t key_size)
{
	SharedOptions o;
	o.table = table;
	o.sharing = sharing;
	o.nb_threads = nb_threads;
	o.timed.tracker.flows = 3000;
	o.timed.tracker.key_size = key_size;
	o.timed.tracker.seed = run_seed();
	// DPDK 22.11 loses slots when data is overwritten through a second insert.
	o.timed.tracker.updates = true;
	o.timed.expiry = expiry;
	o.timed.timeout_ticks = 700;
	o.timed.ticks_per_second = 100;
	return o;
}

// A burst whose keys all belong to `thread` where owners matter.
struct Burst {
	std::vector<uint64_t> numbers;
	std::string keys;
	const uint8_t *bytes() const { return reinterpret_cast<const uint8_t *>(keys.data()); }
	uint32_t size() const { return static_cast<uint32_t>(numbers.size()); }
};
Burst make_burst(std::mt19937_64 &random, bool owned, unsigned thread, uint32_t key_size,
                 uint64_t nb_keys)
{
	Burst b;
	auto n = 1 + random() % 70;
	while (b.numbers.size() < n) {
		uint64_t number = random() % (random() % 2 ? nb_keys : nb_keys / 30);
		if (owned && owner_of(number) != thread)
			continue;
		b.numbers.push_back(number);
		b.keys += key_of(number, key_size);
	}
	return b;
}

void run_differential(SharedTracker &tracker, const SharedOptions &o, unsigned nb_steps)
{
	uint32_t key_size = o.timed.tracker.key_size;
	bool timed = o.timed.expiry != Expiry::none;
	FlowModel model({timed ? o.timed.timeout_ticks : 0});
	std::mt19937_64 random(run_seed());
	uint64_t tick = 60'000, stamp = 1;
	for (unsigned step = 0; step < nb_steps; step++) {
		if (timed) {
			// Deadlines of 16 bits wrap some times; now and then all is long over.
			tick += random() % 4 == 0 ? random() % 300 : 0;
			if (random() % 80 == 0)
				tick += random() % 2 ? 40'000 : 3000;
			for (unsigned thread = 0; thread < nb_threads; thread++)
				tracker.expire(thread, tick);
			model.advance(tick);
		}
		auto thread = static_cast<unsigned>(random() % nb_threads);
		Burst b = make_burst(random, tracker.needs_owner(), thread, key_size, 2400);
		std::vector<uint64_t> values(b.size());
		std::vector<uint8_t> results(b.size());
		unsigned operation = random() % 8;
		uint32_t expected = 0;
		if (operation < 4) {
			uint32_t inserted =
				tracker.track(thread, b.bytes(), b.size(), tick, stamp, results.data());
			for (uint32_t i = 0; i < b.size(); i++) {
				std::string key = key_of(b.numbers[i], key_size);
				auto *flow = model.find(key);
				REQUIRE(results[i] == (flow == nullptr));
				expected += flow == nullptr;
				if (flow)
					flow->value = stamp;
				else
					model.insert(key, stamp);
			}
			REQUIRE(inserted == expected);
			stamp++;
		} else if (operation < 7) {
			uint32_t found =
				tracker.find(thread, b.bytes(), b.size(), tick, values.data(), results.data());
			for (uint32_t i = 0; i < b.size(); i++) {
				auto *flow = model.find(key_of(b.numbers[i], key_size));
				REQUIRE(results[i] == (flow ? 1 : 0));
				expected += flow != nullptr;
				if (flow)
					REQUIRE(values[i] == flow->value);
			}
			REQUIRE(found == expected);
		} else {
			for (uint64_t number : b.numbers)
				expected += model.remove(key_of(number, key_size));
			REQUIRE(tracker.remove(thread, b.bytes(), b.size(), tick) == expected);
		}
		if (step % 16 == 0) {
			uint64_t live = model.live().size();
			REQUIRE(tracker.residents() >= live);
			if (!timed || (o.timed.expiry == Expiry::wheel))
				REQUIRE(tracker.residents() == live);
		}
	}
	if (o.timed.expiry == Expiry::scan) {
		// A second, or a quarter of the timeout, later a scan has been everywhere.
		const uint64_t round = std::max(o.timed.ticks_per_second, o.timed.timeout_ticks / 4);
		for (uint64_t i = 0; i <= round + 1; i++, tick++)
			for (unsigned thread = 0; thread < nb_threads; thread++)
				tracker.expire(thread, tick);
		uint64_t before = model.live().size();
		model.advance(tick - round - 1);
		REQUIRE(tracker.residents() <= before);
	}
	CHECK(tracker.bytes() > 0);
}

} // namespace

TEST_CASE("every table x sharing x expiry x key does what the model does")
{
	CAPTURE(run_seed());
	unsigned nb = 0;
	for (const std::string &table : tables())
		for (Sharing sharing : sharings)
			for (Expiry expiry : expiries)
				for (uint32_t key_size : {16u, 40u}) {
					CAPTURE(table);
					CAPTURE(std::string(sharing_name(sharing)));
					CAPTURE(std::string(expiry_name(expiry)));
					CAPTURE(key_size);
					SharedOptions o = options_of(table, sharing, expiry, key_size);
					std::unique_ptr<SharedTracker> tracker = make_shared_tracker(o);
					if (!tracker)
						continue;
					run_differential(*tracker, o, 220);
					nb++;
				}
	MESSAGE(nb << " combinations");
	CHECK(nb >= 8 * 5 * 4 * 2);
}

TEST_CASE("ids run out, and come back when flows end")
{
	for (const std::string &table : tables())
		for (Expiry expiry : {Expiry::wheel, Expiry::lazy, Expiry::scan}) {
			if ((table.starts_with("burst-table") || table.starts_with("cuckoopp")) &&
			    expiry != Expiry::wheel)
				continue; // no ids there
			CAPTURE(table);
			CAPTURE(std::string(expiry_name(expiry)));
			SharedOptions o = options_of(table, Sharing::sharded, expiry, 16);
			o.nb_threads = 1;
			o.timed.tracker.flows = 256;
			std::unique_ptr<SharedTracker> tracker = make_shared_tracker(o);
			if (!tracker)
				continue;
			for (uint64_t round = 0; round < 3; round++) {
				uint64_t tick = 1000 + round * 2000;
				for (uint64_t t = tick - 200; t <= tick; t++)
					tracker->expire(0, t);
				uint32_t taken = 0;
				for (uint64_t i = 0; i < 400; i++) {
					std::string key = key_of(round * 1000 + i, 16);
					uint8_t result;
					tracker->track(0, reinterpret_cast<const uint8_t *>(key.data()), 1, tick, i,
					               &result);
					taken += result == 1;
					REQUIRE((result == 1 || result == Tracker::refused));
				}
				CHECK(taken == 256);
				CHECK(tracker->residents() == 256);
			}
		}
}
