#include "lab/robustness/attack.hpp"

#include "jobs/job.hpp"
#include "packet/bytes.hpp"
#include "packet/parse.hpp"
#include "packet/toeplitz.hpp"
#include "traffic/capture.hpp"

#include <algorithm>
#include <cstring>
#include <span>

namespace reframer::lab {

namespace {

constexpr uint32_t server = 0xc0a80001;
constexpr size_t nb_crafted = 512;
constexpr size_t max_captured = 1u << 20;

using packet::put_be16;
using packet::put_be32;
using Frame = std::vector<uint8_t>;

Frame ethernet(uint16_t type)
{
	Frame f = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0, 0};
	put_be16(&f[12], type);
	return f;
}

void add_ipv4(Frame &f, uint8_t protocol, uint32_t source, uint32_t length)
{
	const size_t at = f.size();
	f.resize(at + 20);
	f[at] = 0x45;
	put_be16(&f[at + 2], length);
	f[at + 8] = 64;
	f[at + 9] = protocol;
	put_be32(&f[at + 12], source);
	put_be32(&f[at + 16], server);
}

void add_bytes(Frame &f, size_t n, uint8_t value = 0)
{
	f.insert(f.end(), n, value);
}

// IPv4 in IPv4, as deep as the parser goes and then some, with UDP inside.
Frame tunnels(std::mt19937_64 &random, uint32_t depth)
{
	Frame f = ethernet(0x0800);
	for (uint32_t d = 0; d < depth; d++)
		add_ipv4(f, d + 1 < depth ? 4 : 17, uint32_t(random()), (depth - d) * 20 + 8);
	add_bytes(f, 8, 9);
	return f;
}

// UDP port 4789 inside itself.
Frame vxlan_in_vxlan(std::mt19937_64 &random, uint32_t depth)
{
	Frame f = ethernet(0x0800);
	for (uint32_t d = 0; d < depth; d++) {
		add_ipv4(f, 17, uint32_t(random()), (depth - d) * 50);
		const size_t udp = f.size();
		add_bytes(f, 16);
		put_be16(&f[udp], 4000);
		put_be16(&f[udp + 2], 4789);
		put_be16(&f[udp + 4], (depth - d) * 50 - 20);
		f[udp + 8] = 8; // the VNI is valid
		const Frame inner = ethernet(0x0800);
		f.insert(f.end(), inner.begin(), inner.end());
	}
	add_ipv4(f, 17, uint32_t(random()), 28);
	add_bytes(f, 8, 1);
	return f;
}

Frame extensions(std::mt19937_64 &random, uint32_t count)
{
	Frame f = ethernet(0x86dd);
	const size_t ip = f.size();
	add_bytes(f, 40);
	f[ip] = 0x60;
	put_be16(&f[ip + 4], count * 8 + 8);
	f[ip + 7] = 64;
	for (size_t i = 8; i < 24; i++)
		f[ip + i] = uint8_t(random());
	constexpr uint8_t kinds[] = {0, 60, 43, 135};
	f[ip + 6] = kinds[random() % 4];
	for (uint32_t i = 0; i < count; i++) {
		f.push_back(i + 1 < count ? kinds[random() % 4] : 17);
		add_bytes(f, 7);
	}
	add_bytes(f, 8, 7);
	return f;
}

// A sound frame with a few bytes of its headers changed, perhaps cut short.
Frame lie(std::mt19937_64 &random, Frame f)
{
	for (uint64_t n = 1 + random() % 4; n > 0; n--)
		f[12 + random() % (f.size() - 12)] = uint8_t(random());
	if (random() % 3 == 0)
		f.resize(14 + random() % (f.size() - 14));
	return f;
}

std::vector<Frame> crafted_frames(std::mt19937_64 &random)
{
	std::vector<Frame> frames;
	while (frames.size() < nb_crafted) {
		Frame f;
		switch (random() % 3) {
		case 0:
			f = tunnels(random, 1 + uint32_t(random() % 10));
			break;
		case 1:
			f = vxlan_in_vxlan(random, 1 + uint32_t(random() % 8));
			break;
		default:
			f = extensions(random, 1 + uint32_t(random() % 60));
		}
		if (random() % 2)
			f = lie(random, f);
		f.resize(std::min<size_t>(f.size(), attack_frame_room));
		frames.push_back(f);
	}
	return frames;
}

} // namespace

