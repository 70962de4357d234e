// Captures of any content: read to the end or to the one error, every byte of every frame touched.
#include "traffic/capture.hpp"

#include <cstdlib>

using namespace reframer::traffic;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	// A few bytes of gzip, xz or zstd make gigabytes; the readers are meant here.
	constexpr uint64_t enough = 8 << 20;
	uint64_t bytes = 0, sum = 0;
	try {
		const auto reader = open_capture(open_memory_stream(data, size), "fuzz");
		FrameBatch batch(64, 1 << 14);
		while (bytes < enough && reader->fill(batch)) {
			if (batch.frames.empty() || !batch.interfaces)
				std::abort();
			for (const auto &frame : batch.frames) {
				if (frame.interface >= batch.interfaces->size() ||
				    frame.captured > max_record_bytes + 65536)
					std::abort();
				for (uint32_t i = 0; i < frame.captured; i++)
					sum += frame.data[i];
				bytes += frame.captured + 16;
			}
		}
	} catch (const CaptureError &e) {
		if (e.code.empty() || e.offset < 0)
			std::abort();
	}
	asm volatile("" : : "r"(sum)); // keeps the reads
	return 0;
}
