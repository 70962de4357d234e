// Traffic that leaves nothing to gain, or asks for trouble.
#include "traffic/generator.hpp"

namespace reframer::traffic {

namespace {

// What a link can bring at once, however low the mean.
constexpr uint64_t line_bps = 100000000000;
// Of a thousand packets of profile elephant.
constexpr uint32_t elephant_permille = 900;

} // namespace

size_t Generator::read_syn_flood(PacketMeta *out, size_t room)
{
	size_t n = 0;
	while (n < room && more()) {
		const uint64_t time = next_time();
		const uint32_t flow = static_cast<uint32_t>(produced_++ % params_.flows);
		const uint32_t hash = hash_of(flow, kind_tcp);
		if (mine(hash))
			out[n++] = {time,     flow,
			            hash,     static_cast<uint32_t>(mix64(flow)),
			            0,        static_cast<uint16_t>(params_.frame_length),
			            0,        tcp_syn,
			            kind_tcp, 0};
	}
	return n;
}

size_t Generator::read_elephant(PacketMeta *out, size_t room)
{
	size_t n = 0;
	while (n < room && more()) {
		const uint64_t time = next_time();
		const bool large = params_.flows == 1 || random_.below(1000) < elephant_permille;
		const uint32_t flow = large ? 0 : 1 + random_.below(params_.flows - 1);
		n += put_udp(out + n, time, flow, static_cast<uint32_t>(produced_++));
	}
	return n;
}

// Round r begins when the mean rate allows; in it the senders take turns, as a switch mixes them.
size_t Generator::read_incast(PacketMeta *out, size_t room)
{
	const uint64_t bits = uint64_t{params_.frame_length} * 8;
	const uint64_t a_round = uint64_t{params_.flows} * params_.interleave;
	const uint64_t link_bps = std::max(line_bps, params_.rate_bps);
	const auto ns = [&](uint64_t packets, uint64_t bps) {
		return static_cast<uint64_t>(static_cast<double>(packets * bits) * 1e9 /
		                             static_cast<double>(bps));
	};
	size_t n = 0;
	while (n < room && more()) {
		const uint64_t round = produced_ / a_round, place = produced_ % a_round;
		const uint64_t time = ns(round * a_round, params_.rate_bps) + ns(place, link_bps);
		n += put_udp(out + n, time, static_cast<uint32_t>(place % params_.flows),
		             static_cast<uint32_t>(produced_));
		produced_++;
	}
	return n;
}

} // namespace reframer::traffic
