// The guard: each frame gets the verdict that a naive reading of the rules gives it, also while rules
// change; words that are no rules are refused.
#include "base/random.hpp"
#include "devices/guard.hpp"
#include "devices/tap_port.hpp"
#include "support/own_network.hpp"
#include "support/packet_builder.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <net/if.h>
#include <unistd.h>

#include <atomic>
#include <thread>

using namespace reframer::engine;
using namespace reframer::test;

namespace {

GuardRules rules_of(const std::vector<std::string> &deny, const std::vector<std::string> &claim)
{
	GuardRules rules;
	for (const std::string &text : deny)
		rules.deny.push_back(parse_guard_rule(text));
	for (const std::string &text : claim)
		rules.claim.push_back(parse_guard_rule(text));
	return rules;
}

struct Packet {
	std::string source, destination;
	uint8_t protocol = 17;
	uint16_t from = 0, to = 0;
	bool fragment = false, vlan = false, arp = false;

	bool v6() const { return source.find(':') != std::string::npos; }
	Bytes frame() const
	{
		if (arp)
			return ethernet(type_arp, Bytes(28, 1));
		const Segment inner = protocol == 6    ? tcp({.source = from, .destination = to})
		                      : protocol == 17 ? udp({.source = from, .destination = to})
		                                       : segment(protocol, Bytes(16, 0));
		Bytes packet;
		if (!v6())
			packet = ipv4(
				{.source = source, .destination = destination, .id = 7, .more_fragments = fragment},
				inner);
		else
			packet = ipv6({.source = source, .destination = destination},
			              fragment ? fragment6(7, 0, true, inner) : inner);
		const uint16_t type = v6() ? type_ipv6 : type_ipv4;
		return vlan ? ethernet(type_vlan, reframer::test::vlan(3, type, packet))
		            : ethernet(type, packet);
	}
};

// As the rules read.
bool about(const GuardRule &rule, const Packet &p, bool both_ends)
{
	const uint64_t kind = p.protocol == 6                       ? guard_tcp
	                      : p.protocol == 17                    ? guard_udp
	                      : p.protocol == 1 || p.protocol == 58 ? guard_icmp
	                                                            : guard_other;
	if (!(rule.kinds & kind))
		return false;
	if (rule.ports)
		return !p.fragment && ((p.from >= rule.first_port && p.from <= rule.last_port) ||
		                       (p.to >= rule.first_port && p.to <= rule.last_port));
	if (!rule.network)
		return true;
	const auto in = [&](const std::string &address) {
		return rule.network->holds(*parse_guard_rule(address).network);
	};
	return in(p.source) || (both_ends && in(p.destination));
}

enum class Verdict { denied, claimed, passed };

Verdict verdict_of(const GuardRules &rules, const Packet &p)
{
	if (p.arp)
		return rules.claim.empty() ? Verdict::claimed : Verdict::passed;
	for (const GuardRule &rule : rules.deny)
		if (about(rule, p, false))
			return Verdict::denied;
	for (const GuardRule &rule : rules.claim)
		if (about(rule, p, true))
			return Verdict::claimed;
	return rules.claim.empty() ? Verdict::claimed : Verdict::passed;
}

uint64_t denied(const GuardVerdicts &v)
{
	return v.denied_source + v.denied_protocol + v.denied_port;
}

// Frames into a TAP, the guard on its interface.
class Guarded {
public:
	explicit Guarded(const GuardRules &rules, uint32_t most_networks = guard_most_networks)
		: port({.nb_queues = 1}),
		  guard(if_nametoindex("rss0"), 1, bpf_socket_map(1), rules, most_networks), wanted(rules)
	{
	}
	void change(const GuardRules &rules)
	{
		guard.set(rules);
		wanted = rules;
	}
	void check(const std::vector<Packet> &packets)
	{
		for (const Packet &p : packets) {
			const Verdict verdict = verdict_of(wanted, p);
			nb_denied += verdict == Verdict::denied;
			nb_claimed += verdict == Verdict::claimed;
			nb_passed += verdict == Verdict::passed;
			const Bytes frame = p.frame();
			REQUIRE(write(port.queue(0), frame.data(), frame.size()) == ssize_t(frame.size()));
		}
		GuardVerdicts v = {};
		for (int i = 0; i < 1000; i++) {
			v = guard.verdicts();
			if (denied(v) + v.claimed + v.passed >= nb_denied + nb_claimed + nb_passed)
				break;
			usleep(1000);
		}
		CHECK(denied(v) == nb_denied);
		CHECK(v.claimed == nb_claimed);
		CHECK(v.passed == nb_passed);
	}
	GuardVerdicts verdicts() const { return guard.verdicts(); }
	// Changes of rules from one to the other and back, while such a packet comes again and again.
	// Returns how many of it came.
	uint64_t change_under(const Packet &p, const GuardRules &one, const GuardRules &other,
	                      int changes)
	{
		std::atomic<bool> changing{true};
		std::thread changer([&] {
			for (int i = 0; i < changes; i++)
				guard.set(i % 2 ? one : other);
			changing = false;
		});
		const Bytes frame = p.frame();
		uint64_t sent = 0;
		for (; changing; sent++)
			CHECK(write(port.queue(0), frame.data(), frame.size()) == ssize_t(frame.size()));
		changer.join();
		for (int i = 0; i < 1000; i++) {
			const GuardVerdicts v = guard.verdicts();
			if (denied(v) + v.claimed + v.passed >= sent)
				break;
			usleep(1000);
		}
		return sent;
	}

private:
	TapPort port;
	Guard guard;
	GuardRules wanted;
	uint64_t nb_denied = 0, nb_claimed = 0, nb_passed = 0;
};

const std::vector<std::string> addresses4 = {"10.0.0.1", "10.1.2.3", "10.1.9.9", "192.0.2.7",
                                             "198.51.100.1"};
const std::vector<std::string> addresses6 = {"2001:db8::1", "2001:db8:1::2", "fd00::5"};
const std::vector<std::string> some_rules = {"10.0.0.0/8",
                                             "10.1.0.0/16 udp",
                                             "10.1.2.0/24 tcp",
                                             "192.0.2.7",
                                             "2001:db8::/32 icmp",
                                             "fd00::/8",
                                             "udp",
                                             "tcp",
                                             "icmp",
                                             "port 53",
                                             "tcp port 80",
                                             "udp port 80-90",
                                             "2001:db8:1::/48",
                                             "0.0.0.0/0 icmp",
                                             "10.1.2.3/32",
                                             "198.51.0.0/16 udp"};

} // namespace

