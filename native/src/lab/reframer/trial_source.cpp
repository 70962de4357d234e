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
	if (spec.source.profile == "clients")
		p.profile = traffic::Profile::clients;
	else if (spec.source.profile == "uniform")
		p.profile = traffic::Profile::uniform;
	else if (spec.source.profile == "syn-flood")
		p.profile = traffic::Profile::syn_flood;
	else if (spec.source.profile == "elephant")
		p.profile = traffic::Profile::elephant;
	else if (spec.source.profile == "incast")
		p.profile = traffic::Profile::incast;
	p.rate_bps = static_cast<uint64_t>(spec.offered_bps);
	p.seed = spec.seed;
	if (p.profile == traffic::Profile::campus) {
		// None by default: the chain is IPv4, and the published rates are of what passed it.
		p.campus.ipv6_permille = static_cast<uint32_t>(in.integer("ipv6Permille", 0, 0, 1000));
		p.campus.quic_permille =
			static_cast<uint32_t>(in.integer("quicPermille", p.campus.quic_permille, 0, 1000));
		p.campus.udp_permille =
			static_cast<uint32_t>(in.integer("udpPermille", p.campus.udp_permille, 0, 1000));
	} else {
		const bool flood = p.profile == traffic::Profile::syn_flood;
		p.flows =
			static_cast<uint32_t>(in.integer("flows", flood ? 1u << 28 : p.flows, 1, 1u << 28));
		p.frame_length =
			static_cast<uint32_t>(in.integer("frameLength", flood ? 60 : p.frame_length, 60, 9014));
	}
	if (p.profile == traffic::Profile::incast)
		p.interleave = static_cast<uint32_t>(in.integer("burstPackets", 8, 1, 1u << 20));
	if (p.profile == traffic::Profile::clients) {
		p.interleave = static_cast<uint32_t>(in.integer("interleave", p.interleave, 1, 1u << 20));
		p.packets_per_flow =
			static_cast<uint32_t>(in.integer("packetsPerFlow", p.packets_per_flow, 1, 1u << 20));
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
