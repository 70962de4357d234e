#include "devices/rss_program.hpp"

#include "devices/rss_assembler.hpp"
#include "devices/table_device.hpp"

#include <array>
#include <memory>

namespace reframer::engine {

namespace {

// One byte of input at position i selects among 256 words; 36 x 1 KiB.
using ToeplitzTables = std::array<std::array<uint32_t, 256>, packet::toeplitz_input_max>;
static_assert(sizeof(ToeplitzTables::value_type) == FrameAssembler::toeplitz_row_bytes);

// Leaves the bucket's number in the key on the stack, counted.
void count_bucket(RssAssembler &program, const RssMaps &maps, const HashedPorts &ports)
{
	using namespace bpf_reg;
	program.hash_frame(ports);
	program.key_of_bucket(maps.nb_buckets);
	BpfAssembler::Label absent;
	program.lookup(maps.counters, absent);
	program.move_value(r1, 1);
	program.atomic_add(r0, 0, r1);
	program.place(absent);
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
	using namespace bpf_reg;
	RssAssembler program(maps.toeplitz, BPF_FUNC_skb_load_bytes);
	BpfAssembler::Label absent;
	count_bucket(program, maps, HashedPorts{});
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
	RssAssembler program(maps.toeplitz, BPF_FUNC_xdp_load_bytes);
	count_bucket(program, maps, ports);
	program.move_value(bpf_reg::r0, XDP_PASS);
	program.exit();
	return program.load_program(BPF_PROG_TYPE_XDP);
}

} // namespace reframer::engine
