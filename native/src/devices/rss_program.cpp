#include "devices/rss_program.hpp"

#include "devices/frame_assembler.hpp"
#include "devices/table_device.hpp"

#include <array>
#include <linux/if_ether.h>
#include <memory>
#include <netinet/in.h>

namespace reframer::engine {

namespace {

using namespace bpf_reg;

// Stack: the hash input, a scratch word, the map key.
constexpr int16_t input_at = -48; // 36 bytes: packet::toeplitz_input_max, rounded up
constexpr int16_t scratch_at = -8;
constexpr int16_t key_at = -4;

// Offsets in an Ethernet frame (RFC 791, RFC 8200).
constexpr int32_t ether_type_at = 12, l3_at = 14;
constexpr int32_t ipv4_fragment_at = l3_at + 6, ipv4_protocol_at = l3_at + 9,
				  ipv4_addresses_at = l3_at + 12;
constexpr int32_t ipv6_next_at = l3_at + 6, ipv6_addresses_at = l3_at + 8, ipv6_l4_at = l3_at + 40;

// One byte of input at position i selects among 256 words; 36 x 1 KiB.
using ToeplitzTables = std::array<std::array<uint32_t, 256>, packet::toeplitz_input_max>;
static_assert(sizeof(ToeplitzTables::value_type) == FrameAssembler::toeplitz_row_bytes);

class RssProgram : public FrameAssembler {
public:
	RssProgram(const RssMaps &maps, int load_helper)
		: FrameAssembler(maps.toeplitz, load_helper), maps(maps)
	{
	}

	// Leaves the bucket's number in the key on the stack, counted.
	void bucket(const HashedPorts &ports);
	// r0 = address of the bucket's word; leaves for `absent` when there is none.
	void lookup(int map_fd, Label &absent)
	{
		map(r1, map_fd);
		move(r2, frame_pointer);
		alu_value(BPF_ADD, r2, key_at);
		call(BPF_FUNC_map_lookup_elem);
		jump_if(BPF_JEQ, r0, 0, absent);
	}

private:
	void ports_of(bool tcp, bool udp, int32_t input, Label &done)
	{
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

	const RssMaps &maps;
};

void RssProgram::bucket(const HashedPorts &ports)
{
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

	place(ipv6);
	packet_bytes(ipv6_addresses_at, input_at, 32, done);
	hash_bytes(input_at, 0, 32);
	packet_bytes(ipv6_next_at, scratch_at, 1, done);
	load(BPF_B, protocol, frame_pointer, scratch_at);
	move_value(l4_at, ipv6_l4_at);
	ports_of(ports.tcp6, ports.udp6, 32, done);

	place(done);
	alu_value(BPF_AND, hash, int32_t(maps.nb_buckets - 1));
	store(BPF_W, frame_pointer, key_at, hash);
	Label absent;
	lookup(maps.counters, absent);
	move_value(r1, 1);
	atomic_add(r0, 0, r1);
	place(absent);
}

} // namespace

FileDescriptor toeplitz_map(const packet::ToeplitzKey &key)
{
	const packet::Toeplitz toeplitz(key);
	auto tables = std::make_unique<ToeplitzTables>();
	for (size_t i = 0; i < tables->size(); i++) {
		for (uint32_t value = 0; value < 256; value++) {
			// The hash is linear: each byte's share is the hash of that byte among zeros.
			std::array<uint8_t, packet::toeplitz_input_max> input = {};
			input[i] = uint8_t(value);
			(*tables)[i][value] = toeplitz(input);
		}
	}
	return bpf_constant(tables.get(), sizeof(ToeplitzTables));
}

FileDescriptor steering_program(const RssMaps &maps)
{
	RssProgram program(maps, BPF_FUNC_skb_load_bytes);
	BpfAssembler::Label absent;
	program.bucket(HashedPorts{});
	program.lookup(maps.table, absent);
	program.load(BPF_DW, r0, r0, 0);
	program.exit();
	program.place(absent);
	program.move_value(r0, 0);
	program.exit();
	return program.load_program(BPF_PROG_TYPE_SOCKET_FILTER);
}

FileDescriptor counting_program(const RssMaps &maps, const HashedPorts &ports)
{
	RssProgram program(maps, BPF_FUNC_xdp_load_bytes);
	program.bucket(ports);
	program.move_value(r0, XDP_PASS);
	program.exit();
	return program.load_program(BPF_PROG_TYPE_XDP);
}

} // namespace reframer::engine