TEST_CASE("random rules and packets: the verdicts of a naive reading, also after changes")
{
	in_own_network("guard", [] {
		reframer::base::Random random{seed_for("guard", 11)};
		const auto pick = [&](const auto &list) -> const auto &
		{
			return list[random.next() % list.size()];
		};
		const auto some = [&](size_t least) {
			std::vector<std::string> chosen;
			for (size_t n = least + random.next() % 4; n > 0; n--)
				chosen.push_back(pick(some_rules));
			return chosen;
		};
		const auto packet = [&] {
			Packet p;
			const auto &family = random.next() % 3 ? addresses4 : addresses6;
			p.source = pick(family);
			p.destination = pick(family);
			const std::vector<uint8_t> protocols = {6, 6, 17, 17, uint8_t(p.v6() ? 58 : 1), 47};
			const std::vector<uint16_t> ports = {53, 80, 85, 90, 91, 4000};
			p.protocol = pick(protocols);
			p.from = pick(ports);
			p.to = pick(ports);
			p.fragment = random.next() % 8 == 0;
			p.vlan = random.next() % 4 == 0;
			p.arp = random.next() % 16 == 0;
			return p;
		};
		for (int run = 0; run < 10; run++) {
			const bool claim_all = run % 3 == 0;
			const auto rules = [&] { return rules_of(some(0), claim_all ? some(0) : some(1)); };
			GuardRules first = rules();
			if (claim_all)
				first.claim.clear();
			Guarded guarded(first);
			for (int change = 0; change < 5; change++) {
				std::vector<Packet> packets;
				for (int i = 0; i < 100; i++)
					packets.push_back(packet());
				guarded.check(packets);
				GuardRules next = rules();
				if (claim_all)
					next.claim.clear();
				guarded.change(next);
			}
		}
	});
}

TEST_CASE("what both the old and the new rules deny is denied while they change")
{
	in_own_network("guard", [] {
		const Packet web = {.source = "10.1.2.3",
		                    .destination = "192.0.2.1",
		                    .protocol = 6,
		                    .from = 4000,
		                    .to = 80};
		const std::vector<std::string> rules = {"tcp", "10.1.0.0/16 tcp", "tcp port 80"};
		for (const std::string &one : rules)
			for (const std::string &other : rules) {
				if (one == other)
					continue;
				INFO(one, " and ", other);
				Guarded guarded(rules_of({one}, {}));
				const uint64_t sent =
					guarded.change_under(web, rules_of({one}, {}), rules_of({other}, {}), 20);
				CHECK(denied(guarded.verdicts()) == sent);
				CHECK(guarded.verdicts().claimed == 0);
			}
	});
}

