// Job `drop-frames`: loss on an interface, by an XDP program, for kernels without netem.
//
// spec    {"interface": "IF", "oneIn": 100 (of the frames that it receives), "seed": 1 (which ones)}
// Serves until the end of its input, or {"do":"stop"}; {"do":"stats"} gets {"stats":{"seen","dropped"}}.
// First record {"ready":{"interface"}}, last {"summary":{"seen","dropped"}}.
#include "devices/bpf.hpp"
#include "devices/table_device.hpp"
#include "jobs/device_session.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/jobs.hpp"

#include <linux/if_link.h>
#include <net/if.h>

namespace reframer::lab {

namespace {

enum Word : uint32_t { seen, dropped, drawn, nb_words }; // of the one block

engine::FileDescriptor dropping_program(const engine::BpfBlocks &counts, uint32_t one_in)
{
	engine::BpfAssembler code;
	engine::BpfAssembler::Label pass;
	code.map_value(BPF_REG_6, counts.fd(), 0);
	code.move_value(BPF_REG_1, 1);
	code.atomic_add(BPF_REG_6, seen * 8, BPF_REG_1);
	// Numerical Recipes' generator, modulo 2^32, whose upper half is used.
	code.load(BPF_DW, BPF_REG_0, BPF_REG_6, drawn * 8);
	code.alu_value(BPF_MUL, BPF_REG_0, 1664525);
	code.alu_value(BPF_ADD, BPF_REG_0, 1013904223);
	code.alu_value(BPF_LSH, BPF_REG_0, 32);
	code.alu_value(BPF_RSH, BPF_REG_0, 32);
	code.store(BPF_DW, BPF_REG_6, drawn * 8, BPF_REG_0);
	code.alu_value(BPF_RSH, BPF_REG_0, 16);
	code.alu_value(BPF_MOD, BPF_REG_0, static_cast<int32_t>(one_in));
	code.jump_if(BPF_JNE, BPF_REG_0, 0, pass);
	code.move_value(BPF_REG_1, 1);
	code.atomic_add(BPF_REG_6, dropped * 8, BPF_REG_1);
	code.move_value(BPF_REG_0, XDP_DROP);
	code.exit();
	code.place(pass);
	code.move_value(BPF_REG_0, XDP_PASS);
	code.exit();
	return code.load_program(BPF_PROG_TYPE_XDP);
}

} // namespace

void run_drop_frames(const Json &json)
{
	SpecReader in(json, "");
	const std::string interface = in.needed("interface");
	const auto one_in = in.integer<uint32_t>("oneIn", 100, 1, 65536);
	const auto seed = in.integer<uint32_t>("seed", 1, 0, UINT32_MAX);
	in.finish();
	SessionInput input;
	const unsigned index = if_nametoindex(interface.c_str());
	if (index == 0)
		throw JobError("not-supported", "there is no interface '" + interface + "'", 3);
	try {
		const engine::BpfBlocks counts(1, nb_words * 8);
		reinterpret_cast<uint64_t *>(counts.block(0))[drawn] = seed;
		const engine::FileDescriptor program = dropping_program(counts, one_in);
		const engine::FileDescriptor link(
			engine::bpf_xdp_link(program.get(), index, XDP_FLAGS_SKB_MODE));
		if (link.get() < 0)
			engine::throw_errno("xdp-attach", "no XDP program can be put on '" + interface + "'");
		const auto said = [&] {
			const auto *words = reinterpret_cast<const uint64_t *>(counts.block(0));
			return Json{{"seen", __atomic_load_n(words + seen, __ATOMIC_RELAXED)},
			            {"dropped", __atomic_load_n(words + dropped, __ATOMIC_RELAXED)}};
		};
		emit({{"ready", {{"interface", interface}}}});
		while (const std::optional<std::string> line = input.line()) {
			const Json command = Json::parse(*line, nullptr, false);
			if (!command.is_object() || command.value("do", Json()) != "stats")
				break;
			emit({{"stats", said()}});
		}
		emit({{"summary", said()}});
	} catch (const engine::DeviceError &error) {
		throw JobError("not-supported", error.what(), 3);
	}
}

} // namespace reframer::lab
