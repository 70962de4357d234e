#include "devices/cpumap_program.hpp"

#include "devices/rss_assembler.hpp"

#include <cstddef>

namespace reframer::engine {

namespace {

using namespace bpf_reg;

constexpr uint32_t xdp_has_frags = 1u << 5; // BPF_F_XDP_HAS_FRAGS
// A frame's number: receive queue above, counter below. 2^48 frames are three months at 30 Mpps.
constexpr int32_t queue_shift = 48, number_bytes = 8;
constexpr int32_t word_shift = 3, slot_shift = 4;
static_assert(sizeof(CpumapSlot) == 1 << slot_shift);
// sched_switch: preempt, previous task, next task, state of the previous (Linux 5.18).
constexpr int16_t switch_from = 8, switch_state = 24;
constexpr int32_t task_interruptible = 1;

class GivingProgram : public RssAssembler {
public:
	explicit GivingProgram(const CpumapMaps &maps)
		: RssAssembler(maps.toeplitz, BPF_FUNC_xdp_load_bytes), maps(maps)
	{
	}

	FileDescriptor make()
	{
		Label pass, unnumbered;
		hash_frame(HashedPorts{});
		find_queue(pass);
		count_bucket(pass);
		choose_cpu(pass);
		number_frame(unnumbered);
		map(r1, maps.cpus);
		load(BPF_W, r2, frame_pointer, key_at);
		move_value(r3, XDP_PASS);
		call(BPF_FUNC_redirect_map);
		exit();
		place(unnumbered);
		increment(queue, offsetof(CpumapQueue, passed));
		place(pass);
		move_value(r0, XDP_PASS);
		exit();
		return load_program(BPF_PROG_TYPE_XDP, xdp_has_frags);
	}

private:
	// Once the headers are read.
	static constexpr uint8_t queue = protocol, slot = l4_at;
	// Stack, below the hash's input.
	static constexpr int16_t wanted_at = -56, number_at = -64;

	void increment(uint8_t base, size_t offset)
	{
		load(BPF_DW, r1, base, int16_t(offset));
		alu_value(BPF_ADD, r1, 1);
		store(BPF_DW, base, int16_t(offset), r1);
	}
	void receive_queue(uint8_t to)
	{
		load(BPF_W, to, context, int16_t(offsetof(xdp_md, rx_queue_index)));
		alu_value(BPF_AND, to, int32_t(maps.nb_queues - 1));
	}

	void find_queue(Label &pass)
	{
		receive_queue(r1);
		store(BPF_W, frame_pointer, key_at, r1);
		lookup(maps.queues, pass);
		move(queue, r0);
	}

	void count_bucket(Label &pass)
	{
		key_of_bucket(maps.nb_buckets);
		alu_value(BPF_LSH, r1, word_shift);
		alu(BPF_ADD, r1, queue);
		load(BPF_DW, r2, r1, offsetof(CpumapQueue, packets));
		alu_value(BPF_ADD, r2, 1);
		store(BPF_DW, r1, offsetof(CpumapQueue, packets), r2);
		lookup(maps.table, pass);
		load(BPF_DW, r1, r0, 0);
		store(BPF_DW, frame_pointer, wanted_at, r1);
	}

	// Leaves the CPU in the key on the stack, and in r3.
	void choose_cpu(Label &pass)
	{
		Label take, give, done;
		move(slot, hash);
		alu_value(BPF_AND, slot, (1 << cpumap_slot_bits) - 1);
		alu_value(BPF_LSH, slot, slot_shift);
		alu_value(BPF_ADD, slot, int32_t(offsetof(CpumapQueue, slots)));
		alu(BPF_ADD, slot, queue);
		load(BPF_DW, r2, slot, offsetof(CpumapSlot, last));
		jump_if(BPF_JEQ, r2, 0, take);
		load(BPF_DW, r3, slot, offsetof(CpumapSlot, cpu));
		load(BPF_DW, r1, frame_pointer, wanted_at);
		jump_if_registers(BPF_JEQ, r3, r1, give);
		store(BPF_W, frame_pointer, key_at, r3);
		lookup(maps.lanes, pass);
		receive_queue(r1);
		alu_value(BPF_LSH, r1, word_shift);
		alu(BPF_ADD, r0, r1);
		load(BPF_DW, r1, r0, offsetof(CpumapLane, clean));
		load(BPF_DW, r2, slot, offsetof(CpumapSlot, last));
		jump_if_registers(BPF_JGE, r1, r2, done);
		increment(queue, offsetof(CpumapQueue, stayed));
		load(BPF_DW, r3, slot, offsetof(CpumapSlot, cpu));
		jump(give);
		place(done);
		increment(queue, offsetof(CpumapQueue, moved));
		place(take);
		load(BPF_DW, r3, frame_pointer, wanted_at);
		store(BPF_DW, slot, offsetof(CpumapSlot, cpu), r3);
		place(give);
		alu_value(BPF_AND, r3, cpumap_most_cpus - 1);
		store(BPF_W, frame_pointer, key_at, r3);
	}

