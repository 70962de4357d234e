// Keys that collide in every hash without a secret, and floods that want established flows out.
#include "conntrack/contenders/hostile_keys.hpp"
#include "conntrack/contenders/tracker.hpp"
#include "conntrack/tcp_state.hpp"
#include "model.hpp"
#include "reframer/conntrack.h"
#include "reframer/conntrack_shared.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>
#include <thread>

using namespace reframer::conntrack;
using reframer::test::run_seed;

namespace {

template <unsigned Size> std::vector<KeyWords<Size>> flood(size_t n)
{
	HostileKeys<Size> source(run_seed());
	std::vector<KeyWords<Size>> keys;
	for (size_t i = 0; i < n; i++)
		keys.push_back(source.next());
	return keys;
}

template <unsigned Size> void check_tracker(const std::string &name)
{
	CAPTURE(name);
	CAPTURE(Size);
	TrackerOptions options;
	options.flows = 4096;
	options.key_size = Size;
	options.updates = true;
	std::unique_ptr<Tracker> tracker = make_tracker(name, options);
	if (!tracker)
		return;
	std::vector<KeyWords<Size>> keys = flood<Size>(600);
	std::vector<bool> there(keys.size());
	uint32_t taken = 0;
	for (size_t i = 0; i < keys.size(); i++) {
		uint8_t result;
		tracker->track(reinterpret_cast<const uint8_t *>(keys[i].word), 1, i, &result);
		// Tables of two buckets a key run out of room for them.
		REQUIRE((result == 1 || result == Tracker::refused));
		there[i] = result == 1;
		taken += there[i];
	}
	CHECK(taken >= 16);
	if (name.starts_with("burst-table"))
		CHECK(taken == keys.size());
	for (size_t i = 0; i < keys.size(); i++) {
		uint64_t value;
		uint8_t found;
		tracker->find(reinterpret_cast<const uint8_t *>(keys[i].word), 1, &value, &found);
		REQUIRE(found == there[i]);
		if (found)
			REQUIRE(value == i);
	}
}

// Tables that do not grow, so that they differ in nothing but their keys.
conntrack_params fixed_params(uint64_t flows, uint32_t load_percent, uint64_t seed)
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.flags = CONNTRACK_FIXED_SIZE;
	params.initial_flows = flows;
	params.load_percent = load_percent;
	params.seed = seed;
	return params;
}

// A burst table filled with `keys`.
conntrack_stats fill_single(const std::vector<KeyWords<16>> &keys, uint64_t seed)
{
	const conntrack_params params = fixed_params(keys.size(), 85, seed);
	conntrack_table *table = nullptr;
	REQUIRE(conntrack_create(&params, &table) == 0);
	std::vector<void *> states(keys.size());
	REQUIRE(conntrack_find_or_insert_burst(table, keys.data(), nullptr, uint32_t(keys.size()), 0,
	                                       states.data(), nullptr) == keys.size());
	conntrack_stats stats;
	conntrack_get_stats(table, &stats);
	conntrack_free(table);
	return stats;
}
// Filled less, as it has no stash: at 85 % it would refuse some.
conntrack_stats fill_shared(const std::vector<KeyWords<16>> &keys, uint64_t seed)
{
	const conntrack_params params = fixed_params(keys.size(), 70, seed);
	conntrack_shared *table = nullptr;
	REQUIRE(conntrack_shared_create(&params, &table) == 0);
	conntrack_thread *thread = conntrack_shared_thread_create(table);
	std::vector<uint64_t> states(keys.size());
	std::vector<uint8_t> results(keys.size());
	REQUIRE(conntrack_shared_store_burst(thread, keys.data(), nullptr, uint32_t(keys.size()), 0,
	                                     states.data(), results.data()) == keys.size());
	conntrack_stats stats;
	conntrack_shared_get_stats(table, &stats);
	conntrack_shared_free(table);
	return stats;
}

} // namespace

TEST_CASE("flooding keys collide in both CRCs, and are different keys")
{
	for (const KeyWords<16> &k : flood<16>(100)) {
		CHECK(crc_hash(k) == crc_hash(flood<16>(1)[0]));
		CHECK(crc_hash_reverse(k, reverse_seed) == crc_hash_reverse(flood<16>(1)[0], reverse_seed));
	}
	std::set<std::pair<uint64_t, uint64_t>> distinct;
	for (const KeyWords<16> &k : flood<16>(5000))
		distinct.insert({k.word[0], k.word[1]});
	CHECK(distinct.size() == 5000);
}

