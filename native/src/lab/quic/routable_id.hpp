// How a QUIC server behind a balancer makes its connection ids (draft-ietf-quic-load-balancers-21),
// written apart from the balancer and with nettle's AES: what one writes the other must read.
#pragma once

#include <nettle/aes.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace reframer::lab {

struct RoutableIds {
	uint32_t rotation = 0, server_id_length = 2, nonce_length = 6, server_id = 0;
	std::vector<uint8_t> key; // 16 octets; none: in the clear

	uint32_t length() const { return 1 + server_id_length + nonce_length; }

	// `nonce` has nonce_length octets.
	std::vector<uint8_t> id(const uint8_t *nonce) const
	{
		std::vector<uint8_t> block;
		for (uint32_t i = server_id_length; i-- > 0;)
			block.push_back(i < 4 ? static_cast<uint8_t>(server_id >> (8 * i)) : 0);
		block.insert(block.end(), nonce, nonce + nonce_length);
		if (!key.empty())
			block = block.size() == 16 ? ecb(block) : four_passes(block);
		block.insert(block.begin(), static_cast<uint8_t>(rotation << 5 | block.size()));
		return block;
	}

private:
	using Octets = std::vector<uint8_t>;

	Octets ecb(const Octets &plain) const
	{
		aes128_ctx aes;
		aes128_set_encrypt_key(&aes, key.data());
		Octets out(16);
		aes128_encrypt(&aes, 16, out.data(), plain.data());
		return out;
	}
	// Four bits an element: halves of an odd number of octets need no masks then.
	Octets four_passes(const Octets &plain) const
	{
		const size_t nibbles = plain.size() * 2, half = nibbles / 2;
		Octets halves[2]; // left, right
		for (size_t i = 0; i < nibbles; i++)
			halves[i / half].push_back(plain[i / 2] >> (i % 2 ? 0 : 4) & 15);
		for (uint8_t pass = 1; pass <= 4; pass++) {
			const bool right = pass % 2 == 0; // what is encrypted
			const Octets &from = halves[right];
			// An odd right half begins in the middle of its first octet.
			const size_t shift = right && half % 2 ? 1 : 0;
			Octets input(16, 0);
			for (size_t i = 0; i < half; i++)
				input[(i + shift) / 2] |=
					static_cast<uint8_t>(from[i] << ((i + shift) % 2 ? 0 : 4));
			input[14] = static_cast<uint8_t>(plain.size());
			input[15] = pass;
			const Octets mask = ecb(input);
			const size_t at = !right && half % 2 ? 1 : 0;
			for (size_t i = 0; i < half; i++)
				halves[!right][i] ^= mask[(i + at) / 2] >> ((i + at) % 2 ? 0 : 4) & 15;
		}
		Octets out(plain.size());
		for (size_t i = 0; i < nibbles; i++)
			out[i / 2] |= static_cast<uint8_t>(halves[i / half][i % half] << (i % 2 ? 0 : 4));
		return out;
	}
};

} // namespace reframer::lab
