// Programs that read through VLAN tags and IPv6 extension headers.
#pragma once

#include "devices/frame_assembler.hpp"

#include <linux/if_ether.h>
#include <netinet/in.h>

namespace reframer::engine {

class HeaderAssembler : public FrameAssembler {
public:
	using FrameAssembler::FrameAssembler;

protected:
	// r1: what is behind Ethernet and its tags; l4_at: where.
	void ether_type(Label &done)
	{
		using namespace bpf_reg;
		const auto read = [&](auto &&bytes) {
			bytes();
			load(BPF_H, r1, frame_pointer, scratch_at);
			to_host_order(r1, 16);
		};
		read([&] { packet_bytes(ether_type_at, scratch_at, 2, done); });
		move_value(l4_at, l2_bytes);
		for (int32_t i = 0; i < nb_tags; i++) {
			Label tagged, plain;
			jump_if(BPF_JEQ, r1, ETH_P_8021Q, tagged);
			jump_if(BPF_JEQ, r1, ETH_P_8021AD, tagged);
			jump(plain);
			place(tagged);
			read([&] {
				move(r2, l4_at);
				alu_value(BPF_ADD, r2, 2);
				packet_bytes_at_r2(scratch_at, 2, done);
			});
			alu_value(BPF_ADD, l4_at, tag_bytes);
			place(plain);
		}
	}

	// `protocol` and l4_at of an IPv6 header become those of what is behind its extensions.
	void skip_extensions(Label &done)
	{
		using namespace bpf_reg;
		for (int32_t i = 0; i < extensions; i++) {
			Label extension, none;
			jump_if(BPF_JEQ, protocol, IPPROTO_HOPOPTS, extension);
			jump_if(BPF_JEQ, protocol, IPPROTO_ROUTING, extension);
			jump_if(BPF_JEQ, protocol, IPPROTO_DSTOPTS, extension);
			jump(none);
			place(extension);
			move(r2, l4_at);
			packet_bytes_at_r2(scratch_at, 2, done);
			load(BPF_B, protocol, frame_pointer, scratch_at);
			load(BPF_B, r1, frame_pointer, scratch_at + 1);
			alu_value(BPF_ADD, r1, 1);
			alu_value(BPF_LSH, r1, 3); // in units of eight bytes
			alu(BPF_ADD, l4_at, r1);
			place(none);
		}
	}

	// Of the stack: a word to read into.
	static constexpr int16_t scratch_at = -16;
	static constexpr int32_t l2_bytes = 14;

private:
	static constexpr int32_t ether_type_at = 12, tag_bytes = 4, nb_tags = 2;
	static constexpr int32_t extensions = 3;
};

} // namespace reframer::engine