TEST_CASE("every table gives right answers to keys that all collide")
{
	CAPTURE(run_seed());
	for (const std::string &name : tracker_names()) {
		check_tracker<16>(name);
		check_tracker<40>(name);
	}
}

// A lookup reads its home, and goes on only for entries that live away or in the stash: their share
// is what keys aimed at a table could raise.
TEST_CASE(
	"keys that flood the other tables are like any others to the burst table, probe for probe")
{
	CAPTURE(run_seed());
	constexpr size_t n = 50'000;
	constexpr uint64_t nb_tables = 8;
	std::vector<KeyWords<16>> hostile = flood<16>(n), harmless(n);
	std::mt19937_64 random(run_seed());
	for (auto &k : harmless)
		k = {{random(), random()}};
	// As often as the same keys under other secrets differ by chance: six deviations.
	const auto alike = [](double bad, double good) {
		return bad <= good + 6 * std::sqrt(bad + good + 1);
	};
	for (auto fill : {fill_single, fill_shared}) {
		double bad_away = 0, good_away = 0, bad_spilled = 0, good_spilled = 0;
		for (uint64_t i = 1; i <= nb_tables; i++) {
			const conntrack_stats bad = fill(hostile, run_seed() + i);
			const conntrack_stats good = fill(harmless, run_seed() + i);
			CHECK(bad.flows == n);
			CHECK(bad.slots == good.slots);
			bad_away += double(bad.away);
			good_away += double(good.away);
			bad_spilled += double(bad.spilled);
			good_spilled += double(good.spilled);
		}
		CHECK(good_away > 0);
		CHECK(alike(bad_away, good_away));
		CHECK(alike(bad_spilled, good_spilled));
		INFO(bad_away, " ", good_away, " ", bad_spilled, " ", good_spilled);
		CHECK(bad_away < 0.12 * double(nb_tables * n));
	}
}

namespace {

constexpr uint64_t second = 1'000'000'000;

// Timeout classes are the states of TCP, with nf_conntrack's timeouts; established is protected,
// and so is what an established connection becomes when it ends.
conntrack_params tcp_params(uint64_t flows)
{
	conntrack_params params;
	conntrack_default_params(&params);
	params.flags = CONNTRACK_FIXED_SIZE;
	params.initial_flows = flows;
	params.tick_ns = second / 10;
	params.seed = run_seed();
	for (unsigned c = 0; c < nb_tcp_states; c++)
		params.timeout_ns[c] = tcp_timeout_seconds(static_cast<TcpState>(c)) * second;
	params.protected_classes = 1u << static_cast<unsigned>(TcpState::established);
	return params;
}
constexpr uint8_t flag_syn = 2, flag_ack = 16, flag_fin = 1;

struct TcpPacket {
	uint8_t flags;
	bool reply;
};
constexpr TcpPacket handshake[] = {
	{flag_syn, false}, {flag_syn | flag_ack, true}, {flag_ack, false}};

// One packet through the state machine; the state's first byte is the TCP state.
void step_state(void *state, uint32_t *timeout_class, TcpPacket p)
{
	auto *bytes = static_cast<uint8_t *>(state);
	bytes[0] =
		static_cast<uint8_t>(tcp_step(static_cast<TcpState>(bytes[0]), p.flags, p.reply).state);
	*timeout_class = bytes[0];
}
void packet(conntrack_table *t, const uint64_t *key, TcpPacket p, uint64_t now)
{
	void *state = conntrack_find_or_insert(t, key, nullptr, now, nullptr);
	if (!state)
		return;
	uint32_t timeout_class = 0;
	step_state(state, &timeout_class, p);
	conntrack_set_class(t, state, timeout_class, now);
}

} // namespace

