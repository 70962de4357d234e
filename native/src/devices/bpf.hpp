// eBPF by its system call: maps, an assembler, the loader. No compiler and no library at run time.
#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace reframer::engine {

class FileDescriptor {
public:
	FileDescriptor() = default;
	explicit FileDescriptor(int fd) : fd(fd) {}
	FileDescriptor(FileDescriptor &&other) noexcept : fd(std::exchange(other.fd, -1)) {}
	FileDescriptor &operator=(FileDescriptor &&other) noexcept
	{
		std::swap(fd, other.fd);
		return *this;
	}
	~FileDescriptor();
	int get() const { return fd; }

private:
	int fd = -1;
};

// An array map of 64-bit words that lies in this process' memory too.
class BpfWords {
public:
	// @throws DeviceError
	explicit BpfWords(uint32_t nb_words);
	~BpfWords();
	BpfWords(const BpfWords &) = delete;
	BpfWords &operator=(const BpfWords &) = delete;

	int fd() const { return map.get(); }
	uint64_t load(uint32_t i) const { return __atomic_load_n(words + i, __ATOMIC_RELAXED); }
	void store(uint32_t i, uint64_t value) { __atomic_store_n(words + i, value, __ATOMIC_RELEASE); }

private:
	FileDescriptor map;
	uint64_t *words;
	size_t bytes;
};

// An array map of large values that lies in this process' memory too.
class BpfBlocks {
public:
	// @throws DeviceError
	BpfBlocks(uint32_t nb_blocks, uint32_t block_bytes);
	~BpfBlocks();
	BpfBlocks(const BpfBlocks &) = delete;
	BpfBlocks &operator=(const BpfBlocks &) = delete;

	int fd() const { return map.get(); }
	uint8_t *block(uint32_t i) const { return memory + size_t(i) * block_bytes; }

private:
	FileDescriptor map;
	uint8_t *memory;
	size_t block_bytes, bytes;
};

// How long programs run, as the kernel measures it while this lives: all of them, at some ns a run.
class BpfStatistics {
public:
	BpfStatistics(); // @throws DeviceError

private:
	FileDescriptor enabled;
};

struct BpfRuns {
	uint64_t ns, count;
};
BpfRuns bpf_runs(int program); // @throws DeviceError

// A map of one value, filled once; programs address it directly.
// @throws DeviceError
FileDescriptor bpf_constant(const void *value, uint32_t size);

// Attaches an XDP program; closing the descriptor, or the process' end, takes it off again.
// @return the link's descriptor, or -1 with errno
int bpf_xdp_link(int program, unsigned interface_index, uint32_t flags);

// The same before all else that an interface does with what it received (tcx, Linux 6.6).
int bpf_tcx_ingress_link(int program, unsigned interface_index);

// Runs a program at each of a tracepoint's events; closing the descriptor ends that.
// @return the link's descriptor, or -1 with errno
int bpf_raw_tracepoint(int program, const char *name);

// A map by whose entries XDP programs hand frames to CPUs.
FileDescriptor bpf_cpu_map(uint32_t nb_cpus); // @throws DeviceError
// Lets `program` take the frames for a CPU, behind a queue of `depth` frames. 0 or negative errno.
int bpf_cpu_map_set(int map, uint32_t cpu, uint32_t depth, int program);

// A map of AF_XDP sockets by receive queue.
FileDescriptor bpf_socket_map(uint32_t nb_queues); // @throws DeviceError

// A map of words by prefixes of addresses of so many bytes; a lookup finds the longest.
FileDescriptor bpf_prefix_map(uint32_t address_bytes, uint32_t entries); // @throws DeviceError
// Of any map, by its kind of key. 0 or negative errno.
int bpf_put(int map, const void *key, const void *value);
int bpf_remove(int map, const void *key);

// The map of a type that a loaded program uses. @throws DeviceError when it has none
FileDescriptor bpf_map_of_program(uint32_t program_id, bpf_map_type type);

// Waits until no program is running that could have read an older value of `map`: an update of a map
// of maps ends with synchronize_rcu() for exactly this purpose (kernel/bpf/syscall.c,
// maybe_wait_bpf_programs). A packet between the choice of its queue and that queue is in such a
// section too, so afterwards every packet steered by an older table is in its queue.
class BpfGrace {
public:
	explicit BpfGrace(int map_fd); // @throws DeviceError
	int wait();                    // 0 or negative errno

private:
	int inner;
	FileDescriptor outer;
};

// Writes programs instruction by instruction; jumps go forward to labels.
class BpfAssembler {
public:
	struct Label {
		std::vector<size_t> jumps;
	};

	void move(uint8_t to, uint8_t from) { emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
	void move_value(uint8_t to, int32_t value)
	{
		emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
	}
	void alu(uint8_t op, uint8_t to, uint8_t from) { emit(BPF_ALU64 | op | BPF_X, to, from, 0, 0); }
	void alu_value(uint8_t op, uint8_t to, int32_t value)
	{
		emit(BPF_ALU64 | op | BPF_K, to, 0, 0, value);
	}
	void to_host_order(uint8_t reg, int32_t bits)
	{
		emit(BPF_ALU | BPF_END | BPF_TO_BE, reg, 0, 0, bits);
	}
	void load(uint8_t size, uint8_t to, uint8_t base, int16_t offset)
	{
		emit(BPF_LDX | BPF_MEM | size, to, base, offset, 0);
	}
	void store(uint8_t size, uint8_t base, int16_t offset, uint8_t from)
	{
		emit(BPF_STX | BPF_MEM | size, base, from, offset, 0);
	}
	void atomic_add(uint8_t base, int16_t offset, uint8_t from)
	{
		emit(BPF_STX | BPF_ATOMIC | BPF_DW, base, from, offset, BPF_ADD);
	}
	void map(uint8_t to, int fd) { wide(to, BPF_PSEUDO_MAP_FD, fd, 0); }
	// Address of the map's value plus `offset`.
	void map_value(uint8_t to, int fd, int32_t offset)
	{
		wide(to, BPF_PSEUDO_MAP_VALUE, fd, offset);
	}
	void move_wide(uint8_t to, uint64_t value)
	{
		wide(to, 0, int32_t(value), int32_t(value >> 32));
	}
	void call(int32_t helper) { emit(BPF_JMP | BPF_CALL, 0, 0, 0, helper); }
	void jump(Label &to) { branch(BPF_JA, 0, 0, to); }
	void jump_if(uint8_t op, uint8_t reg, int32_t value, Label &to) { branch(op, reg, value, to); }
	void jump_if_registers(uint8_t op, uint8_t one, uint8_t other, Label &to)
	{
		to.jumps.push_back(code.size());
		emit(BPF_JMP | op | BPF_X, one, other, 0, 0);
	}
	void place(Label &label);
	void exit() { emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0); }

	// @throws DeviceError; with the verifier's last words when it refuses
	FileDescriptor load_program(bpf_prog_type type, uint32_t flags = 0,
	                            uint32_t attach_type = 0) const;

private:
	void emit(int code, uint8_t to, uint8_t from, int16_t offset, int32_t value);
	void wide(uint8_t to, uint8_t kind, int32_t low, int32_t high);
	void branch(uint8_t op, uint8_t reg, int32_t value, Label &to);

	std::vector<bpf_insn> code;
};

// @throws DeviceError for errno after `what` failed
[[noreturn]] void throw_errno(const char *code, const std::string &what);

} // namespace reframer::engine
