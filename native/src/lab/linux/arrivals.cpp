#include "lab/linux/arrivals.hpp"

#include "devices/table_device.hpp"
#include "lab/linux/segments.hpp"

#include <cstddef>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <netinet/in.h>

namespace reframer::lab {

using engine::BpfAssembler;
using engine::FileDescriptor;

namespace {

enum Counter : int32_t { frames, bytes, out_of_order, gaps, others, nb_counters };

constexpr uint8_t r0 = BPF_REG_0, r1 = BPF_REG_1, r2 = BPF_REG_2, r3 = BPF_REG_3, r4 = BPF_REG_4;
constexpr uint8_t context = BPF_REG_6, sequence = BPF_REG_7, payload = BPF_REG_8, slot = BPF_REG_9,
				  fp = BPF_REG_10;
constexpr uint8_t one = context; // once the headers are read

// Stack: Ethernet, IPv4 and TCP header without options; key of a map; the stamp.
constexpr int16_t header_at = -62, key_at = -4, stamp_at = -72; // sequence numbers lie on words
constexpr int32_t ip_at = 14, tcp_at = 34, header_bytes = 54;
// Delays are counted in steps of 8.2 µs, up to 34 ms: no T is told apart closer, none is longer.
constexpr int32_t delay_shift = 13, nb_delays = 4096;
// Words of maps have twice as many.
constexpr int32_t word_bits = 32;

class OrderProgram : public BpfAssembler {
public:
	OrderProgram(int counters, int expected, int delays)
		: counters(counters), expected(expected), delays(delays)
	{
	}

	FileDescriptor make()
	{
		Label other, in_order, late, drop;
		move(context, r1);
		read_headers(other);
		expected_word(other);
		count_delay(other);
		load(BPF_DW, r1, slot, 0);
		// Difference of sequence numbers, modulo 2^32.
		move(r2, sequence);
		alu(BPF_SUB, r2, r1);
		low_word(r2);
		jump_if(BPF_JEQ, r2, 0, in_order);
		alu_value(BPF_RSH, r2, 31);
		jump_if(BPF_JNE, r2, 0, late);
		count_one(gaps);
		place(in_order);
		alu(BPF_ADD, sequence, payload);
		low_word(sequence);
		store(BPF_DW, slot, 0, sequence);
		jump(drop);
		place(late);
		count_one(out_of_order);
		place(drop);
		count_one(frames);
		count(bytes, payload);
		move_value(r0, TC_ACT_SHOT);
		exit();
		place(other);
		count_one(others);
		move_value(r0, TC_ACT_SHOT);
		exit();
		return load_program(BPF_PROG_TYPE_SCHED_CLS);
	}

private:
	void low_word(uint8_t reg)
	{
		alu_value(BPF_LSH, reg, word_bits);
		alu_value(BPF_RSH, reg, word_bits);
	}

	void read_headers(Label &other)
	{
		move(r1, context);
		move_value(r2, 0);
		move(r3, fp);
		alu_value(BPF_ADD, r3, header_at);
		move_value(r4, header_bytes);
		call(BPF_FUNC_skb_load_bytes);
		jump_if(BPF_JNE, r0, 0, other);
		load(BPF_H, r1, fp, header_at + 12);
		to_host_order(r1, 16);
		jump_if(BPF_JNE, r1, ETH_P_IP, other);
		load(BPF_B, r1, fp, header_at + ip_at + 9);
		jump_if(BPF_JNE, r1, IPPROTO_TCP, other);
		load(BPF_W, sequence, fp, header_at + tcp_at + 4);
		to_host_order(sequence, 32);
		// Not by the length that IP states: merged as a list, a frame has that of its first segment.
		load(BPF_W, payload, context, offsetof(__sk_buff, len));
		alu_value(BPF_SUB, payload, tcp_at);
		load(BPF_B, r1, fp, header_at + tcp_at + 12);
		alu_value(BPF_RSH, r1, 4);
		alu_value(BPF_LSH, r1, 2);
		alu(BPF_SUB, payload, r1);
	}

