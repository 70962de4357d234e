#include "dpdk/guards.hpp"

#include "devices/table_device.hpp"
#include "jobs/record.hpp"

#include <cstdlib>

namespace reframer::dpdk {

namespace {

using lab::Json;

engine::GuardRules rules_of(const Json &record)
{
	engine::GuardRules rules;
	const auto read = [&](const char *name, std::vector<engine::GuardRule> &list) {
		if (const auto at = record.find(name); at != record.end())
			for (const std::string &text : at->get<std::vector<std::string>>())
				list.push_back(engine::parse_guard_rule(text));
	};
	read("deny", rules.deny);
	read("claim", rules.claim);
	return rules;
}

} // namespace

Guards::Guards(const Json *spec)
{
	if (spec == nullptr)
		return;
	try {
		for (const Json &one : *spec)
			all.push_back({one.at("interface").get<std::string>(), rules_of(one), nullptr, {}});
	} catch (const engine::RuleError &e) {
		throw lab::JobError("bad-spec", e.what(), 2);
	} catch (const Json::exception &e) {
		throw lab::JobError("bad-spec", std::string("guards: ") + e.what(), 2);
	}
	// The driver's library would put a program of its own around its sockets' one, and ours could not
	// take that one's place.
	if (!all.empty())
		setenv("LIBXDP_SKIP_DISPATCHER", "1", 1);
}

void Guards::start()
{
	try {
		for (One &one : all)
			one.guard = std::make_unique<engine::Guard>(one.interface, one.rules);
	} catch (const engine::DeviceError &e) {
		throw lab::JobError(e.unsupported ? "not-supported" : e.code, e.what(),
		                    e.unsupported ? 3 : 1);
	}
}

void Guards::stop()
{
	for (One &one : all)
		if (one.guard) {
			one.last = one.guard->verdicts();
			one.guard.reset();
		}
}

Json Guards::change(const Json &command)
{
	try {
		const Json &guards = command.at("guards");
		if (guards.size() != all.size())
			return {{"failed", "there are " + std::to_string(all.size()) + " guards"}};
		std::vector<engine::GuardRules> wanted;
		size_t nb_rules = 0;
		for (size_t i = 0; i < all.size(); i++) {
			wanted.push_back(rules_of(guards[i]));
			nb_rules += wanted[i].deny.size() + wanted[i].claim.size();
			if (wanted[i].claim.empty() != all[i].rules.claim.empty())
				return {{"failed", "whether there are claims cannot change while it runs"}};
		}
		set(wanted);
		return {{"rules", nb_rules}};
	} catch (const std::exception &e) { // words that are no rules, or the kernel's refusal
		return {{"failed", e.what()}};
	}
}

// All of them, or none.
void Guards::set(const std::vector<engine::GuardRules> &wanted)
{
	size_t nb_set = 0;
	try {
		for (; nb_set < all.size(); nb_set++)
			all[nb_set].guard->set(wanted[nb_set]);
	} catch (const engine::DeviceError &) {
		while (nb_set-- > 0)
			all[nb_set].guard->set(all[nb_set].rules);
		throw;
	}
	for (size_t i = 0; i < all.size(); i++)
		all[i].rules = wanted[i];
}

Json Guards::sample() const
{
	Json records = Json::array();
	for (const One &one : all) {
		const engine::GuardVerdicts v = one.guard ? one.guard->verdicts() : one.last;
		records.push_back(
			lab::joined({{"interface", one.interface}}, NAMED(v.denied_source, v.denied_protocol,
		                                                      v.denied_port, v.claimed, v.passed)));
	}
	return records;
}

} // namespace reframer::dpdk