TEST_CASE("timeouts are nf_conntrack's defaults")
{
	// Documentation/networking/nf_conntrack-sysctl.rst, in seconds.
	CHECK(tcp_timeout_seconds(TcpState::syn_sent) == 120);
	CHECK(tcp_timeout_seconds(TcpState::syn_recv) == 60);
	CHECK(tcp_timeout_seconds(TcpState::established) == 5 * 24 * 3600);
	CHECK(tcp_timeout_seconds(TcpState::fin_wait) == 120);
	CHECK(tcp_timeout_seconds(TcpState::close_wait) == 60);
	CHECK(tcp_timeout_seconds(TcpState::last_ack) == 30);
	CHECK(tcp_timeout_seconds(TcpState::time_wait) == 120);
	CHECK(tcp_timeout_seconds(TcpState::close) == 10);
	CHECK(udp_timeout_seconds == 30);
	CHECK(udp_stream_timeout_seconds == 120);
	CHECK(icmp_timeout_seconds == 30);
	CHECK(generic_timeout_seconds == 600);
}

TEST_CASE("half-open, established and closing connections last as long as nf_conntrack lets them")
{
	conntrack_params params = tcp_params(1024);
	conntrack_table *t = nullptr;
	REQUIRE(conntrack_create(&params, &t) == 0);
	auto there = [&](uint64_t number, uint64_t seconds) {
		// Looks without refreshing.
		uint64_t key[2] = {number, number};
		conntrack_expire(t, seconds * second, 1000);
		return conntrack_find(t, key, nullptr, CONNTRACK_NO_TIME) != nullptr;
	};
	uint64_t half_open[2] = {1, 1}, open[2] = {2, 2}, closing[2] = {3, 3};
	packet(t, half_open, handshake[0], 0);
	for (TcpPacket p : handshake) {
		packet(t, open, p, 0);
		packet(t, closing, p, 0);
	}
	packet(t, closing, {flag_fin | flag_ack, false}, 0);
	packet(t, closing, {flag_fin | flag_ack, true}, 0); // last_ack: 30 s
	CHECK(there(3, 30));
	CHECK_FALSE(there(3, 31));
	CHECK(there(1, 119));
	CHECK_FALSE(there(1, 121));
	CHECK(there(2, 5 * 24 * 3600 - 1));
	CHECK_FALSE(there(2, 5 * 24 * 3600 + 1));
	conntrack_free(t);
}

TEST_CASE("a SYN flood never pushes out established flows")
{
	CAPTURE(run_seed());
	constexpr uint64_t room = 10'000, nb_established = 7000;
	conntrack_params params = tcp_params(room);
	conntrack_table *t = nullptr;
	REQUIRE(conntrack_create(&params, &t) == 0);
	std::mt19937_64 random(run_seed());
	std::vector<KeyWords<16>> established(nb_established);
	for (auto &key : established) {
		key = {{random(), random()}};
		for (TcpPacket p : handshake)
			packet(t, key.word, p, 0);
	}
	// Twenty times the table, in ten minutes.
	for (uint64_t i = 0; i < 20 * room; i++) {
		uint64_t key[2] = {random(), random()};
		packet(t, key, handshake[0], i * 600 * second / (20 * room));
	}
	conntrack_stats stats;
	conntrack_get_stats(t, &stats);
	CHECK(stats.flows <= room);
	CHECK(stats.evicted > 0);
	// New connections get in all the same: what goes is the flood.
	uint32_t opened = 0;
	for (uint64_t i = 0; i < 500; i++) {
		uint64_t key[2] = {random(), random()};
		for (TcpPacket p : handshake)
			packet(t, key, p, 600 * second);
		void *state = conntrack_find(t, key, nullptr, 600 * second);
		opened +=
			state && *static_cast<uint8_t *>(state) == static_cast<uint8_t>(TcpState::established);
	}
	CHECK(opened >= 495);
	for (const auto &key : established) {
		void *state = conntrack_find(t, key.word, nullptr, 600 * second);
		REQUIRE(state != nullptr);
		REQUIRE(*static_cast<uint8_t *>(state) == static_cast<uint8_t>(TcpState::established));
	}
	conntrack_free(t);
}

