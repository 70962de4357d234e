// Job `generate`: writes synthetic traffic to a capture (pcap with nanoseconds). The same
// specification and seed give the same bytes on every machine.
//
// Specification: out (file), and the generator's options (generate_spec.hpp).
// Result, one record: {job, file, profile, packets, flows, bytes, durationSeconds, slf, seed,
// queues: {"8": slf}}: `flows` counts directional 5-tuples, `slf` is that of the whole stream in one
// queue, `queues` that after RSS over eight.
#include "lab/captures/capture_input.hpp"
#include "lab/captures/generate_spec.hpp"
#include "traffic/capture_writer.hpp"
#include "traffic/generator_slf.hpp"

#include <iterator>

namespace reframer::lab {

namespace {

constexpr uint32_t rss_queues = 8; // as the published runs

void generate(const std::string &file, const traffic::GeneratorParams &params)
{
	traffic::Generator generator(params);
	std::vector<uint8_t> bytes(std::min<size_t>(params.snaplen, traffic::max_frame_length));
	traffic::CaptureWriter writer(file);
	const traffic::CaptureInterface interface {
	};
	traffic::SlfByDelay one_queue({0}, 1), rss({0}, rss_queues);
	TrafficTotals totals;
	Progress progress("generating packets", params.packets);
	traffic::PacketMeta burst[256];
	while (const size_t n = generator.read_meta(burst, std::size(burst))) {
		for (size_t i = 0; i < n; i++) {
			const traffic::PacketMeta &meta = burst[i];
			const auto captured =
				static_cast<uint32_t>(generator.write(meta, bytes.data(), bytes.size()));
			writer.write(
				{bytes.data(), captured, meta.length, meta.time_ns, packet::LinkType::ethernet, 0},
				meta.time_ns, interface);
			one_queue.add(meta, 0);
			rss.add(meta, traffic::rss_queue(meta.hash, rss_queues));
			totals.add(meta);
		}
		progress(totals.packets);
	}
	writer.finish();
	static constexpr const char *names[] = {"uniform", "clients", "campus"};
	emit(joined(NAMED(file, totals.packets, totals.flows, totals.bytes, params.seed),
	            {{"job", "generate"},
	             {"profile", names[static_cast<size_t>(params.profile)]},
	             {"durationSeconds", static_cast<double>(totals.last_ns) / 1e9},
	             {"slf", one_queue.slf(0)},
	             {"queues", {{std::to_string(rss_queues), rss.slf(0)}}}}));
}

} // namespace

void run_generate(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string file = reader.needed("out", "must name the capture to write");
	const traffic::GeneratorParams params = read_generator_params(reader);
	reader.finish();
	generate(file, params);
}

} // namespace reframer::lab
