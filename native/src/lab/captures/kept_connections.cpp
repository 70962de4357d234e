#include "lab/captures/kept_connections.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace reframer::lab {

using conntrack::TcpConnection;
using conntrack::TcpSegment;

namespace {

constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

uint32_t ipv4_of(const uint8_t *address)
{
	uint32_t value;
	std::memcpy(&value, address + 12, sizeof(value));
	return value;
}

void put_ipv4(uint8_t *address, uint32_t value)
{
	std::memcpy(address, mapped, sizeof(mapped));
	std::memcpy(address + 12, &value, sizeof(value));
}

} // namespace

uint32_t KeptConnections::begin(const Ends &ends, uint64_t first_ns)
{
	Kept c{};
	c.first_ns = first_ns;
	if (ends.version == 4) {
		c.source = ipv4_of(ends.source);
		c.destination = ipv4_of(ends.destination);
	} else {
		Pair pair;
		std::memcpy(pair.source, ends.source, 16);
		std::memcpy(pair.destination, ends.destination, 16);
		c.source = static_cast<uint32_t>(pairs_.add(pair));
		c.flags = Kept::ipv6;
	}
	c.source_port = ends.source_port;
	c.destination_port = ends.destination_port;
	c.protocol = ends.protocol;
	c.tcp = Kept::no_tcp;
	return static_cast<uint32_t>(kept_.add(c));
}

void KeptConnections::turn(uint32_t index)
{
	Kept &c = kept_[index];
	std::swap(c.source_port, c.destination_port);
	if (!c.has(Kept::ipv6))
		return std::swap(c.source, c.destination);
	Pair &pair = pairs_[c.source];
	std::swap_ranges(pair.source, pair.source + 16, pair.destination);
}

Connection KeptConnections::connection(uint32_t index) const
{
	const Kept &c = kept_[index];
	Connection out{};
	if (c.has(Kept::ipv6)) {
		std::memcpy(out.source, pairs_[c.source].source, 16);
		std::memcpy(out.destination, pairs_[c.source].destination, 16);
	} else {
		put_ipv4(out.source, c.source);
		put_ipv4(out.destination, c.destination);
	}
	out.source_port = c.source_port;
	out.destination_port = c.destination_port;
	out.protocol = c.protocol;
	out.version = c.has(Kept::ipv6) ? 6 : 4;
	for (const bool reply : {false, true}) {
		out.packets[reply] = packets(index, reply);
		out.bytes[reply] = bytes(index, reply);
	}
	out.first_ns = c.first_ns;
	out.last_ns = c.last_ns;
	out.state = c.state;
	return out;
}

KeptConnections::Wraps KeptConnections::wraps_of(uint32_t index) const
{
	if (wraps_.empty()) [[likely]]
		return {};
	const auto found = wraps_.find(index);
	return found == wraps_.end() ? Wraps{} : found->second;
}

uint64_t KeptConnections::packets(uint32_t index, bool reply) const
{
	return kept_[index].packets[reply] | uint64_t{wraps_of(index).packets[reply]} << 32;
}

uint64_t KeptConnections::bytes(uint32_t index, bool reply) const
{
	return kept_[index].bytes[reply] | uint64_t{wraps_of(index).bytes[reply]} << 32;
}

void KeptConnections::add(uint32_t index, bool reply, uint32_t packets, uint32_t bytes)
{
	Kept &c = kept_[index];
	if (__builtin_add_overflow(c.packets[reply], packets, &c.packets[reply])) [[unlikely]]
		wraps_[index].packets[reply]++;
	if (__builtin_add_overflow(c.bytes[reply], bytes, &c.bytes[reply])) [[unlikely]]
		wraps_[index].bytes[reply]++;
}

void KeptConnections::take_back(uint32_t index, bool reply, uint32_t packets, uint32_t bytes)
{
	Kept &c = kept_[index];
	if (__builtin_sub_overflow(c.packets[reply], packets, &c.packets[reply])) [[unlikely]]
		wraps_[index].packets[reply]--;
	if (__builtin_sub_overflow(c.bytes[reply], bytes, &c.bytes[reply])) [[unlikely]]
		wraps_[index].bytes[reply]--;
}

bool KeptConnections::is_reply(uint32_t index, const Ends &packet) const
{
	const Kept &c = kept_[index];
	if (c.source_port != packet.source_port)
		return true;
	return c.has(Kept::ipv6) ? std::memcmp(pairs_[c.source].source, packet.source, 16) != 0
	                         : c.source != ipv4_of(packet.source);
}

void KeptConnections::keep_segment(uint32_t index, const TcpSegment &segment)
{
	Kept &c = kept_[index];
	c.set(Kept::one_segment);
	if (free_segments_.empty()) {
		c.tcp = static_cast<uint32_t>(segments_.add(segment));
		return;
	}
	c.tcp = free_segments_.back();
	free_segments_.pop_back();
	segments_[c.tcp] = segment;
}

void KeptConnections::keep_part(uint32_t index, const TcpPart &part)
{
	kept_[index].tcp = static_cast<uint32_t>(parts_.add(part));
}

TcpPart &KeptConnections::part(uint32_t index)
{
	Kept &c = kept_[index];
	if (!c.has(Kept::one_segment))
		return parts_[c.tcp];
	// As ConnectionTracker::step_tcp() did when the segment came.
	const TcpSegment segment = segments_[c.tcp];
	free_segments_.push_back(c.tcp);
	TcpPart part;
	if (c.has(Kept::followed)) {
		part.tcp = TcpConnection(segment);
		part.tcp.add(segment, false);
	}
	c.syn_known = 0;
	note_sequences(c, part, segment, false);
	c.set(Kept::one_segment, false);
	keep_part(index, part);
	return parts_[c.tcp];
}

void KeptConnections::note_sequences(Kept &c, TcpPart &part, const TcpSegment &segment, bool reply)
{
	const auto note = [&](bool direction, uint32_t sequence) {
		const auto bit = static_cast<uint8_t>(1 << direction);
		if (!(c.syn_known & bit))
			part.syn_sequence[direction] = sequence;
		c.syn_known |= bit;
	};
	note(reply, segment.sequence - (segment.flags & TcpSegment::syn ? 0 : 1));
	if (segment.flags & TcpSegment::ack)
		note(!reply, segment.acknowledged - 1);
}

} // namespace reframer::lab
