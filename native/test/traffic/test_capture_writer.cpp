// The capture writer: what is written is read back, by us and by another program.
#include "../support/folder.hpp"
#include "capture_bytes.hpp"

#include "traffic/capture_writer.hpp"
#include "traffic/read_ahead.hpp"

#include <doctest/doctest.h>

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sys/wait.h>
#include <unistd.h>

using namespace reframer;
using namespace reframer::test;
using traffic::CaptureError;
using traffic::CaptureInterface;
using traffic::CaptureWriter;

namespace {

size_t nb_files(const Folder &folder)
{
	return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder.path), {}));
}

packet::Frame frame_of(const Bytes &data, uint32_t wire)
{
	return {data.data(), static_cast<uint32_t>(data.size()), wire,
	        0,           packet::LinkType::ethernet,         0};
}

std::string output_of(const std::string &command)
{
	std::string text;
	if (FILE *pipe = popen((command + " 2>/dev/null").c_str(), "r")) {
		char buffer[4096];
		while (const size_t got = fread(buffer, 1, sizeof(buffer), pipe))
			text.append(buffer, got);
		pclose(pipe);
	}
	return text;
}

template <typename F> std::string code_of(F &&f)
{
	try {
		f();
	} catch (const CaptureError &e) {
		return e.code;
	}
	return "";
}

} // namespace