	void number_frame(Label &unnumbered)
	{
		move(r1, r3);
		alu_value(BPF_LSH, r1, word_shift);
		alu(BPF_ADD, r1, queue);
		load(BPF_DW, r2, r1, int16_t(offsetof(CpumapQueue, given)));
		alu_value(BPF_ADD, r2, 1);
		store(BPF_DW, frame_pointer, number_at, r2);
		move(r1, context);
		move_value(r2, -number_bytes);
		call(BPF_FUNC_xdp_adjust_meta);
		jump_if(BPF_JNE, r0, 0, unnumbered);
		load(BPF_W, r1, context, int16_t(offsetof(xdp_md, data_meta)));
		load(BPF_W, r2, context, int16_t(offsetof(xdp_md, data)));
		move(r3, r1);
		alu_value(BPF_ADD, r3, number_bytes);
		jump_if_registers(BPF_JGT, r3, r2, unnumbered);
		load(BPF_DW, r2, frame_pointer, number_at);
		receive_queue(r3);
		alu_value(BPF_LSH, r3, queue_shift);
		alu(BPF_OR, r3, r2);
		store(BPF_DW, r1, 0, r3);
		store(BPF_DW, slot, offsetof(CpumapSlot, last), r2);
		load(BPF_W, r1, frame_pointer, key_at);
		alu_value(BPF_AND, r1, cpumap_most_cpus - 1);
		alu_value(BPF_LSH, r1, word_shift);
		alu(BPF_ADD, r1, queue);
		store(BPF_DW, r1, int16_t(offsetof(CpumapQueue, given)), r2);
	}

	const CpumapMaps &maps;
};

// What the two programs on a frame's CPU share.
class LaneAssembler : public RssAssembler {
public:
	explicit LaneAssembler(const CpumapMaps &maps) : RssAssembler(maps.toeplitz, 0), maps(maps) {}

protected:
	static constexpr uint8_t lane = protocol;

	void find_lane(Label &none)
	{
		call(BPF_FUNC_get_smp_processor_id);
		store(BPF_W, frame_pointer, key_at, r0);
		lookup(maps.lanes, none);
		move(lane, r0);
	}
	// For all receive queues: words of `from` to words of `to`.
	void copy(size_t to, size_t from)
	{
		for (uint32_t q = 0; q < maps.nb_queues; q++) {
			load(BPF_DW, r1, lane, int16_t(from + q * sizeof(uint64_t)));
			store(BPF_DW, lane, int16_t(to + q * sizeof(uint64_t)), r1);
		}
	}

	const CpumapMaps &maps;
};

class LaneProgram : public LaneAssembler {
public:
	using LaneAssembler::LaneAssembler;

	FileDescriptor make(uint64_t age_ns)
	{
		Label pass, numbered;
		move(context, r1);
		load(BPF_W, r1, context, int16_t(offsetof(xdp_md, data_meta)));
		load(BPF_W, r2, context, int16_t(offsetof(xdp_md, data)));
		move(r3, r1);
		alu_value(BPF_ADD, r3, number_bytes);
		jump_if_registers(BPF_JGT, r3, r2, pass);
		load(BPF_DW, number, r1, 0);
		find_lane(pass);
		call(BPF_FUNC_get_current_task);
		store(BPF_DW, lane, offsetof(CpumapLane, task), r0);
		count_frame();
		advance(age_ns, numbered);
		place(numbered);
		// Else GRO would not merge it: it takes no packets with metadata.
		move(r1, context);
		move_value(r2, number_bytes);
		call(BPF_FUNC_xdp_adjust_meta);
		place(pass);
		move_value(r0, XDP_PASS);
		exit();
		return load_program(BPF_PROG_TYPE_XDP, xdp_has_frags, BPF_XDP_CPUMAP);
	}

private:
	static constexpr uint8_t number = hash, queue_words = l4_at;

