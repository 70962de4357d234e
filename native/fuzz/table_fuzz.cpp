// Any bytes as calls on the burst table through its C interface: bursts, single calls, classes,
// expiry, removal, groups that leave and come back, a clock that jumps both ways, a full table.
// What it answers must be what a map with deadlines answers; where the table may evict or refuse,
// that it never invents, and that its books are right.
#include "bytes.hpp"
#include "reframer/conntrack.h"

#include <algorithm>
#include <array>
#include <vector>

using reframer::fuzz::Bytes;

namespace {

constexpr uint32_t largest_call = 40, nb_flows = 600;
constexpr uint64_t tick_ns = 1'000'000;
constexpr uint64_t timeouts_ms[] = {50, 300, 4000, 0};
constexpr uint32_t nb_classes = 4, nb_groups = 4;

void expect(bool right, const char *what)
{
	reframer::fuzz::expect(right, "table", what);
}

struct Flow {
	uint64_t value, seen; // value 0: no such flow
	uint32_t timeout_class;
};

class Run {
public:
	explicit Run(Bytes &in) : in(in)
	{
		conntrack_params p;
		conntrack_default_params(&p);
		const uint32_t kind = in.byte();
		key_size = kind & 1 ? 40 : 16;
		nic = kind & 2;
		fixed = kind & 4;
		p.key_size = key_size;
		p.state_size = 8 + 8 * in.below(8);
		p.flags = (nic ? uint32_t(CONNTRACK_NIC_HASH) : 0u) |
		          (fixed ? uint32_t(CONNTRACK_FIXED_SIZE) : 0u) |
		          (kind & 8 ? uint32_t(CONNTRACK_NO_EVICTION) : 0u);
		colliding = kind & 16;
		p.nb_groups = nic ? nb_groups : 1;
		p.initial_flows = 64;
		p.max_flows = fixed ? 64 : 1 << 16;
		p.protected_classes = 1u << 2;
		p.tick_ns = tick_ns;
		p.seed = 7;
		p.on_removed = [](void *context, const void *, void *, int reason) {
			static_cast<uint64_t *>(context)[reason]++;
		};
		p.context = left;
		for (uint32_t c = 0; c < CONNTRACK_NB_CLASSES; c++)
			p.timeout_ns[c] = timeouts_ms[c % nb_classes] * 1'000'000;
		expect(conntrack_create(&p, &table) == 0, "create");
	}
	~Run()
	{
		for (conntrack_group *group : away)
			conntrack_free_group(group);
		conntrack_free(table);
	}
	Run(const Run &) = delete;
	Run &operator=(const Run &) = delete;

	void step()
	{
		const uint32_t operation = in.byte();
		if (operation & 0x40)
			move_clock();
		// What a call does not tell it, the table does not know.
		if (operation % 8 != 7 || nic)
			latest = std::max(latest, now);
		switch (operation % 8) {
		case 0:
		case 1:
		case 2:
			insert();
			break;
		case 3:
		case 4:
			find();
			break;
		case 5:
			remove();
			break;
		case 6:
			conntrack_expire(table, now, in.byte());
			break;
		default:
			nic ? move_group() : void(conntrack_prepare(table));
		}
	}

	void finish()
	{
		latest = std::max(latest, now);
		conntrack_expire(table, now, UINT32_MAX);
		conntrack_stats s;
		conntrack_get_stats(table, &s);
		expect(s.inserted - s.removed - s.expired - s.evicted == s.flows || groups_moved, "books");
		expect(left[CONNTRACK_REMOVED] == s.removed && left[CONNTRACK_EXPIRED] == s.expired &&
		           left[CONNTRACK_EVICTED] == s.evicted,
		       "callbacks");
		if (lossy())
			return;
		uint64_t live = 0;
		for (uint32_t number = 0; number < nb_flows; number++)
			live += model[number].value && alive(model[number]) && !away[group_of(number)];
		const uint64_t visited = conntrack_iterate(
			table, now, [](void *, const void *, void *, int) {}, nullptr);
		expect(visited == live, "live flows");
		expect(groups_moved || s.flows == live, "entries after a whole sweep");
	}

private:
	bool lossy() const { return fixed; }
	uint32_t group_of(uint32_t number) const { return nic ? nic_hash(number) % nb_groups : 0; }
	uint32_t nic_hash(uint32_t number) const
	{
		return colliding ? number % 8 : number * 2654435761u >> 7;
	}
	bool alive(const Flow &f) const
	{
		const uint64_t timeout = timeouts_ms[f.timeout_class] * 1'000'000 / tick_ns;
		return timeout == 0 || tick() < f.seen + timeout + 1;
	}
	// The table's clock never runs backwards, whatever it is told.
	uint64_t tick() const { return latest / tick_ns; }

	void move_clock()
	{
		const uint32_t how = in.byte();
		const uint64_t by = uint64_t(how & 0x3f) * tick_ns * (how & 0x40 ? 64 : 1);
		now = how & 0x80 ? now - std::min(now - first_ns, by) : now + by;
	}

