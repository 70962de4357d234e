// Job `generate`: writes synthetic traffic to a capture (pcap with nanoseconds). The same
// specification and seed give the same bytes on every machine.
//
// Specification: out (file), and the generator's options (generate_spec.hpp).
// Result, one record: {job, file, profile, packets, flows, bytes, durationSeconds, slf, seed,
// queues: {"8": slf}}: `flows` counts directional 5-tuples, `slf` is that of the whole stream in one
// queue, `queues` that after RSS over eight.
#include "jobs/job.hpp"
#include "lab/captures/capture_input.hpp"
#include "lab/captures/generate_spec.hpp"
#include "traffic/capture_writer.hpp"
#include "traffic/generator_slf.hpp"

#include <chrono>

namespace reframer::lab {

namespace {

constexpr uint32_t rss_queues = 8; // as the published runs

// Each packet's metadata alongside its frame, so that what is counted is what is written.
class Counted {
public:
	explicit Counted(const traffic::GeneratorParams &params)
		: generator(params), stride_(std::min<size_t>(params.snaplen, traffic::max_frame_length)),
		  bytes_(stride_)
	{
	}

	packet::Frame frame(const traffic::PacketMeta &meta)
	{
		const size_t captured = generator.write(meta, bytes_.data(), stride_);
		return {bytes_.data(), static_cast<uint32_t>(captured), meta.length,
		        meta.time_ns,  packet::LinkType::ethernet,      0};
	}

	traffic::Generator generator;

private:
	size_t stride_;
	std::vector<uint8_t> bytes_;
};

void generate(const std::string &file, const traffic::GeneratorParams &params)
{
	Counted source(params);
	traffic::CaptureWriter writer(file);
	const traffic::CaptureInterface interface {
	};
	traffic::SlfByDelay one_queue({0}, 1), rss({0}, rss_queues);
	std::vector<bool> seen;
	uint64_t packets = 0, flows = 0, bytes = 0, last = 0;
	auto reported = std::chrono::steady_clock::now();
	traffic::PacketMeta burst[256];
	while (const size_t n = source.generator.read_meta(burst, std::size(burst))) {
		for (size_t i = 0; i < n; i++) {
			const traffic::PacketMeta &meta = burst[i];
			writer.write(source.frame(meta), meta.time_ns, interface);
			one_queue.add(meta, 0);
			rss.add(meta, traffic::rss_queue(meta.hash, rss_queues));
			bytes += meta.length;
			if (seen.size() <= meta.flow)
				seen.resize(meta.flow * size_t{2} + 1);
			flows += !seen[meta.flow];
			seen[meta.flow] = true;
		}
		last = burst[n - 1].time_ns;
		packets += n;
		const auto now = std::chrono::steady_clock::now();
		if (now - reported > std::chrono::milliseconds(250)) {
			reported = now;
			emit(
				{{"progress",
			      {{"done", packets}, {"total", params.packets}, {"what", "generating packets"}}}});
		}
	}
	writer.finish();
	static constexpr const char *names[] = {"uniform", "clients", "campus"};
	emit({{"job", "generate"},
	      {"file", file},
	      {"profile", names[static_cast<size_t>(params.profile)]},
	      {"packets", packets},
	      {"flows", flows},
	      {"bytes", bytes},
	      {"durationSeconds", static_cast<double>(last) / 1e9},
	      {"slf", one_queue.slf(0)},
	      {"queues", {{std::to_string(rss_queues), rss.slf(0)}}},
	      {"seed", params.seed}});
}

} // namespace

void run_generate(const Json &spec)
{
	SpecReader reader(spec, "");
	const std::string file = reader.text("out", "");
	if (file.empty())
		reader.fail("out", "must name the capture to write");
	const traffic::GeneratorParams params = read_generator_params(reader);
	reader.finish();
	try {
		generate(file, params);
	} catch (const traffic::CaptureError &e) {
		throw job_error(e);
	}
}

} // namespace reframer::lab
