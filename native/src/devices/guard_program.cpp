#include "devices/guard_program.hpp"

#include "devices/header_assembler.hpp"

#include <cstddef>

namespace reframer::engine {

namespace {

using namespace bpf_reg;

constexpr uint32_t xdp_has_frags = 1u << 5; // BPF_F_XDP_HAS_FRAGS
// Stack: an IP header, ports, the key of a prefix, words.
constexpr int16_t header_at = -120, ports_at = -72, prefix_at = -64, kind_at = -40,
				  fragment_at = -32, key_at = -4;
constexpr int32_t ipv4_bytes = 20, ipv4_source = 12, ipv6_bytes = 40, ipv6_source = 8;

class GuardProgram : public HeaderAssembler {
public:
	explicit GuardProgram(const GuardMaps &maps)
		: HeaderAssembler(-1, BPF_FUNC_xdp_load_bytes), maps(maps)
	{
	}

	FileDescriptor make()
	{
		Label ipv4, ipv6, neither, claim, pass;
		move(context, r1);
		move_value(claims, 0);
		ether_type(neither);
		jump_if(BPF_JEQ, r1, ETH_P_IP, ipv4);
		jump_if(BPF_JEQ, r1, ETH_P_IPV6, ipv6);
		jump(neither);
		place(ipv4);
		read_ipv4(neither);
		judge(4, ipv4_source, claim, pass);
		place(ipv6);
		read_ipv6(neither);
		judge(16, ipv6_source, claim, pass);
		place(neither);
		if (!maps.claim_all) { // the verifier takes no code that nothing leads to
			place(pass);
			count(offsetof(GuardVerdicts, passed));
			move_value(r0, XDP_PASS);
			exit();
		}
		place(claim);
		count(offsetof(GuardVerdicts, claimed));
		load(BPF_W, r2, context, int16_t(offsetof(xdp_md, rx_queue_index)));
		map(r1, maps.sockets);
		move_value(r3, XDP_PASS);
		call(BPF_FUNC_redirect_map);
		exit();
		return load_program(BPF_PROG_TYPE_XDP, xdp_has_frags);
	}

private:
	static constexpr uint8_t claims = hash; // bits of rules that claim the frame

	void read_ipv4(Label &neither)
	{
		move(r2, l4_at);
		packet_bytes_at_r2(header_at, ipv4_bytes, neither);
		load(BPF_B, protocol, frame_pointer, header_at + 9);
		load(BPF_H, r1, frame_pointer, header_at + 6);
		to_host_order(r1, 16);
		alu_value(BPF_AND, r1, 0x3fff); // more fragments, or an offset
		store(BPF_DW, frame_pointer, fragment_at, r1);
		load(BPF_B, r1, frame_pointer, header_at);
		alu_value(BPF_AND, r1, 15); // header length in words
		alu_value(BPF_LSH, r1, 2);
		alu(BPF_ADD, l4_at, r1);
	}

	void read_ipv6(Label &neither)
	{
		Label whole;
		move(r2, l4_at);
		packet_bytes_at_r2(header_at, ipv6_bytes, neither);
		load(BPF_B, protocol, frame_pointer, header_at + 6);
		alu_value(BPF_ADD, l4_at, ipv6_bytes);
		skip_extensions(neither);
		move_value(r1, 0);
		jump_if(BPF_JNE, protocol, IPPROTO_FRAGMENT, whole);
		move(r2, l4_at);
		packet_bytes_at_r2(scratch_at, 1, neither);
		load(BPF_B, protocol, frame_pointer, scratch_at);
		move_value(r1, 1);
		place(whole);
		store(BPF_DW, frame_pointer, fragment_at, r1);
	}

	// r0: the value of a map; leaves for `absent` when there is none.
	void lookup(int map_fd, int16_t key, Label &absent)
	{
		map(r1, map_fd);
		move(r2, frame_pointer);
		alu_value(BPF_ADD, r2, key);
		call(BPF_FUNC_map_lookup_elem);
		jump_if(BPF_JEQ, r0, 0, absent);
	}

	void kind()
	{
		Label known;
		const auto is = [&](int32_t number, uint64_t bit) {
			move_value(r1, int32_t(bit));
			jump_if(BPF_JEQ, protocol, number, known);
		};
		is(IPPROTO_TCP, guard_tcp);
		is(IPPROTO_UDP, guard_udp);
		is(IPPROTO_ICMP, guard_icmp);
		is(IPPROTO_ICMPV6, guard_icmp);
		move_value(r1, int32_t(guard_other));
		place(known);
		store(BPF_DW, frame_pointer, kind_at, r1);
	}

