// Connections as text, the ones that are asked for, in the order that is asked for.
#pragma once

#include "lab/captures/connections.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace reframer::lab {

enum class FlowOrder { start, bytes, packets, duration };

// What is absent matches everything.
struct FlowFilter {
	std::string protocol, state; // as they are printed
	std::string address;         // of either end
	uint16_t port = 0;           // of either end
};

// Whether there is a state, and a protocol, that is printed so.
bool is_state(const std::string &name);
bool is_protocol(const std::string &name);
// Whether it is an IPv4 or IPv6 address as text.
bool is_address(const std::string &text);

// Calls `show(connection)` for those that match: all in order of their beginning, or the first `top`
// (0: all) with most of what `order` says. @return how many
uint64_t show_flows(const ConnectionTracker &tracker, const FlowFilter &filter, FlowOrder order,
                    uint64_t top, const std::function<void(const Connection &)> &show);

// {"protocol":...}, without a line's end. By hand: ten million of them through a tree of values would
// take a minute.
void append_json(std::string &to, const Connection &c, uint64_t origin_ns);
inline constexpr const char *csv_head =
	"protocol,a,b,state,packetsAB,bytesAB,packetsBA,bytesBA,start,duration\n";
void append_csv(std::string &to, const Connection &c, uint64_t origin_ns);

} // namespace reframer::lab
