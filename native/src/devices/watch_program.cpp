#include "devices/watch_program.hpp"

#include "devices/header_assembler.hpp"

#include <cstddef>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

namespace reframer::engine {

namespace {

using namespace bpf_reg;

// Once the headers are read, three of the registers get another meaning.
constexpr uint8_t state = context, flow = hash, now = protocol, group = l4_at;

// Stack: an IP header with the first bytes behind it, and words.
constexpr int16_t header_at = -120, flags_at = -56, kind_at = -48, bytes_at = -40, key_at = -4;
constexpr int32_t ipv4_bytes = 20, ipv4_addresses = 12, ipv6_bytes = 40, ipv6_addresses = 8;
constexpr int32_t ports_bytes = 4, tcp_flags_at = 13;
constexpr int32_t not_ip = 256;                                                // no protocol of IP
constexpr uint64_t mix_one = 0xff51afd7ed558ccd, mix_two = 0xc4ceb9fe1a85ec53; // MurmurHash3's

constexpr int16_t field(size_t offset)
{
	return int16_t(offset);
}

class WatchProgram : public HeaderAssembler {
public:
	explicit WatchProgram(const WatchMaps &maps)
		: HeaderAssembler(maps.toeplitz, BPF_FUNC_xdp_load_bytes), maps(maps)
	{
	}

	FileDescriptor make()
	{
		Label pass;
		read_headers();
		find_state(pass);
		count_frame();
		count_run();
		count_group();
		place(pass);
		move_value(r0, XDP_PASS);
		exit();
		return load_program(BPF_PROG_TYPE_XDP, xdp_has_frags);
	}

private:
	static constexpr uint32_t xdp_has_frags = 1u << 5; // BPF_F_XDP_HAS_FRAGS

	void read_headers();
	void ipv4(Label &done);
	void ipv6(Label &done);
	void ports(int16_t at, int32_t first, Label &done);
	void not_ip_flow();
	void find_state(Label &pass);
	void count_frame();
	void count_run();
	void count_distinct(Label &done);
	void count_group();

	// A word of the state, plus one or plus r1.
	void increment(int16_t offset)
	{
		move_value(r1, 1);
		add_r1(offset);
	}
	void add_r1(int16_t offset)
	{
		load(BPF_DW, r2, state, offset);
		alu(BPF_ADD, r2, r1);
		store(BPF_DW, state, offset, r2);
	}

