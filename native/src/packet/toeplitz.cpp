#include "packet/toeplitz.hpp"

#include "packet/bytes.hpp"

#include <cstring>

namespace reframer::packet {

const ToeplitzKey toeplitz_key_microsoft = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
	0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
	0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

const ToeplitzKey toeplitz_key_symmetric = [] {
	ToeplitzKey key{};
	for (size_t i = 0; i < key.size(); i += 2) {
		key[i] = 0x6d;
		key[i + 1] = 0x5a;
	}
	return key;
}();

namespace {

// The 32 key bits that the input bit `bit` of byte `byte` selects; bit 0 is the most significant.
uint32_t window(const ToeplitzKey &key, size_t byte, unsigned bit)
{
	const uint64_t bits = static_cast<uint64_t>(be32(&key[byte])) << 8 | key[byte + 4];
	return static_cast<uint32_t>(bits >> (8 - bit));
}

} // namespace

uint32_t toeplitz_reference(const ToeplitzKey &key, std::span<const uint8_t> input)
{
	uint32_t hash = 0;
	for (size_t byte = 0; byte < input.size() && byte < toeplitz_input_max; byte++)
		for (unsigned bit = 0; bit < 8; bit++)
			if (input[byte] & 0x80u >> bit)
				hash ^= window(key, byte, bit);
	return hash;
}

Toeplitz::Toeplitz(const ToeplitzKey &key)
{
	for (size_t byte = 0; byte < toeplitz_input_max; byte++) {
		table[byte][0] = 0;
		// Each value is one with fewer bits, already there, plus its lowest bit's window.
		for (unsigned value = 1; value < 256; value++) {
			const unsigned lowest = static_cast<unsigned>(__builtin_ctz(value));
			table[byte][value] = table[byte][value & (value - 1)] ^ window(key, byte, 7 - lowest);
		}
	}
}

uint32_t Toeplitz::operator()(const FlowKey &key) const
{
	if (key.version == 0)
		return 0;
	uint8_t input[toeplitz_input_max];
	const size_t size = key.version == 4 ? 4 : 16;
	std::memcpy(input, key.source.data(), size);
	std::memcpy(input + size, key.destination.data(), size);
	const bool with_ports =
		key.shape == KeyShape::flow && (key.protocol == 6 || key.protocol == 17);
	if (!with_ports)
		return (*this)(std::span(input, 2 * size));
	put_be16(input + 2 * size, key.source_port);
	put_be16(input + 2 * size + 2, key.destination_port);
	return (*this)(std::span(input, 2 * size + 4));
}

} // namespace reframer::packet