	void expected_word(Label &other)
	{
		load(BPF_H, r1, fp, header_at + tcp_at);
		to_host_order(r1, 16);
		alu_value(BPF_SUB, r1, Segments::first_port);
		look_up(expected, other);
		move(slot, r0);
	}

	void count_delay(Label &other)
	{
		Label none, within;
		move(r1, context);
		move_value(r2, SegmentSpec::header_bytes);
		move(r3, fp);
		alu_value(BPF_ADD, r3, stamp_at);
		move_value(r4, SegmentSpec::stamp_bytes);
		call(BPF_FUNC_skb_load_bytes);
		jump_if(BPF_JNE, r0, 0, other);
		call(BPF_FUNC_ktime_get_ns);
		load(BPF_DW, r2, fp, stamp_at);
		jump_if(BPF_JEQ, r2, 0, none);
		move(r1, r0);
		alu(BPF_SUB, r1, r2);
		alu_value(BPF_RSH, r1, delay_shift);
		jump_if(BPF_JLT, r1, nb_delays, within);
		move_value(r1, nb_delays - 1);
		place(within);
		look_up(delays, none);
		move_value(one, 1);
		atomic_add(r0, 0, one);
		place(none);
	}

	// r1: the index; r0: the word's address.
	void look_up(int map_fd, Label &absent)
	{
		store(BPF_W, fp, key_at, r1);
		map(r1, map_fd);
		move(r2, fp);
		alu_value(BPF_ADD, r2, key_at);
		call(BPF_FUNC_map_lookup_elem);
		jump_if(BPF_JEQ, r0, 0, absent);
	}

	void count(Counter counter, uint8_t value)
	{
		Label absent;
		move_value(r1, counter);
		look_up(counters, absent);
		atomic_add(r0, 0, value);
		place(absent);
	}

	void count_one(Counter counter)
	{
		move_value(one, 1);
		count(counter, one);
	}

	const int counters, expected, delays;
};

} // namespace

Arrivals::Arrivals(const std::string &interface, uint32_t flows)
	: flows_(flows), counters_(nb_counters), expected_(flows), delays_(nb_delays),
	  program_(OrderProgram(counters_.fd(), expected_.fd(), delays_.fd()).make())
{
	const unsigned index = if_nametoindex(interface.c_str());
	link_ = FileDescriptor(engine::bpf_tcx_ingress_link(program_.get(), index));
	if (link_.get() < 0)
		engine::throw_errno("tcx", "cannot attach a programme at the ingress of " + interface +
		                               " (Linux 6.6 or newer can)");
	begin();
}

void Arrivals::begin()
{
	for (uint32_t i = 0; i < nb_counters; i++)
		counters_.store(i, 0);
	for (uint32_t i = 0; i < nb_delays; i++)
		delays_.store(i, 0);
	for (uint32_t f = 0; f < flows_; f++)
		expected_.store(f, Segments::first_sequence(f));
}

ArrivalCounts Arrivals::read() const
{
	return {counters_.load(frames), counters_.load(bytes), counters_.load(out_of_order),
	        counters_.load(gaps), counters_.load(others)};
}

ArrivalDelays Arrivals::delays() const
{
	uint64_t all = 0;
	for (uint32_t i = 0; i < nb_delays; i++)
		all += delays_.load(i);
	const auto quantile = [&](double share) {
		const auto wanted = static_cast<uint64_t>(share * static_cast<double>(all));
		uint64_t sum = 0;
		for (uint32_t i = 0; i < nb_delays; i++)
			if ((sum += delays_.load(i)) > wanted)
				return (i + 0.5) * (1 << delay_shift) / 1e3; // the middle of its step
		return 0.0;
	};
	return {quantile(0.5), quantile(0.99)};
}

} // namespace reframer::lab
