#include "lab/reframer/trial_source.hpp"

#include "jobs/spec_reader.hpp"
#include "traffic/generator.hpp"

#include <algorithm>
#include <array>

namespace reframer::lab {

namespace {

traffic::GeneratorParams generator_params(const TrialSpec &spec)
{
	traffic::GeneratorParams p;
	SpecReader in(spec.source.generator, "source");
	p.profile = spec.source.profile;
	p.rate_bps = static_cast<uint64_t>(spec.offered_bps);
	p.seed = spec.seed;
	if (p.profile == traffic::Profile::campus) {
		// None by default: the chain is IPv4, and the published rates are of what passed it.
		p.campus.ipv6_permille = in.integer<uint32_t>("ipv6Permille", 0, 0, 1000);
		in.read("quicPermille", p.campus.quic_permille, 0, 1000);
		in.read("udpPermille", p.campus.udp_permille, 0, 1000);
	} else {
		const bool flood = p.profile == traffic::Profile::syn_flood;
		p.flows = flood ? 1u << 28 : p.flows;
		p.frame_length = flood ? 60 : p.frame_length;
		in.read("flows", p.flows, 1, 1u << 28);
		in.read("frameLength", p.frame_length, 60, 9014);
	}
	if (p.profile == traffic::Profile::incast)
		p.interleave = in.integer<uint32_t>("burstPackets", 8, 1, 1u << 20);
	if (p.profile == traffic::Profile::clients) {
		in.read("interleave", p.interleave, 1, 1u << 20);
		in.read("packetsPerFlow", p.packets_per_flow, 1, 1u << 20);
	}
	in.finish();
	return p;
}

class GeneratorSource final : public TrialSource {
public:
	GeneratorSource(const traffic::GeneratorParams &params, uint32_t queues)
		: TrialSource(queues), generator_(params)
	{
	}

private:
	bool peek(Packet &out) override
	{
		if (at_ == size_) {
			size_ = generator_.read_meta(meta_.data(), meta_.size());
			at_ = 0;
			if (!size_)
				return false;
		}
		const traffic::PacketMeta &m = meta_[at_];
		out = {m.time_ns, std::min<uint32_t>(m.length, nf::Mbuf::data_room), m.length, m.hash,
		       m.flow};
		return true;
	}
	void copy(uint8_t *frame, uint32_t captured) override
	{
		generator_.write(meta_[at_], frame, captured);
	}
	void next() override { at_++; }

	traffic::Generator generator_;
	std::array<traffic::PacketMeta, 256> meta_;
	size_t at_ = 0, size_ = 0;
};

} // namespace

bool TrialSource::note_flow(uint32_t flow)
{
	if (flow >= seen_.size())
		seen_.resize(std::max<size_t>(flow + 1, seen_.size() * 2));
	bool first = !seen_[flow];
	seen_[flow] = true;
	nb_flows_ += first;
	return first;
}

uint64_t TrialSource::fill(uint64_t until_ns, Arena &arena,
                           std::vector<std::vector<engine::Arrival>> &queues)
{
	uint64_t last = 0;
	for (Packet p; peek(p); next()) {
		if (p.time_ns > until_ns)
			break;
		if (arena.full() && p.time_ns > last)
			return last;
		uint8_t *frame = arena.take(p.captured);
		if (!frame)
			throw JobError("failed", "too many packets at one instant of the source");
		copy(frame, p.captured);
		note_flow(p.flow);
		queues[traffic::rss_queue(p.rss, queues_)].push_back(
			{p.time_ns, frame, p.captured, p.wire, p.rss, p.flow});
		last = p.time_ns;
	}
	return until_ns;
}

void TrialSource::learn(uint64_t until_ns, const Visit &visit)
{
	std::array<uint8_t, 128> header;
	for (Packet p; peek(p) && p.time_ns <= until_ns; next()) {
		if (!note_flow(p.flow))
			continue;
		uint32_t captured = std::min<uint32_t>(p.captured, header.size());
		copy(header.data(), captured);
		visit(traffic::rss_queue(p.rss, queues_), header.data(), captured);
	}
}

size_t arena_estimate(const TrialSpec &spec)
{
	double seconds = static_cast<double>(spec.warmup_ns + spec.duration_ns) * 1e-9;
	// Frames of a capture may be as long as a buffer; a short trial may see a burst above the mean.
	double bytes =
		spec.offered_pps > 0 ? spec.offered_pps * nf::Mbuf::data_room : spec.offered_bps / 8;
	return static_cast<size_t>(bytes * seconds * 1.2) + (16u << 20);
}

void check_trial_source(const TrialSpec &spec)
{
	if (spec.source.file.empty())
		generator_params(spec);
}

std::unique_ptr<TrialSource> open_trial_source(const TrialSpec &spec)
{
	if (!spec.source.file.empty())
		return open_capture_source(spec);
	try {
		return std::make_unique<GeneratorSource>(generator_params(spec), spec.queues);
	} catch (const traffic::GeneratorError &e) {
		throw JobError("bad-spec", std::string("source: ") + e.what(), 2);
	}
}

} // namespace reframer::lab
