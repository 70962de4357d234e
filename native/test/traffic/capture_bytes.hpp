// Capture files made by hand, byte for byte, in either byte order.
#pragma once

#include "traffic/capture.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace reframer::test {

using Bytes = std::vector<uint8_t>;

struct Writer {
	bool big = false;
	Bytes bytes;

	Writer &u8(uint32_t v)
	{
		bytes.push_back(static_cast<uint8_t>(v));
		return *this;
	}
	Writer &u16(uint32_t v) { return big ? u8(v >> 8).u8(v & 255) : u8(v & 255).u8(v >> 8); }
	Writer &u32(uint32_t v)
	{
		return big ? u16(v >> 16).u16(v & 65535) : u16(v & 65535).u16(v >> 16);
	}
	Writer &u64(uint64_t v)
	{
		const auto low = static_cast<uint32_t>(v), high = static_cast<uint32_t>(v >> 32);
		return big ? u32(high).u32(low) : u32(low).u32(high);
	}
	Writer &add(const Bytes &more)
	{
		bytes.insert(bytes.end(), more.begin(), more.end());
		return *this;
	}
	Writer &pad4()
	{
		while (bytes.size() % 4)
			u8(0);
		return *this;
	}

	Writer &pcap_header(uint32_t magic = 0xa1b2c3d4, uint32_t link = 1, uint32_t snaplen = 65535)
	{
		return u32(magic).u16(2).u16(4).u32(0).u32(0).u32(snaplen).u32(link);
	}
	Writer &pcap_record(uint32_t seconds, uint32_t fraction, const Bytes &data, uint32_t wire)
	{
		return u32(seconds)
		    .u32(fraction)
		    .u32(static_cast<uint32_t>(data.size()))
		    .u32(wire)
		    .add(data);
	}

	// `body` is made with the same byte order.
	Writer &block(uint32_t type, const Bytes &body)
	{
		const uint32_t length = static_cast<uint32_t>((body.size() + 3) / 4 * 4 + 12);
		return u32(type).u32(length).add(body).pad4().u32(length);
	}
	Writer &section()
	{
		return block(0x0a0d0d0a, body().u32(0x1a2b3c4d).u16(1).u16(0).u64(UINT64_MAX).bytes);
	}
	Writer &interface(uint32_t link, uint32_t snaplen, const Bytes &options = {})
	{
		return block(1, body().u16(link).u16(0).u32(snaplen).add(options).bytes);
	}
	Writer &packet(uint32_t interface, uint64_t ticks, const Bytes &data, uint32_t wire)
	{
		return block(6, body()
		                    .u32(interface)
		                    .u32(static_cast<uint32_t>(ticks >> 32))
		                    .u32(static_cast<uint32_t>(ticks))
		                    .u32(static_cast<uint32_t>(data.size()))
		                    .u32(wire)
		                    .add(data)
		                    .bytes);
	}
	Writer body() const { return {big, {}}; }
};

// `size` bytes that differ from packet to packet.
inline Bytes payload(size_t size, uint8_t start = 0)
{
	Bytes bytes(size);
	for (size_t i = 0; i < size; i++)
		bytes[i] = static_cast<uint8_t>(start + i * 7);
	return bytes;
}

struct ReadPacket {
	Bytes data;
	uint32_t wire;
	uint64_t time_ns;
	uint32_t link;
	uint16_t interface;
	bool operator==(const ReadPacket &) const = default;
};

// All that a capture gives, and the error that ended it.
struct ReadResult {
	std::vector<ReadPacket> packets;
	std::string code; // "" where the file is sound
	int64_t offset = -1;
	std::string message;
	traffic::CaptureInterfaces interfaces;
	traffic::CaptureNotes notes;
	std::string format, compression;
};

template <typename Open> ReadResult read_all(Open &&open)
{
	ReadResult result;
	try {
		const std::unique_ptr<traffic::CaptureReader> reader = open();
		result.format = reader->format();
		result.compression = reader->compression();
		// Small, so that batches end in the middle of things.
		traffic::FrameBatch batch(3, 256);
		try {
			while (reader->fill(batch))
				for (const packet::Frame &f : batch.frames)
					result.packets.push_back({Bytes(f.data, f.data + f.captured), f.wire, f.time_ns,
					                          static_cast<uint32_t>(f.link), f.interface});
		} catch (...) {
			result.interfaces = reader->interfaces();
			result.notes = reader->notes();
			throw;
		}
		result.interfaces = reader->interfaces();
		result.notes = reader->notes();
	} catch (const traffic::CaptureError &e) {
		result.code = e.code;
		result.offset = e.offset;
		result.message = e.what();
	}
	return result;
}

inline ReadResult read_bytes(const Bytes &bytes)
{
	// On the heap in its exact size, so that a sanitizer sees every step past it.
	const Bytes exact(bytes);
	return read_all([&] {
		return traffic::open_capture(traffic::open_memory_stream(exact.data(), exact.size()),
		                             "test");
	});
}

inline ReadResult read_file(const std::string &file)
{
	return read_all([&] { return traffic::open_capture(file); });
}

} // namespace reframer::test