	const WatchMaps &maps;
};

// Leaves the flow, and on the stack protocol, TCP's flags and the frame's length.
void WatchProgram::read_headers()
{
	Label is_ipv4, is_ipv6, other, done, known;
	move(context, r1);
	move_value(hash, 0);
	move_value(protocol, not_ip);
	store(BPF_DW, frame_pointer, flags_at, hash);
	call(BPF_FUNC_xdp_get_buff_len);
	store(BPF_DW, frame_pointer, bytes_at, r0);
	ether_type(done);
	jump_if(BPF_JEQ, r1, ETH_P_IP, is_ipv4);
	jump_if(BPF_JEQ, r1, ETH_P_IPV6, is_ipv6);
	jump(done);
	place(is_ipv4);
	ipv4(done);
	place(is_ipv6);
	ipv6(done);
	place(done);
	store(BPF_DW, frame_pointer, kind_at, protocol);
	store(BPF_W, frame_pointer, scratch_at, hash); // 0 for what is not IP, as NICs have it
	jump_if(BPF_JNE, protocol, not_ip, known);
	not_ip_flow();
	place(known);
	// TCP and UDP of the same ports are two flows.
	alu_value(BPF_LSH, protocol, 32);
	alu(BPF_OR, hash, protocol);
}

void WatchProgram::ipv4(Label &done)
{
	move(r2, l4_at);
	packet_bytes_at_r2(header_at, ipv4_bytes, done);
	load(BPF_B, protocol, frame_pointer, header_at + 9);
	hash_bytes(header_at + ipv4_addresses, 0, 8);
	load(BPF_H, r1, frame_pointer, header_at + 6);
	to_host_order(r1, 16);
	alu_value(BPF_AND, r1, 0x3fff); // more fragments, or an offset
	jump_if(BPF_JNE, r1, 0, done);
	load(BPF_B, r1, frame_pointer, header_at);
	alu_value(BPF_AND, r1, 15); // header length in words
	alu_value(BPF_LSH, r1, 2);
	alu(BPF_ADD, l4_at, r1);
	ports(header_at + ipv4_bytes, 8, done);
}

void WatchProgram::ipv6(Label &done)
{
	move(r2, l4_at);
	packet_bytes_at_r2(header_at, ipv6_bytes, done);
	load(BPF_B, protocol, frame_pointer, header_at + 6);
	alu_value(BPF_ADD, l4_at, ipv6_bytes);
	hash_bytes(header_at + ipv6_addresses, 0, 32);
	skip_extensions(done);
	ports(header_at + ipv6_bytes, 32, done);
}

// The bytes behind the IP header go to `at`; the ports are bytes of the hash's input from `first` on.
void WatchProgram::ports(int16_t at, int32_t first, Label &done)
{
	Label tcp, with;
	jump_if(BPF_JEQ, protocol, IPPROTO_TCP, tcp);
	jump_if(BPF_JNE, protocol, IPPROTO_UDP, done);
	move(r2, l4_at);
	packet_bytes_at_r2(at, ports_bytes, done);
	jump(with);
	place(tcp);
	move(r2, l4_at);
	packet_bytes_at_r2(at, tcp_flags_at + 1, done);
	load(BPF_B, r1, frame_pointer, int16_t(at + tcp_flags_at));
	store(BPF_DW, frame_pointer, flags_at, r1);
	place(with);
	hash_bytes(at, first, ports_bytes);
	jump(done);
}

void WatchProgram::not_ip_flow()
{
	Label runt;
	packet_bytes(0, header_at, l2_bytes, runt);
	load(BPF_W, r1, frame_pointer, header_at); // destination, source, EtherType
	load(BPF_W, r2, frame_pointer, header_at + 4);
	load(BPF_W, r3, frame_pointer, header_at + 8);
	load(BPF_H, hash, frame_pointer, header_at + 12);
	alu_value(BPF_LSH, r1, 32);
	alu(BPF_OR, r1, r2);
	alu_value(BPF_LSH, r3, 16);
	alu(BPF_OR, hash, r3);
	move_wide(r2, mix_one);
	alu(BPF_MUL, r1, r2);
	alu(BPF_XOR, hash, r1);
	alu(BPF_MUL, hash, r2);
	alu_value(BPF_RSH, hash, 32);
	place(runt);
}

void WatchProgram::find_state(Label &pass)
{
	if (maps.by_cpu)
		call(BPF_FUNC_get_smp_processor_id);
	else
		load(BPF_W, r0, context, field(offsetof(xdp_md, rx_queue_index)));
	alu_value(BPF_AND, r0, int32_t(maps.nb_states - 1));
	store(BPF_W, frame_pointer, key_at, r0);
	map(r1, maps.states);
	move(r2, frame_pointer);
	alu_value(BPF_ADD, r2, key_at);
	call(BPF_FUNC_map_lookup_elem);
	jump_if(BPF_JEQ, r0, 0, pass);
	move(state, r0);
}

void WatchProgram::count_frame()
{
	increment(offsetof(WatchState, packets));
	load(BPF_DW, r1, frame_pointer, bytes_at);
	add_r1(offsetof(WatchState, bytes));
	// The bucket, as a NIC's low bits of the hash.
	load(BPF_W, r3, frame_pointer, scratch_at);
	alu_value(BPF_AND, r3, watch_nb_buckets - 1);
	alu_value(BPF_LSH, r3, 3);
	alu(BPF_ADD, r3, state);
	load(BPF_DW, r1, r3, field(offsetof(WatchState, buckets)));
	alu_value(BPF_ADD, r1, 1);
	store(BPF_DW, r3, field(offsetof(WatchState, buckets)), r1);

	Label tcp, counted;
	load(BPF_DW, r3, frame_pointer, kind_at);
	const auto kind = [&](int32_t value, size_t counter) {
		Label next;
		jump_if(BPF_JNE, r3, value, next);
		increment(field(counter));
		jump(counted);
		place(next);
	};
	jump_if(BPF_JEQ, r3, IPPROTO_TCP, tcp);
	kind(IPPROTO_UDP, offsetof(WatchState, udp));
	kind(IPPROTO_ICMP, offsetof(WatchState, icmp));
	kind(IPPROTO_ICMPV6, offsetof(WatchState, icmp));
	kind(not_ip, offsetof(WatchState, not_ip));
	increment(offsetof(WatchState, other));
	jump(counted);
	place(tcp);
	increment(offsetof(WatchState, tcp));
	load(BPF_DW, r3, frame_pointer, flags_at);
	const auto flags = [&](int32_t mask, int32_t value, size_t counter) {
		Label next;
		move(r4, r3);
		alu_value(BPF_AND, r4, mask);
		jump_if(BPF_JNE, r4, value, next);
		increment(field(counter));
		place(next);
	};
	flags(TH_SYN | TH_ACK, TH_SYN, offsetof(WatchState, syn));
	flags(TH_SYN | TH_ACK, TH_SYN | TH_ACK, offsetof(WatchState, syn_ack));
	flags(TH_FIN, TH_FIN, offsetof(WatchState, fin));
	flags(TH_RST, TH_RST, offsetof(WatchState, rst));
	place(counted);
}

void WatchProgram::count_run()
{
	Label same, first;
	load(BPF_DW, r1, state, field(offsetof(WatchState, runs)));
	jump_if(BPF_JEQ, r1, 0, first);
	load(BPF_DW, r1, state, field(offsetof(WatchState, last_flow)));
	jump_if_registers(BPF_JEQ, r1, flow, same);
	place(first);
	increment(offsetof(WatchState, runs));
	store(BPF_DW, state, field(offsetof(WatchState, last_flow)), flow);
	count_distinct(same);
	place(same);
}

// The rank of a register is one more than the zeros that its flows' mixed hashes begin with.
void WatchProgram::count_distinct(Label &done)
{
	move_wide(r2, mix_one);
	move(r1, flow);
	alu(BPF_MUL, r1, r2);
	move(r2, r1);
	alu_value(BPF_RSH, r2, 33);
	alu(BPF_XOR, r1, r2);
	move_wide(r2, mix_two);
	alu(BPF_MUL, r1, r2);
	move(r2, r1);
	alu_value(BPF_RSH, r2, 64 - int32_t(watch_rank_bits));
	alu(BPF_ADD, r2, state);
	alu_value(BPF_LSH, r1, watch_rank_bits);
	move_value(r3, 1);
	for (int32_t zeros = 32; zeros > 0; zeros /= 2) {
		Label less;
		move(r4, r1);
		alu_value(BPF_RSH, r4, 64 - zeros);
		jump_if(BPF_JNE, r4, 0, less);
		alu_value(BPF_ADD, r3, zeros);
		alu_value(BPF_LSH, r1, zeros);
		place(less);
	}
	load(BPF_B, r1, r2, field(offsetof(WatchState, ranks)));
	jump_if_registers(BPF_JGE, r1, r3, done);
	store(BPF_B, r2, field(offsetof(WatchState, ranks)), r3);
}

// As Reframer would hold each flow for each T; see lab::FlowStats::count_cells().
void WatchProgram::count_group()
{
	call(BPF_FUNC_ktime_get_ns);
	move(now, r0);
	move_wide(r2, mix_two);
	move(group, flow);
	alu(BPF_MUL, group, r2);
	alu_value(BPF_RSH, group, 64 - int32_t(watch_group_bits));
	alu_value(BPF_MUL, group, sizeof(WatchGroup));
	alu(BPF_ADD, group, state);
	for (uint32_t i = 0; i < watch_nb_delays; i++) {
		Label held;
		const int32_t deadline = int32_t(offsetof(WatchState, groups)) + int32_t(8 * i);
		load(BPF_DW, r1, group, field(size_t(deadline)));
		jump_if_registers(BPF_JGT, r1, now, held);
		move(r1, now);
		alu_value(BPF_ADD, r1, int32_t(watch_delays_ns[i]));
		store(BPF_DW, group, field(size_t(deadline)), r1);
		const int16_t opened = field(offsetof(WatchState, opened) + 8 * i);
		load(BPF_DW, r1, state, opened);
		jump_if_registers(BPF_JEQ, r1, flow, held);
		store(BPF_DW, state, opened, flow);
		increment(field(offsetof(WatchState, held_runs) + 8 * i));
		place(held);
	}
	Label seldom;
	const int16_t last = field(offsetof(WatchState, groups) + offsetof(WatchGroup, last_packet));
	load(BPF_DW, r1, state, field(offsetof(WatchState, packets)));
	load(BPF_DW, r3, group, last);
	store(BPF_DW, group, last, r1);
	jump_if(BPF_JEQ, r3, 0, seldom);
	alu(BPF_SUB, r1, r3);
	move(r3, r1);
	for (uint32_t i = watch_nb_reuse; i-- > 0;) {
		jump_if(BPF_JGT, r3, int32_t(watch_reuse_distances[i]), seldom);
		increment(field(offsetof(WatchState, reused) + 8 * i));
	}
	place(seldom);
}

} // namespace

FileDescriptor watch_program(const WatchMaps &maps)
{
	return WatchProgram(maps).make();
}

} // namespace reframer::engine