	// r1: whether the prefixes of a map have the address for this kind of protocol, else leaves.
	void prefix(int map_fd, int32_t bytes, int32_t address_at, Label &absent)
	{
		move_value(r1, bytes * 8);
		store(BPF_W, frame_pointer, prefix_at, r1);
		for (int32_t i = 0; i < bytes; i += 4) {
			load(BPF_W, r1, frame_pointer, int16_t(header_at + address_at + i));
			store(BPF_W, frame_pointer, int16_t(prefix_at + 4 + i), r1);
		}
		lookup(map_fd, prefix_at, absent);
		load(BPF_DW, r1, r0, 0);
		load(BPF_DW, r2, frame_pointer, kind_at);
		alu(BPF_AND, r1, r2);
		jump_if(BPF_JEQ, r1, 0, absent);
	}

	void count(size_t verdict)
	{
		Label none;
		load(BPF_W, r1, context, int16_t(offsetof(xdp_md, rx_queue_index)));
		alu_value(BPF_AND, r1, int32_t(maps.nb_queues - 1));
		store(BPF_W, frame_pointer, key_at, r1);
		lookup(maps.verdicts, key_at, none);
		move_value(r1, 1);
		atomic_add(r0, int16_t(verdict), r1);
		place(none);
	}

	void drop(size_t verdict)
	{
		count(verdict);
		move_value(r0, XDP_DROP);
		exit();
	}

	// Of a word in r1 whose bits deny and claim: denies, or remembers a claim.
	void weigh(size_t verdict)
	{
		Label allowed;
		move(r2, r1);
		alu_value(BPF_AND, r2, int32_t(guard_claim));
		alu(BPF_OR, claims, r2);
		alu_value(BPF_AND, r1, int32_t(guard_deny));
		jump_if(BPF_JEQ, r1, 0, allowed);
		drop(verdict);
		place(allowed);
	}

	void judge(int32_t address_bytes, int32_t source, Label &claim, Label &pass)
	{
		const bool v4 = address_bytes == 4;
		Label source_allowed, no_protocol, no_ports, not_from, not_to;
		kind();
		prefix(v4 ? maps.deny4 : maps.deny6, address_bytes, source, source_allowed);
		drop(offsetof(GuardVerdicts, denied_source));
		place(source_allowed);
		store(BPF_W, frame_pointer, key_at, protocol);
		lookup(maps.protocols, key_at, no_protocol);
		load(BPF_DW, r1, r0, 0);
		weigh(offsetof(GuardVerdicts, denied_protocol));
		place(no_protocol);
		judge_ports(no_ports);
		place(no_ports);
		if (maps.claim_all) {
			jump(claim);
			return;
		}
		jump_if(BPF_JNE, claims, 0, claim);
		prefix(v4 ? maps.claim4 : maps.claim6, address_bytes, source, not_from);
		jump(claim);
		place(not_from);
		prefix(v4 ? maps.claim4 : maps.claim6, address_bytes, source + address_bytes, not_to);
		jump(claim);
		place(not_to);
		jump(pass);
	}

	void judge_ports(Label &none)
	{
		Label has;
		load(BPF_DW, r1, frame_pointer, fragment_at);
		jump_if(BPF_JNE, r1, 0, none);
		jump_if(BPF_JEQ, protocol, IPPROTO_TCP, has);
		jump_if(BPF_JNE, protocol, IPPROTO_UDP, none);
		place(has);
		move(r2, l4_at);
		packet_bytes_at_r2(ports_at, 4, none);
		for (const int16_t at : {int16_t(ports_at), int16_t(ports_at + 2)}) {
			Label absent, tcp;
			load(BPF_H, r1, frame_pointer, at);
			to_host_order(r1, 16);
			store(BPF_W, frame_pointer, key_at, r1);
			lookup(maps.ports, key_at, absent);
			load(BPF_DW, r1, r0, 0);
			jump_if(BPF_JEQ, protocol, IPPROTO_TCP, tcp);
			alu_value(BPF_RSH, r1, guard_udp_shift);
			place(tcp);
			weigh(offsetof(GuardVerdicts, denied_port));
			place(absent);
		}
	}

	const GuardMaps &maps;
};

} // namespace

FileDescriptor guard_program(const GuardMaps &maps)
{
	return GuardProgram(maps).make();
}

} // namespace reframer::engine
