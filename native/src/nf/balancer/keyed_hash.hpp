// SipHash-1-3 (Aumasson, Bernstein, INDOCRYPT'12; one round a block, three at the end) over inputs of
// fixed length, so without its block of length: 64 bits of address and ports, or a few such words.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace reframer::balance {

class KeyedHash {
public:
	explicit KeyedHash(const uint8_t key[16])
	{
		std::memcpy(&k0_, key, 8);
		std::memcpy(&k1_, key + 8, 8);
	}

	template <std::same_as<uint64_t>... Words> uint64_t operator()(Words... words) const
	{
		State s{start()};
		(s.absorb(words), ...);
		return s.finish();
	}

	// What every input begins with, for those that hash many at once.
	struct Start {
		uint64_t a, b, c, d;
	};
	Start start() const
	{
		return {k0_ ^ 0x736f6d6570736575, k1_ ^ 0x646f72616e646f6d, k0_ ^ 0x6c7967656e657261,
		        k1_ ^ 0x7465646279746573};
	}

private:
	struct State : Start {

		void round()
		{
			a += b;
			c += d;
			b = std::rotl(b, 13) ^ a;
			d = std::rotl(d, 16) ^ c;
			a = std::rotl(a, 32);
			c += b;
			a += d;
			b = std::rotl(b, 17) ^ c;
			d = std::rotl(d, 21) ^ a;
			c = std::rotl(c, 32);
		}
		void absorb(uint64_t input)
		{
			d ^= input;
			round();
			a ^= input;
		}
		uint64_t finish()
		{
			c ^= 0xff;
			round();
			round();
			round();
			return a ^ b ^ c ^ d;
		}
	};
	uint64_t k0_, k1_;
};

} // namespace reframer::balance
