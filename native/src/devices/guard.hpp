// The guard's program on an interface that AF_XDP sockets of this process serve, and its rules, which
// change while it runs. The program leaves with the object, or with the process, however that ends.
#pragma once

#include "devices/bpf.hpp"
#include "devices/guard_program.hpp"
#include "devices/guard_rules.hpp"

#include <map>
#include <string>
#include <vector>

namespace reframer::engine {

// A hundred thousand networks take some 10 MB.
inline constexpr uint32_t guard_most_networks = 1u << 20;

struct GuardRules {
	std::vector<GuardRule> deny;
	std::vector<GuardRule> claim; // none: everything that is not denied is claimed
};

class Guard {
public:
	// Attaches the program in the place of the one that opened the sockets, and takes over their map. In
	// between, for some microseconds, the kernel gets everything.
	// @throws DeviceError
	Guard(const std::string &interface, const GuardRules &rules);
	// The same without sockets, of a map that the caller has made, and with room for so many networks
	// of a kind: for tests.
	Guard(unsigned interface_index, uint32_t nb_queues, FileDescriptor sockets,
	      const GuardRules &rules, uint32_t most_networks = guard_most_networks);

	// A frame that comes meanwhile is judged by some of the old rules and some of the new, never by
	// none: what both deny is denied throughout. Whether all is claimed stays as it was at first.
	// @throws DeviceError; then the rules are those of before
	void set(const GuardRules &rules);
	GuardVerdicts verdicts() const;

private:
	using Networks = std::map<GuardNetwork, uint64_t>;

	// Of the maps `protocols` and `ports`, one behind the other.
	using Words = std::vector<uint64_t>;

	void attach(unsigned interface_index, bool claim_all);
	void set_networks(const Networks &wanted_denied, const Networks &wanted_claimed);
	static void set_networks(const Networks &wanted, Networks &now, int map4, int map6);
	static Words words_of(const GuardRules &rules);
	Words words() const;
	void set_words(const Words &wanted);

	const uint32_t nb_queues; // power of two
	BpfWords protocols, ports;
	BpfGrace grace;
	FileDescriptor deny4, deny6, claim4, claim6;
	BpfBlocks counts;
	FileDescriptor sockets, program, link;
	Networks denied, claimed; // as they are in the maps
};

} // namespace reframer::engine
