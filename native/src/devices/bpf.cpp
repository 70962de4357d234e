#include "devices/bpf.hpp"

#include "devices/table_device.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace reframer::engine {

namespace {

long bpf(bpf_cmd command, bpf_attr &attr)
{
	return syscall(SYS_bpf, command, &attr, sizeof(attr));
}

uint64_t address(const void *p)
{
	return reinterpret_cast<uint64_t>(p);
}

FileDescriptor create_map(bpf_map_type type, uint32_t value_size, uint32_t entries, uint32_t flags,
                          int inner = 0, uint32_t key_size = sizeof(uint32_t))
{
	bpf_attr attr = {};
	attr.map_type = type;
	attr.key_size = key_size;
	attr.value_size = value_size;
	attr.max_entries = entries;
	attr.map_flags = flags;
	attr.inner_map_fd = uint32_t(inner);
	const long fd = bpf(BPF_MAP_CREATE, attr);
	if (fd < 0)
		throw_errno("bpf-map", "cannot create an eBPF map");
	return FileDescriptor(int(fd));
}

int update(int map, uint32_t key, const void *value)
{
	return bpf_put(map, &key, value);
}

bpf_prog_info info_of(int program, uint32_t *map_ids = nullptr, uint32_t nb_map_ids = 0)
{
	bpf_prog_info info = {};
	info.map_ids = address(map_ids);
	info.nr_map_ids = nb_map_ids;
	bpf_attr attr = {};
	attr.info.bpf_fd = uint32_t(program);
	attr.info.info_len = sizeof(info);
	attr.info.info = address(&info);
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, attr) != 0)
		throw_errno("bpf-info", "cannot read about an eBPF program");
	return info;
}

} // namespace

void throw_errno(const char *code, const std::string &what)
{
	const int error = errno;
	const bool unsupported = error == EPERM || error == EACCES || error == ENOSYS ||
	                         error == ENODEV || error == ENOENT || error == EOPNOTSUPP ||
	                         error == ENXIO;
	const char *hint = error == EPERM || error == EACCES ? " (this needs root)" : "";
	throw DeviceError(code, what + ": " + std::strerror(error) + hint, unsupported);
}

FileDescriptor::~FileDescriptor()
{
	if (fd >= 0)
		close(fd);
}

BpfWords::BpfWords(uint32_t nb_words)
	: map(create_map(BPF_MAP_TYPE_ARRAY, sizeof(uint64_t), nb_words, BPF_F_MMAPABLE)),
	  bytes(size_t(nb_words) * sizeof(uint64_t))
{
	void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
	if (memory == MAP_FAILED)
		throw_errno("bpf-map", "cannot map an eBPF map");
	words = static_cast<uint64_t *>(memory);
}

BpfWords::~BpfWords()
{
	munmap(words, bytes);
}

BpfBlocks::BpfBlocks(uint32_t nb_blocks, uint32_t wanted_bytes)
	: map(create_map(BPF_MAP_TYPE_ARRAY, wanted_bytes, nb_blocks, BPF_F_MMAPABLE)),
	  block_bytes(wanted_bytes), bytes(block_bytes * nb_blocks)
{
	void *at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
	if (at == MAP_FAILED)
		throw_errno("bpf-map", "cannot map an eBPF map");
	memory = static_cast<uint8_t *>(at);
}

BpfBlocks::~BpfBlocks()
{
	munmap(memory, bytes);
}

BpfStatistics::BpfStatistics()
{
	bpf_attr attr = {};
	attr.enable_stats.type = BPF_STATS_RUN_TIME;
	enabled = FileDescriptor(int(bpf(BPF_ENABLE_STATS, attr)));
	if (enabled.get() < 0)
		throw_errno("bpf-stats", "the kernel does not measure eBPF programs");
}

BpfRuns bpf_runs(int program)
{
	const bpf_prog_info info = info_of(program);
	return {info.run_time_ns, info.run_cnt};
}

FileDescriptor bpf_constant(const void *value, uint32_t size)
{
	FileDescriptor map = create_map(BPF_MAP_TYPE_ARRAY, size, 1, BPF_F_RDONLY_PROG);
	if (const int error = update(map.get(), 0, value); error != 0) {
		errno = -error;
		throw_errno("bpf-map", "cannot fill an eBPF map");
	}
	return map;
}

int bpf_xdp_link(int program, unsigned interface_index, uint32_t flags)
{
	bpf_attr attr = {};
	attr.link_create.prog_fd = uint32_t(program);
	attr.link_create.target_ifindex = interface_index;
	attr.link_create.attach_type = BPF_XDP;
	attr.link_create.flags = flags;
	return int(bpf(BPF_LINK_CREATE, attr));
}

int bpf_tcx_ingress_link(int program, unsigned interface_index)
{
	constexpr uint32_t tcx_ingress = 46; // BPF_TCX_INGRESS: headers may be older than the kernel
	bpf_attr attr = {};
	attr.link_create.prog_fd = uint32_t(program);
	attr.link_create.target_ifindex = interface_index;
	attr.link_create.attach_type = tcx_ingress;
	return int(bpf(BPF_LINK_CREATE, attr));
}

int bpf_raw_tracepoint(int program, const char *name)
{
	bpf_attr attr = {};
	attr.raw_tracepoint.name = address(name);
	attr.raw_tracepoint.prog_fd = uint32_t(program);
	return int(bpf(BPF_RAW_TRACEPOINT_OPEN, attr));
}

