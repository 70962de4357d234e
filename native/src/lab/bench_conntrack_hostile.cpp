// What an attacker who chooses the keys can do: keys that collide in the CRC which the paper's
// tables place them by, and keys that collide in the NIC's hash where that places them.
#include "conntrack/trackers/key_words.hpp"
#include "lab/bench_conntrack.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

namespace reframer::lab {

namespace {

constexpr uint32_t key_size = 16, call = 4096;

// Distinct keys; with `collide` all have the same crc_hash().
std::vector<uint8_t> make_keys(uint64_t nb, bool collide, uint64_t seed)
{
	std::mt19937_64 random(seed);
	std::vector<uint8_t> keys(nb * key_size);
	for (uint64_t i = 0; i < nb; i++) {
		uint64_t word[2] = {i * 0x9e3779b97f4a7c15u + seed, random()};
		if (collide) {
			// A step of the CRC sees its state xored with the low half of the next word.
			auto state = static_cast<uint32_t>(_mm_crc32_u64(0, word[0]));
			word[1] = 0x0600'01bb'0000'0000u | (state ^ 0x5eedu);
		}
		std::memcpy(&keys[i * key_size], word, key_size);
	}
	return keys;
}

std::vector<uint32_t> shuffled(uint64_t n, uint64_t seed)
{
	std::vector<uint32_t> order(n);
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	std::mt19937_64 random(seed);
	std::shuffle(order.begin(), order.end(), random);
	return order;
}

void emit_row(const std::string &contender, const std::string &workload, uint64_t flows, uint32_t depth,
              const std::vector<double> &mops, double bytes, double refused, uint64_t seed)
{
	Median m = median_of(mops, seed);
	emit({{"row",
	       {{"contender", contender}, {"workload", workload}, {"flows", flows}, {"threads", 1},
	        {"batch", depth > 1 ? conntrack::tracker_burst : 1}, {"depth", depth}, {"mops", m.value},
	        {"mopsLow", m.low}, {"mopsHigh", m.high}, {"boundMops", nullptr},
	        {"bytesPerFlow", bytes / double(flows)}, {"refusedPercent", 100 * refused / double(flows)}}}});
}

template <typename Work> double mops_of(uint64_t packets, Work work)
{
	auto start = std::chrono::steady_clock::now();
	work();
	return double(packets) / std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() * 1e-6;
}

void crc_collisions(const std::string &name, uint64_t flows, unsigned rounds, uint64_t seed)
{
	std::vector<uint8_t> keys = make_keys(flows, true, seed);
	conntrack::TrackerOptions options;
	options.flows = flows;
	options.seed = seed;
	auto tracker = conntrack::make_tracker(name, options);
	if (!tracker)
		return;
	std::vector<uint8_t> results(flows);
	// Room tells how far a table got; some spend a long search on each key that they refuse.
	uint64_t inserted = 0, tried = 0;
	auto start = std::chrono::steady_clock::now();
	for (uint64_t first = 0; first < flows; first += call) {
		auto n = static_cast<uint32_t>(std::min<uint64_t>(call, flows - first));
		inserted += tracker->track(&keys[first * key_size], n, 7, &results[first]);
		tried += n;
		if (std::chrono::steady_clock::now() - start > std::chrono::seconds(2))
			break;
	}
	std::vector<uint32_t> order = shuffled(tried, seed);
	std::vector<uint8_t> asked(tried * key_size);
	for (uint64_t i = 0; i < tried; i++)
		std::memcpy(&asked[i * key_size], &keys[uint64_t{order[i]} * key_size], key_size);
	std::vector<uint64_t> values(call);
	std::vector<uint8_t> found(call);
	std::vector<double> mops;
	for (unsigned round = 0; round < rounds; round++) {
		uint64_t hits = 0;
		mops.push_back(mops_of(tried, [&] {
			for (uint64_t first = 0; first < tried; first += call)
				hits += tracker->find(&asked[first * key_size], static_cast<uint32_t>(std::min<uint64_t>(call, tried - first)),
				                      values.data(), found.data());
		}));
		if (hits != inserted)
			wrong_answer(name, "found " + std::to_string(hits) + " of " + std::to_string(inserted) + " colliding keys");
	}
	emit_row(name, "hostile", flows, tracker->depth(), mops, double(tracker->bytes()),
	         double(flows) * double(tried - inserted) / double(tried), seed);
}

void nic_collisions(bool collide, uint64_t flows, unsigned rounds, uint64_t seed)
{
	std::vector<uint8_t> keys = make_keys(flows, false, seed);
	conntrack_params params;
	conntrack_default_params(&params);
	params.flags = CONNTRACK_NIC_HASH;
	params.initial_flows = flows;
	params.seed = seed;
	conntrack_table *table = nullptr;
	if (conntrack_create(&params, &table) != 0)
		throw std::bad_alloc();
	std::mt19937_64 random(seed);
	std::vector<uint32_t> nic(flows);
	for (uint32_t &h : nic)
		h = collide ? 0x12345678u : static_cast<uint32_t>(random());
	constexpr uint32_t size = 256;
	uint64_t digests[size];
	void *states[size];
	for (uint64_t first = 0; first < flows; first += size) {
		auto n = static_cast<uint32_t>(std::min<uint64_t>(size, flows - first));
		conntrack_digest_burst(table, &keys[first * key_size], &nic[first], n, digests);
		if (conntrack_find_or_insert_burst(table, &keys[first * key_size], digests, n, 1'000'000'000, states, nullptr) != n)
			wrong_answer("burst-table-nic", "no room for a flow");
	}
	std::vector<uint32_t> order = shuffled(flows, seed), asked_nic(flows);
	std::vector<uint8_t> asked(flows * key_size);
	for (uint64_t i = 0; i < flows; i++) {
		std::memcpy(&asked[i * key_size], &keys[uint64_t{order[i]} * key_size], key_size);
		asked_nic[i] = nic[order[i]];
	}
	std::vector<double> mops;
	for (unsigned round = 0; round < rounds; round++) {
		uint64_t hits = 0;
		mops.push_back(mops_of(flows, [&] {
			for (uint64_t first = 0; first < flows; first += size) {
				auto n = static_cast<uint32_t>(std::min<uint64_t>(size, flows - first));
				conntrack_digest_burst(table, &asked[first * key_size], &asked_nic[first], n, digests);
				hits += conntrack_find_burst(table, &asked[first * key_size], digests, n, 1'000'000'000, states);
			}
		}));
		if (hits != flows)
			wrong_answer("burst-table-nic", "lost a flow");
	}
	conntrack_stats stats;
	conntrack_get_stats(table, &stats);
	conntrack_free(table);
	emit_row("burst-table-nic", collide ? "nic-hostile" : "nic", flows, size, mops, double(stats.bytes), 0, seed);
}

} // namespace

void bench_hostile(const std::vector<std::string> &contenders, uint64_t flows, bool quick, uint64_t seed)
{
	unsigned rounds = quick ? 5 : 11;
	for (const std::string &name : contenders)
		crc_collisions(name, flows, rounds, seed);
	nic_collisions(false, flows, rounds, seed);
	nic_collisions(true, flows, rounds, seed);
}

} // namespace reframer::lab
