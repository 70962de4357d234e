#include "lab/captures/generate_spec.hpp"

namespace reframer::lab {

traffic::GeneratorParams read_generator_params(SpecReader &reader)
{
	using traffic::Profile;
	traffic::GeneratorParams p;
	p.profile = reader.choice("profile", Profile::campus,
	                          {{"campus", Profile::campus},
	                           {"clients", Profile::clients},
	                           {"uniform", Profile::uniform}});
	const bool campus = p.profile == Profile::campus, clients = p.profile == Profile::clients;
	for (const char *name : {"flows", "frameLength"})
		if (campus && reader.has(name))
			reader.fail(name,
			            "is not for profile campus: its flows and lengths are the published ones");
	for (const char *name : {"packetsPerFlow", "interleave"})
		if (!clients && reader.has(name))
			reader.fail(name, "is for profile clients only");
	if (reader.has("segments") && (!campus || reader.has("rateBps")))
		reader.fail("segments", "is for profile campus, instead of rateBps");

	p.flows = static_cast<uint32_t>(reader.integer("flows", p.flows, 1, 1u << 30));
	p.packets_per_flow =
		static_cast<uint32_t>(reader.integer("packetsPerFlow", p.packets_per_flow, 1, 1u << 30));
	p.interleave =
		static_cast<uint32_t>(reader.integer("interleave", p.interleave, 1, p.packets_per_flow));
	p.frame_length = static_cast<uint32_t>(
		reader.integer("frameLength", p.frame_length, 60, traffic::max_frame_length));
	const uint64_t packets = clients ? uint64_t{p.flows} * p.packets_per_flow : 1000000;
	p.packets = reader.integer("packets", packets, 1, uint64_t{1} << 40);
	p.rate_bps = static_cast<uint64_t>(reader.real("rateBps", campus ? 70e9 : 10e9, 1e5, 10e12));
	if (reader.has("segments"))
		p.rate_bps = static_cast<uint64_t>(reader.real("segments", 30, 0.01, 4000) *
		                                   static_cast<double>(traffic::campus_segment_bps));
	else
		reader.take("segments");
	p.snaplen = static_cast<uint32_t>(reader.integer("snaplen", p.snaplen, 64, 262144));
	p.seed = reader.integer("seed", p.seed, 0, uint64_t{1} << 53);
	return p;
}

} // namespace reframer::lab