	void count_frame()
	{
		move(queue_words, number);
		alu_value(BPF_RSH, queue_words, queue_shift);
		alu_value(BPF_AND, queue_words, cpumap_most_queues - 1);
		alu_value(BPF_LSH, queue_words, word_shift);
		alu(BPF_ADD, queue_words, lane);
		alu_value(BPF_LSH, number, 64 - queue_shift);
		alu_value(BPF_RSH, number, 64 - queue_shift);
		load(BPF_DW, r1, queue_words, offsetof(CpumapLane, done));
		move(r2, number);
		alu(BPF_SUB, r2, r1);
		load(BPF_DW, r1, lane, offsetof(CpumapLane, dropped));
		alu(BPF_ADD, r1, r2);
		alu_value(BPF_SUB, r1, 1);
		store(BPF_DW, lane, offsetof(CpumapLane, dropped), r1);
		store(BPF_DW, queue_words, offsetof(CpumapLane, done), number);
		load(BPF_DW, r1, lane, offsetof(CpumapLane, frames));
		alu_value(BPF_ADD, r1, 1);
		store(BPF_DW, lane, offsetof(CpumapLane, frames), r1);
	}

	// What had left the queue at the mark has left the stack when so many frames came behind it.
	void advance(uint64_t age_ns, Label &done)
	{
		if (age_ns > 0) { // and they begin to count when the mark is old enough
			Label old;
			call(BPF_FUNC_ktime_get_ns);
			load(BPF_DW, r1, lane, offsetof(CpumapLane, mark_ns));
			move(r2, r0);
			alu(BPF_SUB, r2, r1);
			move_wide(r3, age_ns);
			jump_if_registers(BPF_JGE, r2, r3, old);
			move_value(r1, 0);
			store(BPF_DW, lane, offsetof(CpumapLane, since_mark), r1);
			jump(done);
			place(old);
			move(number, r0);
		}
		load(BPF_DW, r1, lane, offsetof(CpumapLane, since_mark));
		alu_value(BPF_ADD, r1, 1);
		store(BPF_DW, lane, offsetof(CpumapLane, since_mark), r1);
		jump_if(BPF_JLT, r1, cpumap_flush_frames, done);
		move_value(r1, 0);
		store(BPF_DW, lane, offsetof(CpumapLane, since_mark), r1);
		if (age_ns > 0)
			store(BPF_DW, lane, offsetof(CpumapLane, mark_ns), number);
		copy(offsetof(CpumapLane, clean), offsetof(CpumapLane, mark));
		copy(offsetof(CpumapLane, mark), offsetof(CpumapLane, done));
	}
};

class SleepProgram : public LaneAssembler {
public:
	using LaneAssembler::LaneAssembler;

	FileDescriptor make()
	{
		Label out;
		move(context, r1);
		find_lane(out);
		load(BPF_DW, r1, lane, offsetof(CpumapLane, task));
		load(BPF_DW, r2, context, switch_from);
		jump_if_registers(BPF_JNE, r1, r2, out);
		load(BPF_DW, r1, context, switch_state);
		alu_value(BPF_AND, r1, task_interruptible);
		jump_if(BPF_JEQ, r1, 0, out);
		copy(offsetof(CpumapLane, clean), offsetof(CpumapLane, done));
		copy(offsetof(CpumapLane, mark), offsetof(CpumapLane, done));
		place(out);
		move_value(r0, 0);
		exit();
		return load_program(BPF_PROG_TYPE_RAW_TRACEPOINT);
	}
};

} // namespace

FileDescriptor cpumap_program(const CpumapMaps &maps)
{
	return GivingProgram(maps).make();
}

FileDescriptor cpumap_lane_program(const CpumapMaps &maps, uint64_t age_ns)
{
	return LaneProgram(maps).make(age_ns);
}

FileDescriptor cpumap_sleep_program(const CpumapMaps &maps)
{
	return SleepProgram(maps).make();
}

} // namespace reframer::engine
