// Reads a frame as a NIC does for receive-side scaling: the Toeplitz hash of its addresses and ports, a
// bucket, and the bucket's words in maps.
#pragma once

#include "devices/frame_assembler.hpp"
#include "devices/rss_program.hpp"

#include <linux/if_ether.h>
#include <netinet/in.h>

namespace reframer::engine {

class RssAssembler : public FrameAssembler {
public:
	RssAssembler(int toeplitz_map, int load_helper) : FrameAssembler(toeplitz_map, load_helper) {}

	// Leaves the hash in its register, 0 of what is not IP, and the context in its own.
	void hash_frame(const HashedPorts &ports)
	{
		using namespace bpf_reg;
		Label ipv4, ipv6, done;
		move(context, r1);
		move_value(hash, 0);
		packet_bytes(ether_type_at, scratch_at, 2, done);
		load(BPF_H, r1, frame_pointer, scratch_at);
		to_host_order(r1, 16);
		jump_if(BPF_JEQ, r1, ETH_P_IP, ipv4);
		jump_if(BPF_JEQ, r1, ETH_P_IPV6, ipv6);
		jump(done);
		place(ipv4);
		hash_ipv4(ports, done);
		place(ipv6);
		hash_ipv6(ports, done);
		place(done);
	}

	// The register's low bits are the bucket: it becomes the key on the stack.
	void key_of_bucket(uint32_t nb_buckets)
	{
		using namespace bpf_reg;
		move(r1, hash);
		alu_value(BPF_AND, r1, int32_t(nb_buckets - 1));
		store(BPF_W, frame_pointer, key_at, r1);
	}

	// r0: the value that the map has for the key on the stack; leaves for `absent` when there is none.
	void lookup(int map_fd, Label &absent)
	{
		using namespace bpf_reg;
		map(r1, map_fd);
		move(r2, frame_pointer);
		alu_value(BPF_ADD, r2, key_at);
		call(BPF_FUNC_map_lookup_elem);
		jump_if(BPF_JEQ, r0, 0, absent);
	}

protected:
	// Stack: the hash's input, a scratch word, the key. Below is free.
	static constexpr int16_t input_at = -48; // 36 bytes: packet::toeplitz_input_max, rounded up
	static constexpr int16_t scratch_at = -8;
	static constexpr int16_t key_at = -4;

private:
	// Offsets in an Ethernet frame (RFC 791, RFC 8200).
	static constexpr int32_t ether_type_at = 12, l3_at = 14;
	static constexpr int32_t ipv4_fragment_at = l3_at + 6, ipv4_protocol_at = l3_at + 9,
							 ipv4_addresses_at = l3_at + 12;
	static constexpr int32_t ipv6_next_at = l3_at + 6, ipv6_addresses_at = l3_at + 8,
							 ipv6_l4_at = l3_at + 40;

	void hash_ipv4(const HashedPorts &ports, Label &done)
	{
		using namespace bpf_reg;
		packet_bytes(ipv4_addresses_at, input_at, 8, done);
		hash_bytes(input_at, 0, 8);
		packet_bytes(ipv4_fragment_at, scratch_at, 2, done);
		load(BPF_H, r1, frame_pointer, scratch_at);
		to_host_order(r1, 16);
		alu_value(BPF_AND, r1, 0x3fff); // more fragments, or an offset
		jump_if(BPF_JNE, r1, 0, done);
		packet_bytes(ipv4_protocol_at, scratch_at, 1, done);
		load(BPF_B, protocol, frame_pointer, scratch_at);
		packet_bytes(l3_at, scratch_at, 1, done);
		load(BPF_B, l4_at, frame_pointer, scratch_at);
		alu_value(BPF_AND, l4_at, 15); // header length in words
		alu_value(BPF_LSH, l4_at, 2);
		alu_value(BPF_ADD, l4_at, l3_at);
		ports_of(ports.tcp4, ports.udp4, 8, done);
	}

	void hash_ipv6(const HashedPorts &ports, Label &done)
	{
		using namespace bpf_reg;
		packet_bytes(ipv6_addresses_at, input_at, 32, done);
		hash_bytes(input_at, 0, 32);
		packet_bytes(ipv6_next_at, scratch_at, 1, done);
		load(BPF_B, protocol, frame_pointer, scratch_at);
		move_value(l4_at, ipv6_l4_at);
		ports_of(ports.tcp6, ports.udp6, 32, done);
	}

	void ports_of(bool tcp, bool udp, int32_t input, Label &done)
	{
		using namespace bpf_reg;
		Label with;
		if (tcp)
			jump_if(BPF_JEQ, protocol, IPPROTO_TCP, with);
		if (udp)
			jump_if(BPF_JEQ, protocol, IPPROTO_UDP, with);
		jump(done);
		place(with);
		move(r2, l4_at);
		packet_bytes_at_r2(int16_t(input_at + input), 4, done);
		hash_bytes(int16_t(input_at + input), input, 4);
		jump(done);
	}
};

} // namespace reframer::engine
