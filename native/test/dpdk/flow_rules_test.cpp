// A table made of flow rules, on a port that takes them: rules are kept by this file in the place of a
// driver, and followed as a NIC would.
#include "eal.hpp"
#include "reframer/dpdk.h"

#include <rte_flow.h>

#include <dlfcn.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <random>
#include <vector>

using namespace reframer::test;

namespace {

struct Rule {
	uint32_t group, priority;
	std::optional<uint32_t> jump; // to this group
	std::vector<uint16_t> queues;
};

struct Rules {
	bool active = false;
	std::map<uintptr_t, Rule> all;
	uintptr_t next_id = 1;
	int calls = 0;
	std::vector<int> fail_at; // numbers of calls
	// Whoever changes a table names both: nothing else may ever be in force.
	const std::vector<uint16_t> *old = nullptr, *wanted = nullptr;
	int lost = 0, strange = 0;

	// The queues that packets are spread over now; none: they find no rule.
	std::vector<uint16_t> in_force() const
	{
		uint32_t group = 0;
		for (int hops = 0; hops < 8; hops++) {
			const Rule *best = nullptr;
			for (const auto &[id, rule] : all)
				if (rule.group == group && (best == nullptr || rule.priority < best->priority))
					best = &rule;
			if (best == nullptr)
				return {};
			if (!best->jump)
				return best->queues;
			group = *best->jump;
		}
		return {};
	}
	void look()
	{
		if (old == nullptr)
			return;
		const auto now = in_force();
		lost += now.empty();
		strange += !now.empty() && now != *old && now != *wanted;
	}
	bool fails() { return std::find(fail_at.begin(), fail_at.end(), ++calls) != fail_at.end(); }
} rules;

template <typename Function> Function *next(const char *name)
{
	return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

} // namespace

// In the place of DPDK's, as long as a test says so.
extern "C" {

int rte_flow_validate(uint16_t port, const rte_flow_attr *attr, const rte_flow_item pattern[],
                      const rte_flow_action actions[], rte_flow_error *error)
{
	if (rules.active)
		return rules.fails() ? -EBUSY : 0;
	return next<decltype(rte_flow_validate)>("rte_flow_validate")(port, attr, pattern, actions,
	                                                              error);
}

rte_flow *rte_flow_create(uint16_t port, const rte_flow_attr *attr, const rte_flow_item pattern[],
                          const rte_flow_action actions[], rte_flow_error *error)
{
	if (!rules.active)
		return next<decltype(rte_flow_create)>("rte_flow_create")(port, attr, pattern, actions,
		                                                          error);
	if (rules.fails()) {
		rte_errno = ENOSPC;
		return nullptr;
	}
	Rule rule = {attr->group, attr->priority, std::nullopt, {}};
	if (actions[0].type == RTE_FLOW_ACTION_TYPE_JUMP) {
		rule.jump = static_cast<const rte_flow_action_jump *>(actions[0].conf)->group;
	} else {
		const auto *rss = static_cast<const rte_flow_action_rss *>(actions[0].conf);
		rule.queues.assign(rss->queue, rss->queue + rss->queue_num);
	}
	const uintptr_t id = rules.next_id++;
	rules.all[id] = std::move(rule);
	rules.look();
	return reinterpret_cast<rte_flow *>(id);
}

int rte_flow_destroy(uint16_t port, rte_flow *flow, rte_flow_error *error)
{
	if (!rules.active)
		return next<decltype(rte_flow_destroy)>("rte_flow_destroy")(port, flow, error);
	if (rules.fails())
		return -EBUSY;
	CHECK(rules.all.erase(reinterpret_cast<uintptr_t>(flow)) == 1);
	rules.look();
	return 0;
}

} // extern "C"

TEST_CASE("a table of flow rules: packets see the old one or the new one, whichever call fails")
{
	eal();
	rules = {};
	rules.active = true;
	constexpr uint32_t nb_entries = 64;
	std::mt19937 random(1);
	rsspp_dpdk_table *table = nullptr;
	REQUIRE(rsspp_dpdk_flow_open(eal().null_port, nb_entries, nb_queues, &table) == 0);
	std::vector<uint16_t> current(nb_entries), wanted(nb_entries), read(nb_entries);
	REQUIRE(rsspp_dpdk_table_read(table, current.data()) == 0);
	CHECK(rules.in_force() == current);
	int failed = 0;
	const auto write = [&](std::vector<int> fail_at) {
		for (uint16_t &queue : wanted)
			queue = uint16_t(random() % nb_queues);
		rules.calls = 0;
		rules.fail_at = std::move(fail_at);
		rules.old = &current;
		rules.wanted = &wanted;
		const int error = rsspp_dpdk_table_write(table, wanted.data(), nullptr);
		rules.fail_at.clear();
		rules.old = nullptr;
		failed += error != 0;
		REQUIRE(rsspp_dpdk_table_read(table, read.data()) == 0);
		CHECK(read == rules.in_force());
		CHECK((error != 0 || read == wanted));
		current = read;
		return error;
	};
	for (int at = 1; at <= 8; at++)
		for (int repeat = 0; repeat < 4; repeat++) { // either half, either priority
			CAPTURE(at);
			const std::vector<uint16_t> before = current;
			if (write({at}) != 0)
				CHECK(current == before);
			REQUIRE(write({}) == 0);
			CHECK(rules.all.size() <= 4); // root, jump, table; one more where a clean-up failed
		}
	CHECK(failed >= 16);
	// A port that lets go of nothing for a while: the old table goes on, or the new one counts.
	for (int repeat = 0; repeat < 4; repeat++) {
		CHECK(write({5, 6, 7, 8, 9}) != 0);
		REQUIRE(write({}) == 0);
	}
	CHECK(rules.lost == 0);
	CHECK(rules.strange == 0);
	rsspp_dpdk_table_close(table);
	CHECK(rules.all.empty());
	rules.active = false;
}
