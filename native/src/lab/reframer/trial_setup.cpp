#include "lab/reframer/trial_setup.hpp"

#include "base/region.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"
#include "nf/prefixes.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>
#include <vector>

namespace reframer::lab {

namespace {

// Packets on which both forms of the chain must agree, in every trial.
constexpr size_t form_sample = 2048;

} // namespace

nf::Config chain_config(const TrialSpec &spec)
{
	nf::Config config;
	config.kind = spec.chain;
	config.nb_rules = spec.rules;
	config.nb_packet_rules = spec.packet_rules;
	config.look_ahead = spec.look_ahead;
	config.deny_share = spec.deny_share;
	config.seed = spec.seed;
	config.table_capacity = table_capacity(spec.queues);
	return config;
}

reframer_params stage_params(const TrialSpec &spec)
{
	reframer_params p;
	reframer_default_params(&p);
	p.policy = spec.policy == HoldPolicy::burst      ? REFRAMER_BURST
	           : spec.policy == HoldPolicy::adaptive ? REFRAMER_ADAPTIVE
	                                                 : REFRAMER_FIXED;
	p.key = spec.key;
	p.delay_ns = spec.delay_ns;
	p.max_packets = spec.max_held;
	p.early = spec.early;
	p.bypass = spec.bypass;
	p.options = spec.ack_thinning ? REFRAMER_OPT_ACK_THINNING : 0;
	p.hash_seed = spec.seed | 1; // 0 would draw one
	return p;
}

Stage make_stage(const TrialSpec &spec)
{
	if (spec.policy == HoldPolicy::off)
		return nullptr;
	reframer_params p = stage_params(spec);
	reframer_rule sensitive{};
	sensitive.protocol = spec.sensitive;
	const bool passes = spec.sensitive && spec.sensitive_passes;
	p.rules = passes ? &sensitive : nullptr; // copied
	p.nb_rules = passes ? 1 : 0;
	return make_stage(p);
}

bool forms_agree(const nf::ChainFactory &all, std::span<const engine::Arrival> arrivals)
{
	std::vector<engine::Arrival> sample(
		arrivals.begin(),
		arrivals.begin() + static_cast<std::ptrdiff_t>(std::min(arrivals.size(), form_sample)));
	std::stable_sort(sample.begin(), sample.end(),
	                 [](const auto &a, const auto &b) { return a.rss < b.rss; });
	auto n = static_cast<uint32_t>(sample.size());
	nf::ChainFactory factory(all, form_sample * 2);
	base::Region<uint8_t> memory[2];
	uint32_t kept[2];
	std::unique_ptr<nf::Chain> chains[2];
	std::vector<nf::Mbuf *> packets[2], dropped(n);
	std::vector<reframer_run> runs; // as a stage gives them that holds nothing
	for (uint32_t i = 0; i < n; i++)
		if (runs.empty() || runs.back().hash != sample[i].rss)
			runs.push_back({i, 1, sample[i].rss, REFRAMER_BY_DEADLINE});
		else
			runs.back().count++;
	for (int form = 0; form < 2; form++) {
		memory[form] = base::Region<uint8_t>(std::max<size_t>(n, 1) * nf::Mbuf::stride);
		for (uint32_t i = 0; i < n; i++) {
			auto *m = reinterpret_cast<nf::Mbuf *>(memory[form].data() + i * nf::Mbuf::stride);
			m->captured = sample[i].captured;
			m->wire = sample[i].wire;
			std::copy_n(sample[i].data, sample[i].captured, m->data());
			packets[form].push_back(m);
		}
		chains[form] = factory.make(form ? nf::Form::run : nf::Form::packet, 0);
		kept[form] = chains[form]->process(runs, packets[form].data(), n, dropped.data());
	}
	if (kept[0] != kept[1] || chains[0]->table_digest() != chains[1]->table_digest())
		return false;
	for (uint8_t v = 0; v < nf::nb_verdicts; v++)
		if (chains[0]->verdicts(v) != chains[1]->verdicts(v))
			return false;
	for (uint32_t i = 0; i < kept[0]; i++) {
		const nf::Mbuf *a = packets[0][i], *b = packets[1][i];
		if (a->captured != b->captured ||
		    !std::equal(a->data(), a->data() + a->captured, b->data()))
			return false;
	}
	return true;
}

double worst_packet_ns(const nf::ChainFactory &all, const TrialSpec &spec, double tsc_hz)
{
	constexpr uint32_t burst = 32, bursts = 33;
	auto chain = nf::ChainFactory(all, std::bit_ceil(burst * bursts)).make(spec.form, 0);
	base::Region<uint8_t> memory(burst * nf::Mbuf::stride);
	nf::Random random{spec.seed};
	std::vector<nf::Mbuf *> packets(burst), dropped(burst);
	std::vector<double> cost;
	for (uint32_t b = 0; b < bursts; b++) {
		for (uint32_t i = 0; i < burst; i++) {
			packets[i] = reinterpret_cast<nf::Mbuf *>(memory.data() + i * nf::Mbuf::stride);
			packets[i]->captured = packets[i]->wire = 60;
			uint8_t frame[60] = {};
			frame[12] = 0x08; // IPv4, UDP, random addresses and ports
			frame[14] = 0x45;
			frame[22] = 64;
			frame[23] = 17;
			uint64_t words[2] = {random.next(), random.next()};
			std::memcpy(frame + 26, words, 12);
			std::memcpy(packets[i]->data(), frame, sizeof(frame));
		}
		uint64_t start = engine::tsc_start();
		chain->process({}, packets.data(), burst, dropped.data());
		cost.push_back(static_cast<double>(engine::tsc_stop() - start) / tsc_hz * 1e9 / burst);
	}
	return engine::median(std::move(cost));
}

} // namespace reframer::lab
