#include "packet/checksum.hpp"

#include "support/packet_builder.hpp"
#include "support/seed.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace reframer::packet;
using namespace reframer::test;

namespace {

// Word by word, as RFC 791 words it.
uint16_t plain(const Bytes &bytes)
{
	uint32_t sum = 0;
	for (size_t i = 0; i < bytes.size(); i++)
		sum += i % 2 ? bytes[i] : static_cast<uint32_t>(bytes[i]) << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return static_cast<uint16_t>(~sum);
}

Bytes random_bytes(std::mt19937_64 &random, size_t size)
{
	Bytes bytes(size);
	for (uint8_t &byte : bytes)
		byte = static_cast<uint8_t>(random());
	return bytes;
}

// 0 and 0xffff are one value in one's complement.
bool same(uint16_t a, uint16_t b)
{
	return a == b || (a % 0xffff == 0 && b % 0xffff == 0);
}

} // namespace

TEST_CASE("the checksum of every length and alignment is that of the definition")
{
	std::mt19937_64 random(seed_for("checksum", 1071));
	for (size_t size = 0; size < 300; size++) {
		const Bytes bytes = random_bytes(random, size + 3);
		for (size_t offset = 0; offset < 3; offset++) {
			const Bytes part(bytes.begin() + static_cast<long>(offset),
			                 bytes.begin() + static_cast<long>(offset + size));
			CHECK(checksum(bytes.data() + offset, size) == plain(part));
		}
	}
	CHECK(checksum(Bytes(65536, 0xff).data(), 65536) == 0);
}

TEST_CASE("a published IPv4 header")
{
	// RFC 1071's bytes and sum, section 3: 0001 f203 f4f5 f6f7 sums to ddf2.
	const Bytes bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	CHECK(checksum(bytes.data(), bytes.size()) == static_cast<uint16_t>(~0xddf2));
}

TEST_CASE("segments with their pseudo-header verify, over IPv4 and IPv6")
{
	std::mt19937_64 random(seed_for("checksum segments", 768));
	for (size_t size = 0; size < 100; size++) {
		const Bytes payload = random_bytes(random, size);
		for (const Segment &s : {tcp({.payload = payload}), udp({.payload = payload})}) {
			const Bytes v4 = ipv4({.options = Bytes(8, 1)}, s), v6 = ipv6({}, s);
			CHECK(checksum_ipv4(v4.data()) == 0);
			CHECK(same(checksum_l4(v4.data(), s.protocol, v4.data() + 28,
			                       static_cast<uint32_t>(v4.size() - 28)),
			           0));
			CHECK(same(checksum_l4(v6.data(), s.protocol, v6.data() + 40,
			                       static_cast<uint32_t>(v6.size() - 40)),
			           0));
			Bytes pseudo = join({Bytes(v4.begin() + 12, v4.begin() + 20),
			                     {0, s.protocol},
			                     be16_bytes(static_cast<uint32_t>(s.bytes.size())),
			                     s.bytes});
			CHECK(checksum_l4(v4.data(), s.protocol, s.bytes.data(),
			                  static_cast<uint32_t>(s.bytes.size())) == plain(pseudo));
		}
	}
}

TEST_CASE("an updated checksum equals a recomputed one")
{
	std::mt19937_64 random(seed_for("checksum updates", 1624));
	for (int round = 0; round < 20000; round++) {
		Bytes bytes = random_bytes(random, 20);
		if (round % 10 == 0) // the corner that RFC 1624 corrects: sums of all ones
			bytes = Bytes(20, round % 20 ? 0xff : 0);
		put_be16(&bytes[10], 0);
		const uint16_t before = checksum(bytes.data(), 20);
		const uint32_t extreme = round % 2 ? 0 : 0xffffffff;
		const uint32_t value = round % 3 ? static_cast<uint32_t>(random()) : extreme;
		const uint16_t old16 = be16(&bytes[4]);
		put_be16(&bytes[4], static_cast<uint16_t>(value));
		const uint16_t middle = checksum(bytes.data(), 20);
		CHECK(same(checksum_update16(before, old16, static_cast<uint16_t>(value)), middle));
		const uint32_t old32 = be32(&bytes[12]);
		put_be32(&bytes[12], value);
		CHECK(same(checksum_update32(middle, old32, value), checksum(bytes.data(), 20)));
		// What a receiver checks: with the updated field in place everything sums to zero.
		put_be16(&bytes[10], checksum_update32(middle, old32, value));
		CHECK(same(checksum(bytes.data(), 20), 0));
	}
	// RFC 1624, section 4.
	CHECK(checksum_update16(0xdd2f, 0x5555, 0x3285) == 0x0000);
}
