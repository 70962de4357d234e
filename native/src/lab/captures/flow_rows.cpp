#include "lab/captures/flow_rows.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace reframer::lab {
namespace {

constexpr uint8_t icmp = 1, tcp = 6, udp = 17, icmp6 = 58;

template <typename Number> void append_number(std::string &to, Number value)
{
	char text[32];
	const auto [end, error] = std::to_chars(text, text + sizeof(text), value);
	to.append(text, error == std::errc{} ? end : text);
}

void append_address(std::string &to, const Connection &c, const uint8_t *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	inet_ntop(c.version == 4 ? AF_INET : AF_INET6, c.version == 4 ? address + 12 : address, text,
	          sizeof(text));
	to += text;
}

void append_end(std::string &to, const Connection &c, const uint8_t *address, uint16_t port)
{
	if (c.protocol != tcp && c.protocol != udp && !port)
		return append_address(to, c, address);
	if (c.version != 4)
		to += '[';
	append_address(to, c, address);
	if (c.version != 4)
		to += ']';
	to += ':';
	append_number(to, port);
}

// Null: it has a number only.
const char *protocol_name(uint8_t protocol)
{
	switch (protocol) {
	case tcp:
		return "tcp";
	case udp:
		return "udp";
	case icmp:
	case icmp6:
		return "icmp";
	default:
		return nullptr;
	}
}

constexpr const char *single = "single", *answered = "answered";

const char *state_name(const Connection &c)
{
	if (c.protocol == tcp)
		return conntrack::tcp_state_name(c.state);
	return c.packets[1] ? answered : single;
}

double seconds(uint64_t ns)
{
	return double(static_cast<int64_t>(ns)) / 1e9;
}

uint64_t key_of(const Connection &c, FlowOrder order)
{
	switch (order) {
	case FlowOrder::bytes:
		return c.bytes[0] + c.bytes[1];
	case FlowOrder::packets:
		return c.packets[0] + c.packets[1];
	case FlowOrder::duration:
		return c.last_ns - c.first_ns;
	case FlowOrder::start:
		break;
	}
	return 0;
}

bool matches(const Connection &c, const FlowFilter &filter, const uint8_t *address)
{
	const char *name = protocol_name(c.protocol);
	if (!filter.protocol.empty() && filter.protocol != std::to_string(c.protocol) &&
	    (!name || filter.protocol != name))
		return false;
	if (!filter.state.empty() && filter.state != state_name(c))
		return false;
	if (filter.port && c.source_port != filter.port && c.destination_port != filter.port)
		return false;
	return !address || std::memcmp(c.source, address, 16) == 0 ||
	       std::memcmp(c.destination, address, 16) == 0;
}

// IPv4 as ::ffff:a.b.c.d.
bool read_address(const std::string &text, uint8_t (&to)[16])
{
	constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	std::copy(std::begin(mapped), std::end(mapped), to);
	return inet_pton(AF_INET, text.c_str(), to + 12) == 1 ||
	       inet_pton(AF_INET6, text.c_str(), to) == 1;
}

} // namespace

bool is_address(const std::string &text)
{
	uint8_t bytes[16];
	return read_address(text, bytes);
}

bool is_state(const std::string &name)
{
	for (unsigned i = 0; i < conntrack::nb_tcp_states; i++)
		if (name == conntrack::tcp_state_name(static_cast<conntrack::TcpState>(i)))
			return true;
	return name == single || name == answered;
}

bool is_protocol(const std::string &name)
{
	for (uint32_t number = 0; number < 256; number++) {
		const char *known = protocol_name(static_cast<uint8_t>(number));
		if (name == std::to_string(number) || (known && name == known))
			return true;
	}
	return false;
}

uint64_t show_flows(const ConnectionTracker &tracker, const FlowFilter &filter, FlowOrder order,
                    uint64_t top, const std::function<void(const Connection &)> &show)
{
	uint8_t bytes[16];
	const uint8_t *const address = read_address(filter.address, bytes) ? bytes : nullptr;
	const uint64_t most = top == 0 ? UINT64_MAX : top;
	uint64_t shown = 0;
	if (order == FlowOrder::start) {
		for (uint32_t i = 0; i < tracker.size() && shown < most; i++) {
			const Connection c = tracker.connection(i);
			if (!matches(c, filter, address))
				continue;
			show(c);
			shown++;
		}
		return shown;
	}
	// The keys lie beside the indexes: to fetch them anew for each comparison would take minutes. Of
	// more than are asked for the last one leaves, so that few are kept of millions.
	struct Ranked {
		uint64_t key;
		uint32_t index;
	};
	const auto before = [](const Ranked &a, const Ranked &b) {
		return a.key != b.key ? a.key > b.key : a.index < b.index;
	};
	std::vector<Ranked> ranked;
	for (uint32_t i = 0; i < tracker.size(); i++) {
		const Connection c = tracker.connection(i);
		if (!matches(c, filter, address))
			continue;
		const Ranked one{key_of(c, order), i};
		if (ranked.size() == most) {
			if (!before(one, ranked.front()))
				continue;
			std::pop_heap(ranked.begin(), ranked.end(), before);
			ranked.back() = one;
		} else {
			ranked.push_back(one);
		}
		if (top != 0)
			std::push_heap(ranked.begin(), ranked.end(), before);
	}
	std::sort(ranked.begin(), ranked.end(), before);
	for (const Ranked &one : ranked)
		show(tracker.connection(one.index));
	return ranked.size();
}

void append_json(std::string &to, const Connection &c, uint64_t origin_ns)
{
	to += "{\"protocol\":";
	if (const char *name = protocol_name(c.protocol))
		to.append("\"").append(name).append("\"");
	else
		append_number(to, unsigned{c.protocol});
	to += ",\"a\":\"";
	append_end(to, c, c.source, c.source_port);
	to += "\",\"b\":\"";
	append_end(to, c, c.destination, c.destination_port);
	to.append("\",\"state\":\"").append(state_name(c));
	to += "\",\"packetsAB\":";
	append_number(to, c.packets[0]);
	to += ",\"bytesAB\":";
	append_number(to, c.bytes[0]);
	to += ",\"packetsBA\":";
	append_number(to, c.packets[1]);
	to += ",\"bytesBA\":";
	append_number(to, c.bytes[1]);
	to += ",\"start\":";
	append_number(to, seconds(c.first_ns - origin_ns));
	to += ",\"duration\":";
	append_number(to, seconds(c.last_ns - c.first_ns));
	to += '}';
}

void append_csv(std::string &to, const Connection &c, uint64_t origin_ns)
{
	if (const char *name = protocol_name(c.protocol))
		to += name;
	else
		append_number(to, unsigned{c.protocol});
	to += ',';
	append_end(to, c, c.source, c.source_port);
	to += ',';
	append_end(to, c, c.destination, c.destination_port);
	to.append(",").append(state_name(c));
	for (const uint64_t number : {c.packets[0], c.bytes[0], c.packets[1], c.bytes[1]}) {
		to += ',';
		append_number(to, number);
	}
	to += ',';
	append_number(to, seconds(c.first_ns - origin_ns));
	to += ',';
	append_number(to, seconds(c.last_ns - c.first_ns));
	to += '\n';
}

} // namespace reframer::lab
