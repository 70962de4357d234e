// Programs that read frames: bytes onto the stack, and their Toeplitz hash. Registers 6 to 9 keep their
// values over calls and have fixed meanings here.
#pragma once

#include "devices/bpf.hpp"

#include <cstdint>

namespace reframer::engine {

namespace bpf_reg {

inline constexpr uint8_t r0 = BPF_REG_0, r1 = BPF_REG_1, r2 = BPF_REG_2, r3 = BPF_REG_3,
						 r4 = BPF_REG_4;
inline constexpr uint8_t context = BPF_REG_6, hash = BPF_REG_7, protocol = BPF_REG_8,
						 l4_at = BPF_REG_9;
inline constexpr uint8_t frame_pointer = BPF_REG_10;

} // namespace bpf_reg

class FrameAssembler : public BpfAssembler {
public:
	FrameAssembler(int toeplitz_map, int load_helper)
		: toeplitz(toeplitz_map), load_helper(load_helper)
	{
	}

	// The frame's bytes at `offset`, or at r2, to the stack; leaves for `absent` where it is shorter.
	void packet_bytes(int32_t offset, int16_t to, int32_t size, Label &absent)
	{
		move_value(bpf_reg::r2, offset);
		packet_bytes_at_r2(to, size, absent);
	}
	void packet_bytes_at_r2(int16_t to, int32_t size, Label &absent)
	{
		using namespace bpf_reg;
		move(r1, context);
		move(r3, frame_pointer);
		alu_value(BPF_ADD, r3, to);
		move_value(r4, size);
		call(load_helper);
		jump_if(BPF_JNE, r0, 0, absent);
	}

	// Takes bytes of the stack into the hash; the first of them is byte `first` of the hash's input.
	void hash_bytes(int16_t at, int32_t first, int32_t count)
	{
		using namespace bpf_reg;
		for (int32_t i = 0; i < count; i++) {
			load(BPF_B, r1, frame_pointer, int16_t(at + i));
			alu_value(BPF_LSH, r1, 2);
			map_value(r2, toeplitz, (first + i) * toeplitz_row_bytes);
			alu(BPF_ADD, r2, r1);
			load(BPF_W, r1, r2, 0);
			alu(BPF_XOR, hash, r1);
		}
	}

	// One byte of input selects among 256 words.
	static constexpr int32_t toeplitz_row_bytes = 256 * int32_t(sizeof(uint32_t));

private:
	const int toeplitz, load_helper;
};

} // namespace reframer::engine