	uint32_t keys()
	{
		const uint32_t shape = in.byte();
		const uint32_t n = shape & 0x80 ? 1 + shape % largest_call : 1;
		uint32_t number = in.byte();
		const uint32_t stride = n > 1 ? in.byte() : 0;
		bytes.assign(n * key_size, 0);
		numbers.resize(n);
		digests.resize(n);
		std::vector<uint32_t> hashes(n);
		for (uint32_t i = 0; i < n; i++, number += stride) {
			numbers[i] = number % nb_flows;
			std::memcpy(&bytes[i * key_size], &numbers[i], 4);
			hashes[i] = nic_hash(numbers[i]);
		}
		conntrack_digest_burst(table, bytes.data(), nic ? hashes.data() : nullptr, n,
		                       digests.data());
		if (shape & 0x40)
			conntrack_prefetch_burst(table, digests.data(), n);
		states.assign(n, nullptr);
		return n;
	}

	Flow *known(uint32_t number)
	{
		Flow &flow = model[number];
		if (!flow.value)
			return nullptr;
		if (!alive(flow)) {
			flow = {};
			return nullptr;
		}
		flow.seen = tick();
		return &flow;
	}

	void insert()
	{
		const uint32_t n = keys();
		std::vector<uint8_t> results(n);
		const uint32_t there = conntrack_find_or_insert_burst(
			table, bytes.data(), digests.data(), n, now, states.data(), results.data());
		uint32_t with_state = 0;
		for (uint32_t i = 0; i < n; i++)
			with_state += states[i] != nullptr;
		expect(there == with_state, "keys that have an entry");
		if (lossy()) // states of a burst may be evicted by its later keys
			return;
		for (uint32_t i = 0; i < n; i++) {
			if (away[group_of(numbers[i])]) {
				expect(!states[i], "a key whose group is away");
				continue;
			}
			expect(states[i] != nullptr, "no room in a table that may grow");
			Flow *flow = known(numbers[i]);
			expect(bool(results[i] & CONNTRACK_NEW) == (flow == nullptr), "new or known");
			uint64_t value;
			std::memcpy(&value, states[i], 8);
			if (flow) {
				expect(value == flow->value, "state");
			} else {
				expect(value == 0, "state of a new entry is zero");
				model[numbers[i]] = {next, tick(), 0};
				std::memcpy(states[i], &next, 8);
				next++;
			}
		}
		const uint32_t last = n - 1;
		if (states[last] && in.byte() & 1) {
			const uint32_t c = in.below(nb_classes);
			expect(conntrack_set_class(table, states[last], c, now) == 0, "class");
			model[numbers[last]].timeout_class = c;
			model[numbers[last]].seen = tick();
		}
	}

	void find()
	{
		const uint32_t n = keys();
		const uint32_t found =
			conntrack_find_burst(table, bytes.data(), digests.data(), n, now, states.data());
		uint32_t expected = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (lossy()) {
				expected += states[i] != nullptr;
				continue;
			}
			Flow *flow = away[group_of(numbers[i])] ? nullptr : known(numbers[i]);
			expect((states[i] != nullptr) == (flow != nullptr), "found or not");
			if (flow)
				expect(std::memcmp(states[i], &flow->value, 8) == 0,
				       "state of a flow that was found");
			expected += flow != nullptr;
		}
		expect(found == expected, "number of flows found");
	}

	void remove()
	{
		const uint32_t n = keys();
		const uint32_t removed =
			conntrack_remove_burst(table, bytes.data(), digests.data(), n, now);
		if (lossy())
			return;
		uint32_t expected = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (away[group_of(numbers[i])])
				continue;
			expected += known(numbers[i]) != nullptr;
			model[numbers[i]] = {};
		}
		expect(removed == expected, "number of flows removed");
	}

	void move_group()
	{
		const uint32_t g = in.below(nb_groups);
		groups_moved = true;
		if (away[g]) {
			expect(conntrack_attach_group(table, away[g], now) == 0, "attach");
			away[g] = nullptr;
		} else {
			away[g] = conntrack_detach_group(table, g, now);
			expect(away[g] != nullptr, "detach");
			expect(conntrack_detach_group(table, g, now) == nullptr, "detached twice");
		}
	}

	static constexpr uint64_t first_ns = 1'000 * tick_ns;

	Bytes &in;
	conntrack_table *table = nullptr;
	uint32_t key_size;
	bool nic, fixed, colliding, groups_moved = false;
	uint64_t now = first_ns, latest = first_ns, next = 1, left[3] = {};
	conntrack_group *away[nb_groups] = {};
	std::array<Flow, nb_flows> model{};
	std::vector<uint8_t> bytes;
	std::vector<uint32_t> numbers;
	std::vector<uint64_t> digests;
	std::vector<void *> states;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || size > 1000)
		return 0;
	Bytes in(data, size);
	Run run(in);
	while (!in.empty())
		run.step();
	run.finish();
	return 0;
}
