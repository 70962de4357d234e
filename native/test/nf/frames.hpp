// Frames for tests of the chain: built here, checked here, with sums computed from scratch.
#pragma once

#include "nf/mbuf.hpp"
#include "nf/prefixes.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

namespace frames {

struct Flow {
	uint32_t source, destination;
	uint16_t source_port, destination_port;
	uint8_t protocol;
	uint8_t vlans = 0;
	uint8_t options = 0; // words of IP options
	uint8_t ttl = 64;
	bool udp_checksum = true;
};

inline uint32_t get16(const uint8_t *p)
{
	return static_cast<uint32_t>(p[0] << 8 | p[1]);
}
inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}
inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = static_cast<uint8_t>(v >> 8);
	p[1] = static_cast<uint8_t>(v);
}

inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

inline uint32_t sum(const uint8_t *p, size_t n, uint32_t s = 0)
{
	for (size_t i = 0; i + 1 < n; i += 2)
		s += static_cast<uint32_t>(p[i] << 8 | p[i + 1]);
	if (n & 1)
		s += static_cast<uint32_t>(p[n - 1] << 8);
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

// Sum over pseudo header and segment; 0xffff where the checksum is right.
inline uint32_t l4_sum(const uint8_t *ip, size_t header, size_t l4_bytes)
{
	uint8_t pseudo[12];
	std::memcpy(pseudo, ip + 12, 8);
	pseudo[8] = 0;
	pseudo[9] = ip[9];
	put16(pseudo + 10, static_cast<uint32_t>(l4_bytes));
	return sum(ip + header, l4_bytes, sum(pseudo, 12));
}

inline std::vector<uint8_t> build(const Flow &f, size_t payload, uint8_t fill)
{
	size_t l3 = 14 + 4u * f.vlans, header = 20 + 4u * f.options;
	size_t l4_header = f.protocol == 6 ? 20 : 8;
	std::vector<uint8_t> p(l3 + header + l4_header + payload, fill);
	for (size_t i = 0; i < 12; i++)
		p[i] = static_cast<uint8_t>(0xa0 + i);
	for (size_t v = 0; v < f.vlans; v++) {
		put16(&p[12 + 4 * v], v + 1 < f.vlans ? 0x88a8 : 0x8100);
		put16(&p[14 + 4 * v], 100 + static_cast<uint32_t>(v));
	}
	put16(&p[l3 - 2], 0x0800);
	uint8_t *ip = &p[l3];
	std::memset(ip, 0, header);
	ip[0] = static_cast<uint8_t>(0x40 | header / 4);
	std::memset(ip + 20, 1, header - 20); // NOP options
	put16(ip + 2, static_cast<uint32_t>(header + l4_header + payload));
	ip[8] = f.ttl;
	ip[9] = f.protocol;
	put32(ip + 12, f.source);
	put32(ip + 16, f.destination);
	put16(ip + 10, ~sum(ip, header));
	uint8_t *l4 = ip + header;
	std::memset(l4, 0, l4_header);
	put16(l4, f.source_port);
	put16(l4 + 2, f.destination_port);
	size_t l4_bytes = l4_header + payload;
	size_t field = 16;
	if (f.protocol == 6) {
		l4[12] = 0x50;
		l4[13] = 0x10;
	} else {
		field = 6;
		put16(l4 + 4, static_cast<uint32_t>(l4_bytes));
	}
	if (f.protocol == 6 || (f.protocol == 17 && f.udp_checksum)) {
		uint32_t check = ~l4_sum(ip, header, l4_bytes) & 0xffff;
		put16(l4 + field, f.protocol == 17 && check == 0 ? 0xffff : check);
	}
	return p;
}

// An ICMP error from `sender` to `receiver` that quotes the first bytes of a frame built here.
inline std::vector<uint8_t> build_error(uint32_t sender, uint32_t receiver,
                                        const std::vector<uint8_t> &about, size_t quote,
                                        uint8_t type = 3)
{
	Flow f{};
	f.source = sender;
	f.destination = receiver;
	f.protocol = 1;
	auto p = build(f, std::min(quote, about.size() - 14), 0);
	uint8_t *icmp = &p[34];
	std::memset(icmp, 0, 8);
	icmp[0] = type;
	icmp[1] = 1;
	std::memcpy(icmp + 8, &about[14], p.size() - 42);
	put16(icmp + 2, ~sum(icmp, p.size() - 34));
	return p;
}

// Buffers at the stride of a real pool.
class Pool {
public:
	explicit Pool(size_t n) : memory_(new Line[n * nf::stride / 64 + 1]()), n_(n) {}
	using nf = reframer::nf::Mbuf;
	nf *at(size_t i) { return reinterpret_cast<nf *>(memory_.get() + i * nf::stride / 64); }
	nf *load(size_t i, const std::vector<uint8_t> &frame)
	{
		nf *m = at(i);
		m->captured = m->wire = static_cast<uint32_t>(frame.size());
		std::memcpy(m->data(), frame.data(), frame.size());
		return m;
	}
	size_t size() const { return n_; }

private:
	struct alignas(64) Line {
		uint8_t bytes[64];
	};
	std::unique_ptr<Line[]> memory_;
	size_t n_;
};

} // namespace frames
