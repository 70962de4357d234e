// Compiled once for each instruction set, as REFRAMER_ISA.
#include "nf/balancer/masks.hpp"

namespace reframer::balance::REFRAMER_ISA {

namespace {

// Eight lanes: one AVX-512 vector, two of AVX2.
typedef uint64_t Lanes __attribute__((vector_size(64)));
static_assert(sizeof(Lanes) == mask_group * sizeof(uint64_t));

template <int bits> inline Lanes rotl(Lanes v)
{
	return v << bits | v >> (64 - bits);
}

// KeyedHash::State, lane by lane.
struct State {
	Lanes a, b, c, d;

	void round()
	{
		a += b;
		c += d;
		b = rotl<13>(b) ^ a;
		d = rotl<16>(d) ^ c;
		a = rotl<32>(a);
		c += b;
		a += d;
		b = rotl<17>(b) ^ c;
		d = rotl<21>(d) ^ a;
		c = rotl<32>(c);
	}
};

template <uint32_t words, uint32_t shift = 0>
void masks_of(const KeyedHash &hash, const uint64_t *inputs, uint32_t *masks)
{
	const KeyedHash::Start start = hash.start();
	State s{Lanes{} + start.a, Lanes{} + start.b, Lanes{} + start.c, Lanes{} + start.d};
	for (uint32_t w = 0; w < words; w++) {
		Lanes input;
		std::memcpy(&input, inputs + w * mask_group, sizeof(input));
		s.d ^= input;
		s.round();
		s.a ^= input;
	}
	s.c ^= 0xff;
	s.round();
	s.round();
	s.round();
	const Lanes out = s.a ^ s.b ^ s.c ^ s.d;
	for (uint32_t lane = 0; lane < mask_group; lane++)
		masks[lane] = static_cast<uint32_t>(out[lane] >> shift);
}

} // namespace

extern const MaskKernels masks = {masks_of<words_v4>, masks_of<words_v6>, masks_of<words_key, 32>};

} // namespace reframer::balance::REFRAMER_ISA
