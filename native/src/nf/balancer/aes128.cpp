#include "nf/balancer/aes128.hpp"

#include <wmmintrin.h>

#define WITH_AES __attribute__((target("aes,sse2")))

namespace reframer::balance {

namespace {

WITH_AES __m128i load(const uint8_t *from)
{
	return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
}

WITH_AES void store(uint8_t *to, __m128i value)
{
	_mm_storeu_si128(reinterpret_cast<__m128i *>(to), value);
}

// The next round's key: the instruction wants its constant in the code.
template <int constant> WITH_AES __m128i next_key(__m128i key)
{
	const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key, constant), 0xff);
	key = _mm_xor_si128(key, _mm_slli_si128(key, 4));
	key = _mm_xor_si128(key, _mm_slli_si128(key, 8));
	return _mm_xor_si128(key, word);
}

WITH_AES void expand(const uint8_t key[16], uint8_t encryption[11][16], uint8_t decryption[11][16])
{
	__m128i k[11];
	k[0] = load(key);
	k[1] = next_key<0x01>(k[0]);
	k[2] = next_key<0x02>(k[1]);
	k[3] = next_key<0x04>(k[2]);
	k[4] = next_key<0x08>(k[3]);
	k[5] = next_key<0x10>(k[4]);
	k[6] = next_key<0x20>(k[5]);
	k[7] = next_key<0x40>(k[6]);
	k[8] = next_key<0x80>(k[7]);
	k[9] = next_key<0x1b>(k[8]);
	k[10] = next_key<0x36>(k[9]);
	for (int i = 0; i <= 10; i++) {
		store(encryption[i], k[i]);
		store(decryption[10 - i], i == 0 || i == 10 ? k[i] : _mm_aesimc_si128(k[i]));
	}
}

} // namespace

bool Aes128::supported()
{
	return __builtin_cpu_supports("aes") > 0;
}

Aes128::Aes128(const uint8_t key[16], bool used)
{
	if (used)
		expand(key, encryption_, decryption_);
}

WITH_AES void Aes128::encrypt(uint8_t block[16]) const
{
	__m128i b = _mm_xor_si128(load(block), load(encryption_[0]));
	for (int i = 1; i < rounds; i++)
		b = _mm_aesenc_si128(b, load(encryption_[i]));
	store(block, _mm_aesenclast_si128(b, load(encryption_[rounds])));
}

WITH_AES void Aes128::decrypt(uint8_t block[16]) const
{
	__m128i b = _mm_xor_si128(load(block), load(decryption_[0]));
	for (int i = 1; i < rounds; i++)
		b = _mm_aesdec_si128(b, load(decryption_[i]));
	store(block, _mm_aesdeclast_si128(b, load(decryption_[rounds])));
}

} // namespace reframer::balance
