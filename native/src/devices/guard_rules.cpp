#include "devices/guard_rules.hpp"

#include "devices/guard_program.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <sstream>
#include <vector>

namespace reframer::engine {

namespace {

bool number(const std::string &text, uint32_t most, uint32_t &value)
{
	const char *end = text.data() + text.size();
	const auto [at, error] = std::from_chars(text.data(), end, value);
	return error == std::errc() && at == end && value <= most;
}

std::optional<GuardNetwork> network_of(const std::string &word)
{
	GuardNetwork network;
	const size_t slash = word.find('/');
	const std::string address = word.substr(0, slash);
	network.v6 = address.find(':') != std::string::npos;
	if (inet_pton(network.v6 ? AF_INET6 : AF_INET, address.c_str(), network.address.data()) != 1)
		return std::nullopt;
	network.bits = network.v6 ? 128 : 32;
	if (slash != std::string::npos && !number(word.substr(slash + 1), network.bits, network.bits))
		return std::nullopt;
	for (uint32_t i = 0; i < network.address.size(); i++) {
		const uint32_t kept = std::clamp(int(network.bits) - int(8 * i), 0, 8);
		network.address[i] &= uint8_t(0xff00 >> kept);
	}
	return network;
}

} // namespace

bool GuardNetwork::holds(const GuardNetwork &narrower) const
{
	if (v6 != narrower.v6 || bits > narrower.bits)
		return false;
	for (uint32_t i = 0; i < address.size(); i++) {
		const uint32_t kept = std::clamp(int(bits) - int(8 * i), 0, 8);
		if ((narrower.address[i] & uint8_t(0xff00 >> kept)) != address[i])
			return false;
	}
	return true;
}

GuardRule parse_guard_rule(const std::string &text)
{
	const auto refuse = [&](const std::string &why) {
		throw RuleError("'" + text + "': " + why +
		                "; a rule is such as 10.0.0.0/8, udp, 10.0.0.0/8 udp, tcp port 80");
	};
	std::istringstream words(text);
	GuardRule rule;
	bool any = false;
	for (std::string word; words >> word; any = true) {
		if (word == "tcp" || word == "udp" || word == "icmp") {
			if (rule.kinds)
				refuse("one protocol a rule");
			rule.kinds = word == "tcp" ? guard_tcp : word == "udp" ? guard_udp : guard_icmp;
		} else if (word == "port") {
			if (rule.ports)
				refuse("one port or range of ports a rule");
			std::string range;
			words >> range;
			const size_t dash = range.find('-');
			uint32_t first = 0, last = 0;
			if (!number(range.substr(0, dash), 65535, first) ||
			    !number(dash == std::string::npos ? range : range.substr(dash + 1), 65535, last) ||
			    first > last)
				refuse("'" + range + "' are no ports");
			rule.ports = true;
			rule.first_port = uint16_t(first);
			rule.last_port = uint16_t(last);
		} else if (std::optional<GuardNetwork> network = network_of(word); network) {
			if (rule.network)
				refuse("one network a rule");
			rule.network = network;
		} else {
			refuse("'" + word + "' is neither a network nor a protocol");
		}
	}
	if (!any)
		refuse("it says nothing");
	if (rule.ports && rule.network)
		refuse("a rule is about a network or about ports");
	if (rule.ports && rule.kinds == guard_icmp)
		refuse("icmp has no ports");
	if (rule.kinds == 0)
		rule.kinds = rule.ports ? guard_tcp | guard_udp : guard_any;
	return rule;
}

} // namespace reframer::engine
