#include "lab/linux/segments.hpp"

#include "packet/bytes.hpp"
#include "packet/checksum.hpp"

#include <cstring>

namespace reframer::lab {

namespace {

constexpr uint32_t ip_at = 14, tcp_at = 34, checksum_at = tcp_at + 16, options_at = 54;
constexpr uint32_t stamp_at = SegmentSpec::header_bytes;
constexpr uint16_t server_port = 80;

void put_checksum(uint8_t *frame, uint64_t sum)
{
	packet::put_be16(frame + checksum_at,
	                 packet::swap16(static_cast<uint16_t>(~packet::checksum_fold(sum))));
}

} // namespace

Segments::Segments(const SegmentSpec &spec, uint32_t room)
	: payload_(spec.payload), offloaded_(spec.offloaded),
	  zeros_(spec.payload - SegmentSpec::stamp_bytes), flows_(spec.flows), headers_(room),
	  sums_(room), pieces_(3 * room), messages_(room)
{
	offload_.flags = OffloadHeader::needs_checksum;
	offload_.checksum_start = tcp_at;
	offload_.checksum_offset = checksum_at - tcp_at;
	using packet::put_be16, packet::put_be32;
	for (uint32_t f = 0; f < spec.flows; f++) {
		Flow &flow = flows_[f];
		uint8_t *p = flow.header.data();
		std::memset(p, 0, flow.header.size());
		std::memcpy(p, spec.destination_mac, 6);
		p[6] = 2; // a local address
		put_be16(p + 12, 0x0800);
		uint8_t *ip = p + ip_at, *tcp = p + tcp_at, *options = p + options_at;
		ip[0] = 0x45;
		put_be16(ip + 2, static_cast<uint16_t>(spec.frame_bytes() - ip_at));
		put_be16(ip + 6, 0x4000); // not to be fragmented: the id may stay
		ip[8] = 64;
		ip[9] = 6;
		put_be32(ip + 12, spec.source);
		put_be32(ip + 16, spec.destination);
		put_be16(ip + 10, packet::checksum(ip, 20));
		put_be16(tcp, static_cast<uint16_t>(first_port + f));
		put_be16(tcp + 2, server_port);
		put_be32(tcp + 8, 1); // acknowledges
		tcp[12] = 8 << 4;     // words of header
		tcp[13] = 0x10;       // ACK alone: PSH would end an aggregate
		put_be16(tcp + 14, 512);
		options[0] = options[1] = 1;
		options[2] = 8; // timestamps
		options[3] = 10;
		put_be32(options + 4, 1);
		put_be32(options + 8, 1);

		uint8_t pseudo[12] = {};
		std::memcpy(pseudo, ip + 12, 8);
		pseudo[9] = 6;
		put_be16(pseudo + 10, static_cast<uint16_t>(32 + spec.payload));
		flow.sum = packet::checksum_add(0, pseudo, 12);
		if (offloaded_)
			packet::put_be16(p + checksum_at, packet::swap16(packet::checksum_fold(flow.sum)));
		else
			flow.sum = packet::checksum_add(flow.sum, tcp, 32);
		flow.sequence = first_sequence(f);
	}
	for (uint32_t i = 0; i < room; i++) {
		const size_t first = 3 * i;
		pieces_[first] = {&offload_, sizeof(offload_)};
		pieces_[first + 1] = {headers_[i].data(), headers_[i].size()};
		pieces_[first + 2] = {zeros_.data(), zeros_.size()};
		messages_[i] = {};
		messages_[i].msg_hdr.msg_iov = &pieces_[first + (offloaded_ ? 0 : 1)];
		messages_[i].msg_hdr.msg_iovlen = offloaded_ ? 3 : 2;
	}
}

void Segments::write(uint32_t slot, uint32_t f)
{
	Flow &flow = flows_[f];
	uint8_t *p = headers_[slot].data();
	std::memcpy(p, flow.header.data(), flow.header.size());
	packet::put_be32(p + tcp_at + 4, flow.sequence);
	if (!offloaded_) {
		sums_[slot] = packet::checksum_add(flow.sum, p + tcp_at + 4, 4);
		put_checksum(p, sums_[slot]);
	}
	flow.sequence += payload_;
}

void Segments::stamp(uint32_t slot, uint64_t now_ns)
{
	uint8_t *p = headers_[slot].data();
	std::memcpy(p + stamp_at, &now_ns, sizeof(now_ns));
	if (!offloaded_)
		put_checksum(p, packet::checksum_add(sums_[slot], p + stamp_at, sizeof(now_ns)));
}

} // namespace reframer::lab