// The flood of a sender who knows the NIC's hash key: all of it on one page of the table.
TEST_CASE("a SYN flood on one NIC hash keeps neither established nor new flows out")
{
	CAPTURE(run_seed());
	for (uint32_t nb_groups : {1u, 8u}) {
		CAPTURE(nb_groups);
		constexpr uint64_t room = 10'000, nb_established = 7000;
		conntrack_params params = tcp_params(room);
		params.flags |= CONNTRACK_NIC_HASH;
		params.nb_groups = nb_groups;
		conntrack_table *t = nullptr;
		REQUIRE(conntrack_create(&params, &t) == 0);
		std::mt19937_64 random(run_seed());
		const auto fresh = [&] { return KeyWords<16>{{random(), random()}}; };
		const auto digest = [&](const KeyWords<16> &key, uint32_t nic) {
			uint64_t d;
			conntrack_digest_burst(t, key.word, &nic, 1, &d);
			return d;
		};
		const auto hash = [](const KeyWords<16> &key) { return uint32_t(key.word[0] >> 32); };
		const auto state_of = [&](const KeyWords<16> &key) {
			const uint64_t d = digest(key, hash(key));
			void *state = conntrack_find(t, key.word, &d, second);
			return state ? TcpState(*static_cast<uint8_t *>(state)) : TcpState::none;
		};
		const auto packet_of = [&](const KeyWords<16> &key, uint32_t nic, TcpPacket p) {
			const uint64_t d = digest(key, nic);
			if (void *state = conntrack_find_or_insert(t, key.word, &d, second, nullptr)) {
				uint32_t timeout_class = 0;
				step_state(state, &timeout_class, p);
				conntrack_set_class(t, state, timeout_class, second);
			}
		};
		std::vector<KeyWords<16>> established(nb_established);
		for (auto &key : established) {
			key = fresh();
			for (TcpPacket p : handshake)
				packet_of(key, hash(key), p);
		}
		const auto aim = uint32_t(random());
		uint32_t opened = 0, tried = 0;
		for (uint64_t i = 0; i < 5 * room; i++) {
			packet_of(fresh(), aim, handshake[0]);
			if (i < room || i % 100)
				continue;
			const KeyWords<16> client = fresh();
			for (TcpPacket p : handshake)
				packet_of(client, hash(client), p);
			opened += state_of(client) == TcpState::established;
			tried++;
		}
		conntrack_stats stats;
		conntrack_get_stats(t, &stats);
		CHECK(stats.flows <= room);
		CHECK(stats.refused == 0);
		CHECK(stats.evicted > 4 * room);
		CHECK(opened == tried);
		for (const auto &key : established)
			REQUIRE(state_of(key) == TcpState::established);
		conntrack_free(t);
	}
}

TEST_CASE("a SYN flood from two threads never pushes established flows out of a shared table")
{
	CAPTURE(run_seed());
	constexpr uint64_t room = 10'000, nb_established = 7000;
	conntrack_params params = tcp_params(room);
	conntrack_shared *t = nullptr;
	REQUIRE(conntrack_shared_create(&params, &t) == 0);
	auto send = [](conntrack_thread *thread, const uint64_t *key, TcpPacket p, uint64_t now) {
		conntrack_shared_update_burst(
			thread, key, nullptr, 1, now,
			[](void *context, uint32_t, void *state, uint32_t *timeout_class, int) {
				step_state(state, timeout_class, *static_cast<TcpPacket *>(context));
			},
			&p, nullptr);
	};
	std::mt19937_64 random(run_seed());
	std::vector<KeyWords<16>> established(nb_established);
	conntrack_thread *first = conntrack_shared_thread_create(t);
	for (auto &key : established) {
		key = {{random(), random()}};
		for (TcpPacket p : handshake)
			send(first, key.word, p, 0);
	}
	std::vector<std::thread> threads;
	for (unsigned id = 0; id < 2; id++)
		threads.emplace_back([&, id] {
			conntrack_thread *thread = conntrack_shared_thread_create(t);
			std::mt19937_64 own(run_seed() + 1 + id);
			for (uint64_t i = 0; i < 10 * room; i++) {
				uint64_t key[2] = {own(), own()};
				send(thread, key, handshake[0], i * 600 * second / (10 * room));
			}
			conntrack_shared_thread_free(thread);
		});
	for (std::thread &thread : threads)
		thread.join();
	conntrack_stats stats;
	conntrack_shared_get_stats(t, &stats);
	CHECK(stats.flows <= room);
	CHECK(stats.evicted > 0);
	std::vector<uint64_t> states(nb_established);
	std::vector<uint8_t> found(nb_established);
	CHECK(conntrack_shared_find_burst(first, established.data(), nullptr, nb_established,
	                                  600 * second, states.data(), found.data()) == nb_established);
	CHECK(std::all_of(states.begin(), states.end(), [](uint64_t s) {
		return static_cast<uint8_t>(s) == static_cast<uint8_t>(TcpState::established);
	}));
	conntrack_shared_free(t);
}
