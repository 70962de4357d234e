#include "packet/toeplitz.hpp"

#include "support/packet_builder.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace reframer::packet;
using namespace reframer::test;

namespace {

struct Vector {
	const char *destination;
	uint16_t destination_port;
	const char *source;
	uint16_t source_port;
	uint32_t addresses_only;
	uint32_t with_ports;
};

// "Verifying the RSS Hash Calculation", Microsoft's driver documentation for NDIS.
constexpr Vector vectors[] = {
	{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
	{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
	{"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
	{"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
	{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
	{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
	{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
	{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x4b61e985,
     0x02d1feef},
};

} // namespace

TEST_CASE("the vendor's verification vectors")
{
	const Toeplitz fast(toeplitz_key_microsoft);
	for (const Vector &v : vectors) {
		CAPTURE(v.source);
		const Bytes addresses = join({address_bytes(v.source), address_bytes(v.destination)});
		const Bytes ports = join({be16_bytes(v.source_port), be16_bytes(v.destination_port)});
		const Bytes all = join({addresses, ports});
		CHECK(toeplitz_reference(toeplitz_key_microsoft, addresses) == v.addresses_only);
		CHECK(toeplitz_reference(toeplitz_key_microsoft, all) == v.with_ports);
		CHECK(fast(std::span<const uint8_t>(addresses)) == v.addresses_only);
		CHECK(fast(std::span<const uint8_t>(all)) == v.with_ports);
		if (addresses.size() == 8)
			CHECK(fast.ipv4(addresses.data(), ports.data()) == v.with_ports);

		const Segment segment = tcp({.source = v.source_port, .destination = v.destination_port});
		const Bytes frame =
			addresses.size() == 8
				? ethernet(type_ipv4,
		                   ipv4({.source = v.source, .destination = v.destination}, segment))
				: ethernet(type_ipv6,
		                   ipv6({.source = v.source, .destination = v.destination}, segment));
		const auto size = static_cast<uint32_t>(frame.size());
		const Headers h = parse(frame.data(), size, size, LinkType::ethernet, Depth::outer);
		CHECK(fast(flow_key_of(h, frame.data())) == v.with_ports);
	}
}

TEST_CASE("the table gives what the definition gives, for any key and length")
{
	std::mt19937_64 random(seed_for("toeplitz", 2012));
	for (int round = 0; round < 50; round++) {
		ToeplitzKey key;
		for (uint8_t &byte : key)
			byte = static_cast<uint8_t>(random());
		const Toeplitz fast(key);
		for (size_t size = 0; size <= toeplitz_input_max; size++) {
			Bytes input(size);
			for (uint8_t &byte : input)
				byte = static_cast<uint8_t>(random());
			CHECK(fast(std::span<const uint8_t>(input)) == toeplitz_reference(key, input));
		}
	}
}

TEST_CASE("the symmetric key gives both directions one hash")
{
	const Toeplitz symmetric_hash(toeplitz_key_symmetric), other(toeplitz_key_microsoft);
	for (const Vector &v : vectors) {
		const Bytes there = join({address_bytes(v.source), address_bytes(v.destination),
		                          be16_bytes(v.source_port), be16_bytes(v.destination_port)});
		const Bytes back = join({address_bytes(v.destination), address_bytes(v.source),
		                         be16_bytes(v.destination_port), be16_bytes(v.source_port)});
		CHECK(symmetric_hash(std::span<const uint8_t>(there)) ==
		      symmetric_hash(std::span<const uint8_t>(back)));
		CHECK(other(std::span<const uint8_t>(there)) != other(std::span<const uint8_t>(back)));
	}
}
