#include "devices/guard.hpp"

#include "devices/receive_queues.hpp"
#include "devices/table_device.hpp"
#include "devices/xdp_owner.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>

namespace reframer::engine {

namespace {

constexpr uint32_t most_queues = 64;

uint32_t queues_of(const std::string &interface)
{
	return receive_queues(interface, most_queues);
}

unsigned index_of(const std::string &interface)
{
	const unsigned index = if_nametoindex(interface.c_str());
	if (index == 0)
		throw DeviceError("bad-spec", "there is no interface '" + interface + "'", false);
	return index;
}

// What a rule adds to a network adds to those within it: a lookup finds the narrowest alone.
std::map<GuardNetwork, uint64_t> networks_of(const std::vector<GuardRule> &rules)
{
	std::map<GuardNetwork, uint64_t> networks;
	for (const GuardRule &rule : rules)
		if (rule.network)
			networks[*rule.network] |= rule.kinds;
	// Sorted by family, bits, address: those around a network come before it.
	for (auto &[network, kinds] : networks) {
		GuardNetwork wider = network;
		while (wider.bits > 0) {
			wider.bits--;
			wider.address[wider.bits / 8] &= uint8_t(0xff00 >> (wider.bits % 8));
			if (const auto at = networks.find(wider); at != networks.end()) {
				kinds |= at->second; // complete already
				break;
			}
		}
	}
	return networks;
}

int change(int map, const GuardNetwork &network, const uint64_t *value)
{
	GuardPrefix6 key = {};
	key.bits = network.bits;
	std::copy(network.address.begin(), network.address.end(), key.address);
	return value ? bpf_put(map, &key, value) : bpf_remove(map, &key);
}

} // namespace

Guard::Guard(const std::string &interface, const GuardRules &rules)
	: Guard(index_of(interface), queues_of(interface), take_over_sockets(index_of(interface)),
            rules)
{
}

Guard::Guard(unsigned interface_index, uint32_t queues, FileDescriptor xsk_map,
             const GuardRules &rules, uint32_t most_networks)
	: nb_queues(std::bit_ceil(queues)), protocols(guard_nb_protocols), ports(guard_nb_ports),
	  grace(protocols.fd()), deny4(bpf_prefix_map(4, most_networks)),
	  deny6(bpf_prefix_map(16, most_networks)), claim4(bpf_prefix_map(4, most_networks)),
	  claim6(bpf_prefix_map(16, most_networks)), counts(nb_queues, uint32_t(sizeof(GuardVerdicts))),
	  sockets(std::move(xsk_map))
{
	set(rules);
	attach(interface_index, rules.claim.empty());
}

void Guard::attach(unsigned interface_index, bool claim_all)
{
	program = guard_program({protocols.fd(), ports.fd(), deny4.get(), deny6.get(), claim4.get(),
	                         claim6.get(), counts.fd(), sockets.get(), nb_queues, claim_all});
	link = FileDescriptor(bpf_xdp_link(program.get(), interface_index, XDP_FLAGS_DRV_MODE));
	if (link.get() < 0 && errno != EBUSY && errno != EEXIST)
		link = FileDescriptor(bpf_xdp_link(program.get(), interface_index, XDP_FLAGS_SKB_MODE));
	if (link.get() < 0)
		throw_errno("xdp", "cannot attach the guard's XDP program");
}

void Guard::set(const GuardRules &rules)
{
	const Words before = words(), after = words_of(rules);
	const Networks denied_before = denied, claimed_before = claimed;
	const Networks denied_after = networks_of(rules.deny), claimed_after = networks_of(rules.claim);
	// What a word said a network may say now, and the other way round: until the networks are changed,
	// words say both.
	Words both = before;
	for (size_t i = 0; i < both.size(); i++)
		both[i] |= after[i];
	set_words(both);
	try {
		set_networks(denied_after, claimed_after);
	} catch (const DeviceError &) {
		try {
			set_networks(denied_before, claimed_before);
		} catch (const DeviceError &) {
			// The kernel takes nothing any more; what is left is told by the first failure.
		}
		set_words(before);
		throw;
	}
	// The program looks at one after the other: a frame that it began with before gets its verdict first.
	// (A kernel that lets no ordinary user wait for that takes no networks from him either.)
	if (link.get() >= 0)
		static_cast<void>(grace.wait());
	set_words(after);
}

Guard::Words Guard::words() const
{
	Words all(guard_nb_protocols + guard_nb_ports);
	for (uint32_t i = 0; i < guard_nb_protocols; i++)
		all[i] = protocols.load(i);
	for (uint32_t i = 0; i < guard_nb_ports; i++)
		all[guard_nb_protocols + i] = ports.load(i);
	return all;
}

void Guard::set_words(const Words &wanted)
{
	for (uint32_t i = 0; i < guard_nb_protocols; i++)
		protocols.store(i, wanted[i]);
	for (uint32_t i = 0; i < guard_nb_ports; i++)
		ports.store(i, wanted[guard_nb_protocols + i]);
}

Guard::Words Guard::words_of(const GuardRules &rules)
{
	Words all(guard_nb_protocols + guard_nb_ports);
	uint64_t *const protocol_words = all.data(), *const port_words =
													 all.data() + guard_nb_protocols;
	const auto add = [&](const std::vector<GuardRule> &list, uint64_t bit) {
		for (const GuardRule &rule : list) {
			if (rule.ports) {
				const uint64_t bits = (rule.kinds & guard_tcp ? bit : 0) |
				                      (rule.kinds & guard_udp ? bit << guard_udp_shift : 0);
				for (uint32_t port = rule.first_port; port <= rule.last_port; port++)
					port_words[port] |= bits;
			} else if (!rule.network) {
				if (rule.kinds & guard_tcp)
					protocol_words[IPPROTO_TCP] |= bit;
				if (rule.kinds & guard_udp)
					protocol_words[IPPROTO_UDP] |= bit;
				if (rule.kinds & guard_icmp)
					for (const uint32_t icmp : {uint32_t(IPPROTO_ICMP), uint32_t(IPPROTO_ICMPV6)})
						protocol_words[icmp] |= bit;
			}
		}
	};
	add(rules.deny, guard_deny);
	add(rules.claim, guard_claim);
	return all;
}

void Guard::set_networks(const Networks &wanted_denied, const Networks &wanted_claimed)
{
	set_networks(wanted_denied, denied, deny4.get(), deny6.get());
	set_networks(wanted_claimed, claimed, claim4.get(), claim6.get());
}

void Guard::set_networks(const Networks &wanted, Networks &now, int map4, int map6)
{
	const auto put = [&](const GuardNetwork &network, const uint64_t *kinds) {
		if (const int error = change(network.v6 ? map6 : map4, network, kinds); error != 0) {
			errno = -error;
			throw_errno("guard", "a network of the rules cannot be changed");
		}
	};
	// The narrow ones first: what they deny must not be let through while a wider one changes.
	for (auto one = wanted.rbegin(); one != wanted.rend(); ++one) {
		const auto &[network, kinds] = *one;
		const auto at = now.find(network);
		if (at == now.end() || at->second != kinds)
			put(network, &kinds);
		now[network] = kinds;
	}
	for (auto at = now.begin(); at != now.end();) {
		if (wanted.contains(at->first)) {
			++at;
			continue;
		}
		put(at->first, nullptr);
		at = now.erase(at);
	}
}

GuardVerdicts Guard::verdicts() const
{
	GuardVerdicts sum = {};
	for (uint32_t q = 0; q < nb_queues; q++) {
		const auto &one = *reinterpret_cast<const GuardVerdicts *>(counts.block(q));
		const auto add = [](uint64_t &to, const uint64_t &word) {
			to += __atomic_load_n(&word, __ATOMIC_RELAXED);
		};
		add(sum.denied_source, one.denied_source);
		add(sum.denied_protocol, one.denied_protocol);
		add(sum.denied_port, one.denied_port);
		add(sum.claimed, one.claimed);
		add(sum.passed, one.passed);
	}
	return sum;
}

} // namespace reframer::engine
