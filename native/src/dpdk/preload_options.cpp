#include "dpdk/preload_options.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <utility>

namespace reframer::dpdk {

const char *const preload_grammar =
	"delay=64us (ns, us, ms, s), policy=fixed|adaptive|burst, key=5tuple|symmetric|destination|inner, "
	"hash=auto|nic|software, packets=4096, bytes=8M, burst=128, lookahead=32, "
	"bypass=syn+new+ef+ect1+dns, early=fin+rst+psh, repair, thin, ports=0+1, quiet; or off";

namespace {

using Choices = std::initializer_list<std::pair<std::string_view, uint32_t>>;

std::vector<std::string_view> split(std::string_view text, char at)
{
	std::vector<std::string_view> parts;
	for (;;) {
		const size_t end = text.find(at);
		parts.push_back(text.substr(0, end));
		if (end == text.npos)
			return parts;
		text.remove_prefix(end + 1);
	}
}

// A number and its unit; `units` maps what may follow to a factor.
std::optional<uint64_t> quantity(std::string_view text,
                                 std::initializer_list<std::pair<std::string_view, double>> units,
                                 double most)
{
	double value = 0;
	const auto [end, error] =
		std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
	if (error != std::errc() || end == text.data() || !(value >= 0))
		return std::nullopt;
	const std::string_view unit = text.substr(size_t(end - text.data()));
	for (const auto &[name, factor] : units)
		if (unit == name) {
			const double scaled = value * factor;
			return scaled <= most ? std::optional<uint64_t>(std::llround(scaled)) : std::nullopt;
		}
	return std::nullopt;
}

std::optional<uint32_t> choice(std::string_view text, Choices choices)
{
	for (const auto &[name, value] : choices)
		if (text == name)
			return value;
	return std::nullopt;
}

std::optional<uint32_t> bits(std::string_view text, Choices choices)
{
	uint32_t all = 0;
	for (const std::string_view word : split(text, '+')) {
		const auto bit = choice(word, choices);
		if (!bit)
			return std::nullopt;
		all |= *bit;
	}
	return all;
}

struct Parser {
	PreloadOptions &out;

	// False: this value is not one of this name's. Unknown names give nullopt.
	std::optional<bool> set(std::string_view name, std::string_view value)
	{
		reframer_params &stage = out.params.stage;
		if (name == "delay")
			return number(value, {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}, 0,
			              REFRAMER_MAX_DELAY_NS, stage.delay_ns);
		if (name == "policy")
			return word(choice(value, {{"fixed", REFRAMER_FIXED},
			                           {"adaptive", REFRAMER_ADAPTIVE},
			                           {"burst", REFRAMER_BURST}}),
			            stage.policy);
		if (name == "key")
			return word(choice(value, {{"5tuple", REFRAMER_KEY_5TUPLE},
			                           {"symmetric", REFRAMER_KEY_SYMMETRIC},
			                           {"destination", REFRAMER_KEY_DESTINATION},
			                           {"inner", REFRAMER_KEY_INNER}}),
			            stage.key);
		if (name == "hash")
			return word(choice(value, {{"auto", REFRAMER_DPDK_HASH_AUTO},
			                           {"nic", REFRAMER_DPDK_HASH_NIC},
			                           {"software", REFRAMER_DPDK_HASH_SOFTWARE}}),
			            out.params.hash);
		if (name == "packets")
			return number(value, {{"", 1}, {"k", 1e3}}, 32, 1u << 20, stage.max_packets);
		if (name == "bytes")
			return number(value, {{"", 1}, {"k", 1024}, {"M", 1 << 20}, {"G", 1 << 30}}, 1,
			              1ull << 40, stage.max_bytes);
		if (name == "burst")
			return number(value, {{"", 1}}, 1, 1u << 20, stage.max_burst);
		if (name == "lookahead")
			return number(value, {{"", 1}}, 0, 128, stage.lookahead);
		if (name == "bypass")
			return word(bits(value, {{"syn", REFRAMER_BYPASS_SYN},
			                         {"new", REFRAMER_BYPASS_NEW_FLOW},
			                         {"ef", REFRAMER_BYPASS_DSCP_EF},
			                         {"ect1", REFRAMER_BYPASS_ECT1},
			                         {"dns", REFRAMER_BYPASS_DNS}}),
			            stage.bypass);
		if (name == "early")
			return word(bits(value, {{"fin", REFRAMER_EARLY_FIN},
			                         {"rst", REFRAMER_EARLY_RST},
			                         {"psh", REFRAMER_EARLY_PSH}}),
			            stage.early);
		if (name == "ports")
			return set_ports(value);
		return std::nullopt;
	}

	bool set_flag(std::string_view name)
	{
		if (name == "repair")
			out.params.stage.options |= REFRAMER_OPT_TCP_REPAIR;
		else if (name == "thin")
			out.params.stage.options |= REFRAMER_OPT_ACK_THINNING;
		else if (name == "quiet")
			out.quiet = true;
		else
			return false;
		return true;
	}

private:
	template <typename T>
	static bool number(std::string_view text,
	                   std::initializer_list<std::pair<std::string_view, double>> units,
	                   uint64_t low, uint64_t high, T &to)
	{
		const auto value = quantity(text, units, double(high));
		if (!value || *value < low)
			return false;
		to = T(*value);
		return true;
	}
	static bool word(std::optional<uint32_t> value, uint32_t &to)
	{
		if (value)
			to = *value;
		return value.has_value();
	}
	bool set_ports(std::string_view text)
	{
		out.ports.clear();
		for (const std::string_view part : split(text, '+')) {
			uint16_t port = 0;
			const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), port);
			if (error != std::errc() || end != part.data() + part.size())
				return false;
			out.ports.push_back(port);
		}
		return true;
	}
};

} // namespace

// "'a'..." (gcc 12 warns of the operators + for no reason)
static std::string quoted(std::string_view word, std::string_view rest)
{
	std::string text(1, '\'');
	text.append(word).append(1, '\'').append(rest);
	return text;
}

bool PreloadOptions::takes(uint16_t port) const
{
	return !off && (ports.empty() || std::find(ports.begin(), ports.end(), port) != ports.end());
}

std::string parse_preload(const std::string &text, PreloadOptions &out)
{
	out = PreloadOptions{};
	reframer_dpdk_default_params(&out.params);
	if (text.empty())
		return "";
	if (text == "off") {
		out.off = true;
		return "";
	}
	Parser parser{out};
	std::vector<std::string> seen;
	for (const std::string_view item : split(text, ',')) {
		const std::string name(item.substr(0, item.find('=')));
		if (std::find(seen.begin(), seen.end(), name) != seen.end())
			return quoted(name, " is given twice");
		seen.push_back(name);
		if (item.find('=') == item.npos) {
			if (!parser.set_flag(item))
				return quoted(name, " is not known, or lacks its value");
			continue;
		}
		const std::string_view value = item.substr(item.find('=') + 1);
		const auto good = parser.set(name, value);
		if (!good)
			return quoted(name, " is not known");
		if (!*good)
			return quoted(value, " is no value of ").append(name);
	}
	return "";
}

} // namespace reframer::dpdk
