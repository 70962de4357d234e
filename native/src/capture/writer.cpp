// Bursts of columns into a capture file.
#include "capture/failure.hpp"
#include "traffic/capture_writer.hpp"

#include <memory>

using namespace reframer;

struct reframer_capture_writer {
	explicit reframer_capture_writer(const char *file) : writer(file) {}
	traffic::CaptureWriter writer;
};

extern "C" {

int reframer_capture_write_create(const char *file, struct reframer_capture_writer **out,
                                  struct reframer_capture_failure *failure)
{
	if (!file || !out)
		return -EINVAL;
	return capture::guarded(failure, [&] {
		*out = new reframer_capture_writer(file);
		return 0;
	});
}

int reframer_capture_write(struct reframer_capture_writer *w,
                           const struct reframer_capture_burst *burst, uint32_t first,
                           uint32_t count, struct reframer_capture_failure *failure)
{
	if (!w || !burst || !burst->bytes || !burst->offsets || !burst->wire || !burst->time_ns ||
	    !burst->link || first > burst->count || count > burst->count - first)
		return -EINVAL;
	const uint32_t end = first + count;
	for (uint32_t i = first; i < end; i++)
		if (burst->offsets[i] > burst->offsets[i + 1] || burst->offsets[i + 1] > burst->nb_bytes)
			return -EINVAL;
	return capture::guarded(failure, [&] {
		for (uint32_t i = first; i < end; i++) {
			const uint32_t link = burst->link[i], at = burst->offsets[i];
			w->writer.write({burst->bytes + at, burst->offsets[i + 1] - at, burst->wire[i],
			                 burst->time_ns[i], packet::LinkType{}, 0},
			                burst->time_ns[i], {link, 0, traffic::fcs_bytes_of(link)});
		}
		return 0;
	});
}

int reframer_capture_finish(struct reframer_capture_writer *w,
                            struct reframer_capture_failure *failure)
{
	if (!w)
		return -EINVAL;
	return capture::guarded(failure, [&] {
		w->writer.finish();
		return 0;
	});
}

void reframer_capture_write_free(struct reframer_capture_writer *w)
{
	delete w;
}

} // extern "C"