TEST_CASE("rules that the kernel does not take leave those of before")
{
	in_own_network("guard", [] {
		const std::vector<std::string> claims = {"udp port 53", "192.0.2.0/24"};
		Guarded guarded(rules_of({"udp", "198.51.100.0/24"}, claims), 2);
		std::vector<Packet> packets;
		for (const char *source : {"10.0.0.1", "10.1.2.3", "192.0.2.7", "198.51.100.1"})
			for (const uint8_t protocol : {6, 17, 1})
				packets.push_back({.source = source,
				                   .destination = "203.0.113.1",
				                   .protocol = protocol,
				                   .from = 4000,
				                   .to = 80});
		guarded.check(packets);
		// There is room for two networks.
		CHECK_THROWS_AS(guarded.change(rules_of({"tcp", "10.0.0.0/8", "10.1.0.0/16", "192.0.2.7"},
		                                        {"tcp port 80"})),
		                DeviceError);
		guarded.check(packets);
		CHECK_THROWS_AS(
			guarded.change(rules_of({"icmp"}, {"10.0.0.0/8", "10.1.0.0/16", "192.0.2.7"})),
			DeviceError);
		guarded.check(packets);
		guarded.change(rules_of({"icmp", "10.1.0.0/16"}, claims));
		guarded.check(packets);
	});
}

TEST_CASE("what denied a frame is told apart; short frames are the kernel's")
{
	in_own_network("guard", [] {
		Guarded guarded(
			rules_of({"10.0.0.0/8", "icmp", "udp port 53"}, {"tcp port 80", "198.51.100.0/24"}));
		Packet source, ping, dns, web, reply, other;
		source = {.source = "10.9.9.9", .destination = "192.0.2.1"};
		ping = {.source = "192.0.2.1", .destination = "192.0.2.2", .protocol = 1};
		dns = {.source = "192.0.2.1", .destination = "192.0.2.2", .from = 4000, .to = 53};
		web = {.source = "192.0.2.1", .destination = "192.0.2.2", .protocol = 6, .to = 80};
		reply = {.source = "192.0.2.2", .destination = "192.0.2.1", .protocol = 6, .from = 80};
		other = {.source = "192.0.2.2", .destination = "198.51.100.9", .protocol = 47};
		guarded.check({source, ping, dns, dns, web, reply, other});
		const GuardVerdicts v = guarded.verdicts();
		CHECK(v.denied_source == 1);
		CHECK(v.denied_protocol == 1);
		CHECK(v.denied_port == 2);
		CHECK(v.claimed == 3);
	});
}

TEST_CASE("words that are no rule are refused with what is wrong")
{
	const auto refusal = [](const std::string &text) {
		try {
			parse_guard_rule(text);
		} catch (const RuleError &e) {
			return std::string(e.what());
		}
		return std::string();
	};
	CHECK(refusal("").find("says nothing") != std::string::npos);
	CHECK(refusal("tcp udp").find("one protocol") != std::string::npos);
	CHECK(refusal("10.0.0.0/33").find("neither a network") != std::string::npos);
	CHECK(refusal("10.0.0/8").find("neither a network") != std::string::npos);
	CHECK(refusal("port").find("no ports") != std::string::npos);
	CHECK(refusal("port 70000").find("no ports") != std::string::npos);
	CHECK(refusal("port 9-8").find("no ports") != std::string::npos);
	CHECK(refusal("tcp port 80 port 443").find("one port") != std::string::npos);
	CHECK(refusal("icmp port 3").find("icmp has no ports") != std::string::npos);
	CHECK(refusal("10.0.0.0/8 port 3").find("or about ports") != std::string::npos);
	CHECK(refusal("10.0.0.1 10.0.0.2").find("one network") != std::string::npos);
	const GuardRule rule = parse_guard_rule("  10.1.2.3/8   udp ");
	REQUIRE(rule.network);
	CHECK(rule.network->bits == 8);
	CHECK(rule.network->address[1] == 0);
	CHECK(rule.kinds == guard_udp);
	CHECK(parse_guard_rule("::/0").network->v6);
}
