// What an attacker sends who knows every hash but a secret one, and a table that meets it.
#include "conntrack/contenders/hostile_keys.hpp"
#include "api/owned.hpp"
#include "conntrack/contenders/burst_stats.hpp"
#include "jobs/job.hpp"
#include "lab/conntrack/trial.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace reframer::lab {

namespace {

constexpr uint32_t key_size = KeyColumn::key_size;
using Key = conntrack::KeyWords<key_size>;

class ByNicHash final : public conntrack::Tracker {
public:
	ByNicHash(uint64_t flows, uint64_t seed, uint32_t burst) : burst_(std::min(burst, longest))
	{
		conntrack_params p;
		conntrack_default_params(&p);
		p.initial_flows = flows;
		p.max_flows = std::max(p.max_flows, flows);
		p.flags = CONNTRACK_NIC_HASH;
		p.seed = seed;
		table_ = api::create<api::FlowTable>(conntrack_create, p);
		if (!table_)
			throw std::bad_alloc();
	}
	uint32_t depth() const override { return burst_; }
	uint32_t find(const uint8_t *keys, uint32_t n, uint64_t *values, uint8_t *found) override
	{
		uint32_t total = 0;
		each(keys, n, [&](uint32_t first, uint32_t count, const uint64_t *digests, void **states) {
			total += conntrack_find_burst(table_.get(), keys + size_t{first} * key_size, digests,
			                              count, clock, states);
			for (uint32_t i = 0; i < count; i++) {
				found[first + i] = states[i] != nullptr;
				if (states[i])
					std::memcpy(&values[first + i], states[i], 8);
			}
		});
		return total;
	}
	uint32_t track(const uint8_t *keys, uint32_t n, uint64_t stamp, uint8_t *results) override
	{
		uint32_t inserted = 0;
		each(keys, n, [&](uint32_t first, uint32_t count, const uint64_t *digests, void **states) {
			conntrack_find_or_insert_burst(table_.get(), keys + size_t{first} * key_size, digests,
			                               count, clock, states, results + first);
			for (uint32_t i = 0; i < count; i++) {
				if (states[i])
					std::memcpy(states[i], &stamp, 8);
				else
					results[first + i] = refused;
				inserted += results[first + i] == 1;
			}
		});
		return inserted;
	}
	uint32_t remove(const uint8_t *keys, uint32_t n) override
	{
		uint32_t removed = 0;
		each(keys, n, [&](uint32_t first, uint32_t count, const uint64_t *digests, void **) {
			removed += conntrack_remove_burst(table_.get(), keys + size_t{first} * key_size,
			                                  digests, count, clock);
		});
		return removed;
	}
	uint64_t flows() const override { return conntrack::stats_of(table_.get()).flows; }
	size_t bytes() const override { return conntrack::stats_of(table_.get()).bytes; }

private:
	template <typename Step> void each(const uint8_t *keys, uint32_t n, Step step)
	{
		for (uint32_t first = 0; first < n; first += burst_) {
			uint32_t count = std::min(burst_, n - first);
			uint32_t hashes[longest];
			uint64_t digests[longest];
			void *states[longest];
			for (uint32_t i = 0; i < count; i++)
				hashes[i] = conntrack::crc_hash(Key::load(keys + size_t{first + i} * key_size));
			conntrack_digest_burst(table_.get(), keys + size_t{first} * key_size, hashes, count,
			                       digests);
			step(first, count, digests, states);
		}
	}

	static constexpr uint64_t clock = 1'000'000'000;
	static constexpr uint32_t longest = 256;
	api::FlowTable table_;
	uint32_t burst_;
};

} // namespace

KeyColumn hostile_keys(uint32_t count, uint64_t seed)
{
	conntrack::HostileKeys<key_size> attacker(seed);
	KeyColumn keys;
	for (uint32_t n = 0; n < count; n++) {
		const Key key = attacker.next();
		keys.add_bytes(key.word);
		if (conntrack::crc_hash(key) != conntrack::crc_hash(Key::load(keys.at(0))))
			throw JobError("wrong-answer", "the attacker's keys do not collide");
	}
	return keys;
}

std::unique_ptr<conntrack::Tracker> make_nic_tracker(uint64_t flows, uint64_t seed, uint32_t burst)
{
	return std::make_unique<ByNicHash>(flows, seed, burst);
}

} // namespace reframer::lab