TEST_CASE("pcap: frames, lengths, link type and nanoseconds come back")
{
	const Folder folder;
	const std::string file = folder.file("out.pcap");
	const CaptureInterface interface {
		0x24000001, 0, 4
	};
	// More than the writer's buffer, so that both ways through it are used.
	constexpr size_t count = 3000;
	{
		CaptureWriter writer(file);
		for (size_t i = 0; i < count; i++) {
			const Bytes data = payload(i % 1500, static_cast<uint8_t>(i));
			writer.write(frame_of(data, static_cast<uint32_t>(i % 7 ? i : 0)),
			             (i + 1) * 1'000'000'007, interface);
		}
		CHECK_FALSE(std::filesystem::exists(file));
		writer.finish();
		CHECK(std::string(writer.format()) == "pcap");
		CHECK(writer.bytes() == std::filesystem::file_size(file));
	}
	CHECK(nb_files(folder) == 1);
	const ReadResult r = read_file(file);
	REQUIRE(r.code == "");
	REQUIRE(r.packets.size() == count);
	CHECK(r.interfaces[0].link_field == 0x24000001);
	for (size_t i = 0; i < count; i++)
		REQUIRE(r.packets[i] == ReadPacket{payload(i % 1500, static_cast<uint8_t>(i)),
		                                   static_cast<uint32_t>(i % 7 ? i : 0),
		                                   (i + 1) * 1'000'000'007, 1, 0});

	const std::string info = output_of("capinfos -T -m -c -E -t '" + file + "'");
	if (info.empty())
		MESSAGE("capinfos is not there: not compared with another reader");
	else
		CHECK(info.find("nsecpcap") != std::string::npos);
}

TEST_CASE("pcapng where pcap cannot hold the frames, whenever that shows")
{
	const Folder folder;
	const std::string file = folder.file("out.pcapng");
	const Bytes small = payload(61), large = payload(300'000);
	for (const size_t before : {size_t{0}, size_t{1}, size_t{40'000}}) {
		CAPTURE(before);
		std::vector<ReadPacket> expected;
		CaptureWriter writer(file);
		const auto write = [&](const Bytes &data, uint64_t time, uint32_t link, uint16_t index) {
			writer.write(frame_of(data, 70), time, {link, 0, 0});
			expected.push_back({data, 70, time, link, index});
		};
		for (size_t i = 0; i < before; i++)
			write(small, i, 1, 0);
		write(large, CaptureWriter::end_of_pcap_time + 5, 1, 0);
		write(small, 7, 113, 1);
		write(small, 8, 1, 0);
		writer.finish();
		CHECK(std::string(writer.format()) == "pcapng");
		CHECK(nb_files(folder) == 1);
		const ReadResult r = read_file(file);
		REQUIRE(r.code == "");
		CHECK(r.format == "pcapng");
		CHECK((r.packets == expected));
		const std::string counted = output_of("capinfos -T -r -m -c '" + file + "'");
		if (!counted.empty())
			CHECK(counted.find("," + std::to_string(before + 3)) != std::string::npos);
	}
}

TEST_CASE("an empty capture keeps its link type")
{
	const Folder folder;
	CaptureWriter writer(folder.file("empty.pcap"));
	writer.finish(113);
	const ReadResult r = read_file(folder.file("empty.pcap"));
	CHECK(r.code == "");
	REQUIRE(r.interfaces.size() == 1);
	CHECK(r.interfaces[0].link_field == 113);
}

TEST_CASE("nothing unfinished looks finished, nothing that is read is overwritten")
{
	const Folder folder;
	const std::string file = folder.file("out.pcap");
	const Bytes data = payload(60);
	{
		CaptureWriter writer(file);
		writer.write(frame_of(data, 60), 1, {});
	}
	CHECK(nb_files(folder) == 0);

	std::ofstream(file) << "old";
	{
		CaptureWriter writer(file);
		writer.write(frame_of(data, 60), 1, {});
	}
	CHECK(std::filesystem::file_size(file) == 3);

	CHECK(code_of([&] { CaptureWriter writer(file, {file}); }) == "capture-write");
	std::filesystem::create_hard_link(file, folder.file("other"));
	std::filesystem::create_symlink(file, folder.file("link"));
	CHECK(code_of([&] { CaptureWriter writer(folder.file("other"), {file}); }) == "capture-write");
	CHECK(code_of([&] { CaptureWriter writer(folder.file("link"), {file}); }) == "capture-write");
	CHECK(code_of([&] { CaptureWriter writer(folder.path); }) == "capture-write");
	CHECK(code_of([&] { CaptureWriter writer(folder.file("no/such/folder")); }) == "capture-write");

	CaptureWriter writer(folder.file("link"));
	writer.write(frame_of(data, 60), 1, {});
	writer.finish();
	CHECK(std::filesystem::is_symlink(folder.file("link")));
	CHECK(std::filesystem::file_size(file) == 24 + 16 + 60);
}

TEST_CASE("a full disk is an error, however much was written before")
{
	if (!std::filesystem::exists("/dev/full")) {
		MESSAGE("skipped: no /dev/full");
		return;
	}
	const Bytes data = payload(1000);
	for (const int count : {1, 10'000}) {
		CaptureWriter writer("/dev/full");
		CHECK(code_of([&] {
				  for (int i = 0; i < count; i++)
					  writer.write(frame_of(data, 1000), 1, {});
				  writer.finish();
			  }) == "capture-write");
	}
	CHECK(std::filesystem::is_character_file("/dev/full"));
}

TEST_CASE("reading ahead gives the same frames, in order, and the damage after them")
{
	Writer w;
	w.pcap_header();
	constexpr uint32_t count = 20'000;
	for (uint32_t i = 0; i < count; i++)
		w.pcap_record(i + 1, 0, payload(i % 200, static_cast<uint8_t>(i)), i);
	w.u32(1);
	const auto reader =
		traffic::open_capture(traffic::open_memory_stream(w.bytes.data(), w.bytes.size()), "test");
	traffic::ReadAhead ahead(*reader, 6, 2);
	std::vector<traffic::FrameBatch *> kept;
	uint32_t next = 0;
	const std::string code = code_of([&] {
		while (traffic::FrameBatch *batch = ahead.next()) {
			for (const packet::Frame &frame : batch->frames) {
				REQUIRE(frame.wire == next);
				const Bytes data(frame.data, frame.data + frame.captured);
				REQUIRE(data == payload(next % 200, static_cast<uint8_t>(next)));
				next++;
			}
			// Keep five, give the middle one back.
			kept.push_back(batch);
			if (kept.size() == 5) {
				ahead.give_back(kept[2]);
				kept.erase(kept.begin() + 2);
			}
		}
	});
	CHECK(code == "capture-damaged");
	CHECK(next == count);

	// Leaving early ends the thread.
	const auto again =
		traffic::open_capture(traffic::open_memory_stream(w.bytes.data(), w.bytes.size()), "test");
	traffic::ReadAhead early(*again);
	CHECK(early.next() != nullptr);
}

TEST_CASE("a killed writer leaves nothing, where files may be without a name")
{
	const Folder folder;
	if (const int fd = ::open(folder.path.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	    fd >= 0) {
		::close(fd);
	} else {
		std::fprintf(stderr, "skipped: no O_TMPFILE on the file system of the temporary folder\n");
		return;
	}
	for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
		const pid_t child = fork();
		REQUIRE(child >= 0);
		if (child == 0) {
			CaptureWriter writer(folder.file("out.pcap"));
			const Bytes data = payload(1000);
			for (int i = 0; i < 5000; i++)
				writer.write(frame_of(data, 1000), 1, CaptureInterface{});
			std::signal(signal, SIG_DFL); // the test program has its own
			raise(signal);
			_exit(0);
		}
		int status = 0;
		REQUIRE(waitpid(child, &status, 0) == child);
		CHECK(WIFSIGNALED(status));
		CHECK(nb_files(folder) == 0);
	}
}

TEST_CASE("a descriptor is written as it is, and read from where it stands")
{
	const Folder folder;
	const std::string file = folder.file("stream");
	const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	REQUIRE(::write(fd, "before", 6) == 6);
	const std::string name = "/dev/fd/" + std::to_string(fd);
	{
		CaptureWriter writer(name);
		const Bytes data = payload(60);
		writer.write(frame_of(data, 60), 7, CaptureInterface{});
		writer.finish();
	}
	CHECK(nb_files(folder) == 1);
	CHECK(std::filesystem::file_size(file) == 6 + 24 + 16 + 60);
	REQUIRE(::lseek(fd, 6, SEEK_SET) == 6);
	const ReadResult r = read_file(name);
	CHECK(r.code == "");
	CHECK(r.packets.size() == 1);
	::close(fd);
	CHECK(code_of([&] { CaptureWriter writer(name); }) == "capture-write");
	CHECK(read_file(name).code == "capture-open");
}
