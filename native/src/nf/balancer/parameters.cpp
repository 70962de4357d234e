#include "nf/balancer/parameters.hpp"

#include "api/sized.hpp"
#include "base/entropy.hpp"
#include "nf/balancer/address.hpp"
#include "nf/balancer/quic_ids.hpp"

#include <algorithm>
#include <bit>

namespace reframer::balance {

namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr uint32_t most_weight = 1000;
constexpr uint64_t longest_ns = 30 * 24 * 3600 * second;

// At least this many bits of the clock stay: four seconds of a kHz clock.
constexpr uint32_t least_low_bits = 12;

bool right(const balancer_params &p, api::Why &why)
{
	const Addresses service = Addresses::of(p.service, p.service6);
	if (!service.has_v4() && !service.has_v6() && !(p.flags & BALANCER_ANY_DESTINATION))
		return why.no("service is 0.0.0.0 and service6 ::, one must be what clients see");
	if (!why.within("max_servers", p.max_servers, 1, BALANCER_MAX_SERVERS) ||
	    !why.within("version_bits", p.version_bits, 2, 8) ||
	    !why.within("check_bits", p.check_bits, 0, 8) ||
	    !why.within("policy", p.policy, 0, BALANCER_CROSS_RSS) ||
	    !why.within("memory", p.memory, 0, BALANCER_FORGET) ||
	    !why.bits("flags", p.flags, BALANCER_ANY_DESTINATION | BALANCER_BOOK) ||
	    !why.within("flood_per_second", p.flood_per_second, 0, 1'000'000) ||
	    !why.within("max_connections", p.max_connections, 64, 1u << 26) ||
	    !why.within("opening_ns", p.opening_ns, second, longest_ns) ||
	    !why.within("established_ns", p.established_ns, second, longest_ns) ||
	    !why.within("closing_ns", p.closing_ns, second, longest_ns) ||
	    !why.within("udp_ns", p.udp_ns, second, longest_ns) ||
	    !why.within("quic_port", p.quic_port, 1, 65535) ||
	    !why.real("connection_load", p.connection_load, 0, 1e12))
		return false;
	const auto id_bits = static_cast<uint32_t>(std::bit_width(p.max_servers - 1));
	if (id_bits + p.version_bits + p.check_bits + least_low_bits > 32)
		return why.no("ids of %u bits, version_bits %u and check_bits %u are together more than %u",
		              id_bits, p.version_bits, p.check_bits, 32 - least_low_bits);
	const bool hashes =
		p.policy == BALANCER_MAGLEV || p.policy == BALANCER_RING || p.policy == BALANCER_HASH;
	if (p.memory == BALANCER_FORGET && !hashes)
		return why.no("memory is BALANCER_FORGET, where policy must be MAGLEV, RING or HASH");
	return true;
}

} // namespace

balancer_params default_params()
{
	balancer_params p = {};
	p.size = sizeof(p);
	p.max_servers = 256;
	p.version_bits = 3;
	p.flags = BALANCER_BOOK;
	p.flood_per_second = 1000;
	p.max_connections = 1u << 20;
	p.opening_ns = 30 * second;
	p.established_ns = 7440 * second;
	p.closing_ns = 120 * second;
	p.udp_ns = 120 * second;
	p.connection_load = 1;
	p.quic_port = 443;
	return p;
}

balancer_server default_server()
{
	balancer_server s = {};
	s.size = sizeof(s);
	s.weight = 1;
	return s;
}

bool read_params(const balancer_params *given, balancer_params &full, api::Why &why)
{
	full = default_params();
	if (!why.given("params", given))
		return false;
	if (!api::read_params(*given, full))
		return why.size(given->size, sizeof(full));
	if (!right(full, why))
		return false;
	if (std::all_of(full.key, full.key + sizeof(full.key), [](uint8_t b) { return b == 0; }) &&
	    !base::draw(full.key, sizeof(full.key)))
		return why.no("key is all zeros, and the kernel has no random numbers for one");
	return true;
}

balancer_quic default_quic()
{
	balancer_quic q = {};
	q.size = sizeof(q);
	q.server_id_length = 2;
	q.nonce_length = 6;
	q.length_encoded = 1;
	return q;
}

bool read_quic_config(const balancer_quic *given, balancer_quic &full)
{
	full = default_quic();
	return given && api::read_params(*given, full) && full.rotation < QuicIds::rotations &&
	       full.server_id_length >= 1 && full.nonce_length >= 4 && full.server_id_length <= 15 &&
	       full.nonce_length <= 18 && full.server_id_length + full.nonce_length <= 19 &&
	       full.length_encoded <= 1 && full.encrypted <= 1;
}

bool read_server(const balancer_server *given, balancer_server &full)
{
	full = default_server();
	return given && api::read_params(*given, full) && full.weight <= most_weight &&
	       full.clock <= BALANCER_CLOCK_DIFFERING;
}

} // namespace reframer::balance
