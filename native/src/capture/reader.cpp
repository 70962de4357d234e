// A capture as bursts in the caller's memory.
#include "api/sized.hpp"
#include "capture/failure.hpp"
#include "capture/feed.hpp"
#include "traffic/capture.hpp"

#include <atomic>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace reframer;

struct reframer_capture {
	explicit reframer_capture(const char *name) : fed(name == nullptr), file(fed ? "stream" : name)
	{
		if (fed)
			feed = std::make_shared<capture::Feed>();
		else
			cancel_event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	~reframer_capture()
	{
		reader.reset();
		if (cancel_event >= 0)
			::close(cancel_event);
	}
	reframer_capture(const reframer_capture &) = delete;
	reframer_capture &operator=(const reframer_capture &) = delete;

	traffic::CaptureReader &opened()
	{
		if (reader)
			return *reader;
		// One try: a pipe cannot be read again from its start.
		if (failure.code[0])
			throw traffic::CaptureError(failure.code, file, failure.offset, failure.message);
		std::unique_ptr<traffic::ByteStream> stream;
		if (fed)
			stream = std::make_unique<capture::FeedStream>(feed);
		else
			stream = traffic::open_file_stream(file, cancel_event);
		reader = traffic::open_capture(std::move(stream), file);
		return *reader;
	}

	const bool fed;
	const std::string file;
	std::shared_ptr<capture::Feed> feed;
	int cancel_event = -1;
	std::atomic<bool> cancelled = false;
	std::unique_ptr<traffic::CaptureReader> reader;
	traffic::FrameBatch batch{0, 0};
	reframer_capture_failure failure{};
};

namespace {

void fill_columns(const traffic::FrameBatch &batch, reframer_capture_burst &burst)
{
	const traffic::CaptureInterfaces &interfaces = *batch.interfaces;
	uint32_t at = 0, i = 0;
	for (const packet::Frame &frame : batch.frames) {
		burst.offsets[i] = at;
		at += frame.captured;
		burst.wire[i] = frame.wire;
		burst.time_ns[i] = frame.time_ns;
		burst.link[i++] = interfaces[frame.interface].link_field;
	}
	burst.offsets[i] = at;
	burst.count = i;
}

} // namespace

extern "C" {

int reframer_capture_create(const char *file, struct reframer_capture **out)
{
	if (!out)
		return -EINVAL;
	try {
		*out = new reframer_capture(file);
	} catch (...) {
		return -ENOMEM;
	}
	return 0;
}

void reframer_capture_free(struct reframer_capture *c)
{
	delete c;
}

int64_t reframer_capture_feed(struct reframer_capture *c, const void *bytes, uint32_t nb)
{
	if (!c || !c->fed)
		return -EINVAL;
	try {
		if (nb > 0 && !bytes)
			return int64_t(c->feed->waiting());
		return int64_t(c->feed->push(static_cast<const uint8_t *>(bytes), nb));
	} catch (...) {
		return -ENOMEM;
	}
}

void reframer_capture_cancel(struct reframer_capture *c)
{
	if (!c)
		return;
	c->cancelled = true;
	if (c->feed)
		c->feed->cancel();
	const uint64_t one = 1;
	if (c->cancel_event >= 0)
		static_cast<void>(::write(c->cancel_event, &one, sizeof(one)) == 0);
}

int reframer_capture_read(struct reframer_capture *c, struct reframer_capture_burst *burst)
{
	if (!c || !burst || !burst->bytes || !burst->offsets || !burst->wire || !burst->time_ns ||
	    !burst->link || burst->nb_frames == 0 || burst->nb_bytes == 0)
		return -EINVAL;
	burst->count = burst->needed = 0;
	if (c->cancelled)
		return -ECANCELED;
	return capture::guarded(&c->failure, [&] {
		traffic::CaptureReader &reader = c->opened();
		c->batch.use(burst->bytes, burst->nb_bytes, burst->nb_frames, burst->snaplen);
		reader.fill_ready(c->batch);
		if (c->batch.needed() > 0) {
			burst->needed = uint32_t(c->batch.needed());
			return -ENOBUFS;
		}
		if (!c->batch.frames.empty())
			fill_columns(c->batch, *burst);
		return int(burst->count);
	});
}

void reframer_capture_why(const struct reframer_capture *c, struct reframer_capture_failure *out)
{
	if (c && out)
		*out = c->failure;
}

const char *reframer_capture_format(const struct reframer_capture *c)
{
	return c && c->reader ? c->reader->format() : "";
}

const char *reframer_capture_compression(const struct reframer_capture *c)
{
	return c && c->reader ? c->reader->compression() : "";
}

const char *reframer_capture_version(void)
{
	return REFRAMER_VERSION;
}

int reframer_capture_waits(const struct reframer_capture *c)
{
	if (!c || c->fed)
		return 1;
	const int open_already = c->file == "-" ? STDIN_FILENO : traffic::descriptor_of(c->file);
	struct stat status;
	const int result =
		open_already >= 0 ? ::fstat(open_already, &status) : ::stat(c->file.c_str(), &status);
	return result == 0 && !S_ISREG(status.st_mode);
}

} // extern "C"