void write_plain(uint8_t *frame, uint32_t source, uint32_t destination, uint16_t source_port,
                 uint16_t destination_port, uint8_t protocol, uint8_t tcp_flags)
{
	std::memset(frame, 0, plain_length);
	const Frame link = ethernet(0x0800);
	std::copy(link.begin(), link.end(), frame);
	uint8_t *ip = frame + 14;
	ip[0] = 0x45;
	put_be16(ip + 2, plain_length - 14);
	ip[8] = 64;
	ip[9] = protocol;
	put_be32(ip + 12, source);
	put_be32(ip + 16, destination);
	put_be16(ip + 20, source_port);
	put_be16(ip + 22, destination_port);
	if (protocol == 6) {
		ip[32] = 5 << 4;
		ip[33] = tcp_flags;
	} else {
		put_be16(ip + 24, plain_length - 34);
	}
}

Attacker::Attacker(Attack kind, uint64_t seed, uint32_t nb_drip_flows, const std::string &capture)
	: kind_(kind), random_(seed), nb_drip_flows_(nb_drip_flows)
{
	if (kind == Attack::crafted)
		frames_ = crafted_frames(random_);
	if (kind == Attack::capture)
		read(capture);
}

void Attacker::read(const std::string &file)
{
	const packet::Toeplitz toeplitz(packet::toeplitz_key_microsoft);
	const auto reader = traffic::open_capture(file);
	std::array<packet::Frame, 256> batch;
	while (const size_t n = reader->read(batch.data(), batch.size())) {
		for (const packet::Frame &f : std::span(batch.data(), n)) {
			if (f.link != packet::LinkType::ethernet || f.captured < 14)
				continue;
			rss_.push_back(toeplitz(packet::flow_key_of(packet::parse(f), f.data)));
			frames_.emplace_back(f.data, f.data + std::min(f.captured, attack_frame_room));
		}
		if (frames_.size() > max_captured)
			throw JobError("bad-spec",
			               file + " has more than " + std::to_string(max_captured) +
			                   " frames, too many to be an attack's pattern",
			               2);
	}
	if (frames_.empty())
		throw JobError("bad-spec", file + " has no Ethernet frame", 2);
}

void Attacker::next(AttackFrame &out)
{
	const uint32_t n = number_++;
	const auto source = uint32_t(random_()), ports = uint32_t(random_());
	out.length = plain_length;
	out.rss = uint32_t(random_());
	// Each packet a flow to the check of order; those of so long ago have left.
	out.flow = n & 0xfffff;
	switch (kind_) {
	case Attack::none:
	case Attack::syn_flood:
		write_plain(out.bytes.data(), source, server, uint16_t(ports), 443, 6, 0x02);
		break;
	case Attack::one_packet:
	case Attack::same_hash:
	case Attack::same_set:
		write_plain(out.bytes.data(), source, server, uint16_t(ports), uint16_t(ports >> 16), 17,
		            0);
		if (kind_ == Attack::same_hash)
			out.rss = 0x5eed5eed;
		if (kind_ == Attack::same_set)
			out.rss = (out.rss & 0xfff00000) | 0x5eed;
		break;
	case Attack::elephant:
		out.flow = 0;
		out.rss = 0x0e1e9a47;
		write_plain(out.bytes.data(), 0x0a090909, server, 9, 443, 6, 0x10);
		break;
	case Attack::fragments:
		write_plain(out.bytes.data(), source, server, uint16_t(ports), 53, 17, 0);
		put_be16(out.bytes.data() + 18, ports >> 16);
		put_be16(out.bytes.data() + 20, 0x2000); // more fragments
		break;
	case Attack::crafted: {
		const Frame &f = frames_[n % frames_.size()];
		out.length = uint32_t(f.size());
		out.flow = n % uint32_t(frames_.size());
		// A NIC that can make nothing of a packet gives it one hash.
		out.rss = 0;
		std::copy(f.begin(), f.end(), out.bytes.begin());
		break;
	}
	case Attack::capture: {
		const Frame &f = frames_[n % frames_.size()];
		out.length = uint32_t(f.size());
		out.rss = rss_[n % frames_.size()];
		std::copy(f.begin(), f.end(), out.bytes.begin());
		break;
	}
	case Attack::drip:
		out.flow = n % nb_drip_flows_;
		out.rss = out.flow * 2654435761u;
		write_plain(out.bytes.data(), 0x0a800000 + out.flow, server, 7, 443, 6, 0x10);
		break;
	}
}

} // namespace reframer::lab