FileDescriptor bpf_cpu_map(uint32_t nb_cpus)
{
	return create_map(BPF_MAP_TYPE_CPUMAP, sizeof(bpf_cpumap_val), nb_cpus, 0);
}

int bpf_cpu_map_set(int map, uint32_t cpu, uint32_t depth, int program)
{
	bpf_cpumap_val value = {};
	value.qsize = depth;
	value.bpf_prog.fd = program;
	return update(map, cpu, &value);
}

FileDescriptor bpf_socket_map(uint32_t nb_queues)
{
	return create_map(BPF_MAP_TYPE_XSKMAP, sizeof(uint32_t), nb_queues, 0);
}

FileDescriptor bpf_prefix_map(uint32_t address_bytes, uint32_t entries)
{
	return create_map(BPF_MAP_TYPE_LPM_TRIE, sizeof(uint64_t), entries, BPF_F_NO_PREALLOC, 0,
	                  uint32_t(sizeof(uint32_t)) + address_bytes);
}

int bpf_put(int map, const void *key, const void *value)
{
	bpf_attr attr = {};
	attr.map_fd = uint32_t(map);
	attr.key = address(key);
	attr.value = address(value);
	return bpf(BPF_MAP_UPDATE_ELEM, attr) == 0 ? 0 : -errno;
}

int bpf_remove(int map, const void *key)
{
	bpf_attr attr = {};
	attr.map_fd = uint32_t(map);
	attr.key = address(key);
	return bpf(BPF_MAP_DELETE_ELEM, attr) == 0 ? 0 : -errno;
}

FileDescriptor bpf_map_of_program(uint32_t program_id, bpf_map_type type)
{
	const auto by_id = [](bpf_cmd command, uint32_t id) {
		bpf_attr attr = {};
		attr.prog_id = id;
		return FileDescriptor(int(bpf(command, attr)));
	};
	const FileDescriptor program = by_id(BPF_PROG_GET_FD_BY_ID, program_id);
	uint32_t ids[64] = {};
	const uint32_t nb = std::min<uint32_t>(info_of(program.get(), ids, 64).nr_map_ids, 64);
	for (uint32_t i = 0; i < nb; i++) {
		FileDescriptor map = by_id(BPF_MAP_GET_FD_BY_ID, ids[i]);
		bpf_map_info info = {};
		bpf_attr attr = {};
		attr.info.bpf_fd = uint32_t(map.get());
		attr.info.info_len = sizeof(info);
		attr.info.info = address(&info);
		if (bpf(BPF_OBJ_GET_INFO_BY_FD, attr) == 0 && info.type == type)
			return map;
	}
	throw DeviceError("bpf-map", "the program on this interface has no such map", false);
}

BpfGrace::BpfGrace(int map_fd)
	: inner(map_fd), outer(create_map(BPF_MAP_TYPE_ARRAY_OF_MAPS, sizeof(uint32_t), 1, 0, map_fd))
{
}

int BpfGrace::wait()
{
	return update(outer.get(), 0, &inner);
}

void BpfAssembler::emit(int op, uint8_t to, uint8_t from, int16_t offset, int32_t value)
{
	bpf_insn insn = {};
	insn.code = uint8_t(op);
	insn.dst_reg = to & 15;
	insn.src_reg = from & 15;
	insn.off = offset;
	insn.imm = value;
	code.push_back(insn);
}

void BpfAssembler::wide(uint8_t to, uint8_t kind, int32_t low, int32_t high)
{
	emit(BPF_LD | BPF_DW | BPF_IMM, to, kind, 0, low);
	emit(0, 0, 0, 0, high);
}

void BpfAssembler::branch(uint8_t op, uint8_t reg, int32_t value, Label &to)
{
	to.jumps.push_back(code.size());
	emit(BPF_JMP | op | BPF_K, reg, 0, 0, value);
}

void BpfAssembler::place(Label &label)
{
	for (size_t jump : label.jumps)
		code[jump].off = int16_t(code.size() - jump - 1);
}

FileDescriptor BpfAssembler::load_program(bpf_prog_type type, uint32_t flags,
                                          uint32_t attach_type) const
{
	static const char license[] = "GPL"; // what the helpers that read packets ask for
	std::string log(size_t{64} << 10, '\0');
	bpf_attr attr = {};
	attr.prog_type = type;
	attr.prog_flags = flags;
	attr.expected_attach_type = attach_type;
	attr.insn_cnt = uint32_t(code.size());
	attr.insns = address(code.data());
	attr.license = address(license);
	attr.log_level = 1;
	attr.log_buf = address(log.data());
	attr.log_size = uint32_t(log.size());
	long fd = bpf(BPF_PROG_LOAD, attr);
	if (fd < 0 && errno == ENOSPC) { // the log was too long: the program may be sound
		attr.log_level = 0;
		attr.log_buf = 0;
		attr.log_size = 0;
		fd = bpf(BPF_PROG_LOAD, attr);
	}
	if (fd < 0) {
		const int error = errno;
		log.resize(std::strlen(log.c_str()));
		const std::string tail = log.size() > 400 ? log.substr(log.size() - 400) : log;
		errno = error;
		throw_errno("bpf-load", "the kernel refuses the eBPF program" +
		                            (tail.empty() ? "" : " [" + tail + "]"));
	}
	return FileDescriptor(int(fd));
}

} // namespace reframer::engine
