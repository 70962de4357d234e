// AES-128 of single blocks (FIPS 197), by the processor's instructions: what QUIC-LB encrypts
// connection ids with. Every x86 server since 2010 has them; where they are missing, nothing else is
// tried, since a table-driven AES leaks its key through the cache.
#pragma once

#include <cstdint>

namespace reframer::balance {

class Aes128 {
public:
	static bool supported();

	// Only where supported(); where it will not be `used`, nothing is computed.
	explicit Aes128(const uint8_t key[16], bool used = true);

	// In place.
	void encrypt(uint8_t block[16]) const;
	void decrypt(uint8_t block[16]) const;

private:
	static constexpr int rounds = 10;
	alignas(16) uint8_t encryption_[rounds + 1][16] = {}, decryption_[rounds + 1][16] = {};
};

} // namespace reframer::balance
