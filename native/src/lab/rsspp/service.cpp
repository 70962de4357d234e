// Service times of a real chain on this machine, for cores in virtual time to draw from: classifier,
// counter, router, firewall, NAT and rewrite, one packet at a time, headers not in the private caches.
#include "lab/rsspp/service.hpp"

#include "lab/udp_frame.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"
#include "nf/chain.hpp"

#include <algorithm>
#include <new>
#include <random>

namespace reframer::lab {

namespace {

constexpr uint32_t nb_buffers =
	4096; // 9.7 MB: a buffer comes round again when its lines are long gone
constexpr uint32_t nb_flows = 20'000, nb_warm = 8192, nb_samples = 32768;
// What took so many times the median was interrupted.
constexpr double interrupted = 50;

} // namespace

std::vector<float> measure_service_ns(uint64_t seed)
{
	nf::Config config;
	config.kind = nf::ChainKind::modern;
	config.nb_rules = 500;
	config.table_capacity = 1u << 16;
	const auto chain = nf::ChainFactory(config).make(nf::Form::packet, 0);
	std::vector<PacketBuffer> pool(nb_buffers);
	std::mt19937_64 random(seed);
	const double ns_a_tick = 1e9 / engine::measure_tsc_hz(),
				 overhead = engine::measure_tsc_overhead();
	std::vector<float> samples;
	samples.reserve(nb_samples);
	for (uint32_t i = 0; i < nb_warm + nb_samples; i += nb_buffers) {
		nf::Mbuf *mbuf[nb_buffers];
		for (uint32_t k = 0; k < nb_buffers; k++) {
			mbuf[k] = new (&pool[k]) nf::Mbuf{};
			// A tenth of the flows brings half of the packets.
			write_udp_frame(mbuf[k],
			                uint32_t(random() % (random() % 2 ? nb_flows : nb_flows / 10)));
		}
		for (uint32_t k = 0; k < nb_buffers; k++) {
			nf::Mbuf *dropped[1];
			const uint64_t start = engine::tsc_start();
			chain->process({}, &mbuf[k], 1, dropped);
			const uint64_t stop = engine::tsc_stop();
			if (i >= nb_warm)
				samples.push_back(
					float(std::max(1.0, (double(stop - start) - overhead) * ns_a_tick)));
		}
	}
	const double most = interrupted * engine::median(samples);
	std::erase_if(samples, [most](float s) { return s > most; });
	return samples;
}

} // namespace reframer::lab
