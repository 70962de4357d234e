// pcapng, with a reader of our own: libpcap 1.10 refuses files whose interfaces differ in link type
// or snapshot length, which the format is made for, and hides which interface a packet came from.
// Format: draft-ietf-opsawg-pcapng.
#include "traffic/capture.hpp"

#include <cstring>

namespace reframer::traffic {
namespace {

constexpr uint32_t block_section = 0x0a0d0d0a;
constexpr uint32_t block_interface = 1;
constexpr uint32_t block_packet_old = 2;
constexpr uint32_t block_packet_simple = 3;
constexpr uint32_t block_packet = 6;
constexpr uint32_t byte_order_magic = 0x1a2b3c4d;

constexpr uint16_t option_time_resolution = 9;
constexpr uint16_t option_fcs_length = 13;
constexpr uint16_t option_time_offset = 14;

// A section header, an interface description or a packet is read whole; 16 MiB of options in one
// is damage. Other blocks may be of any length: they are skipped as a stream.
constexpr uint32_t max_block = max_record_bytes + 65536;

struct Clock {
	uint8_t resolution = 6; // power of ten, or of two with the top bit set
	int64_t offset = 0;     // seconds

	uint64_t nanoseconds(uint64_t ticks) const
	{
		using Wide = unsigned __int128;
		Wide ns;
		if (resolution & 0x80) {
			ns = (static_cast<Wide>(ticks) * 1'000'000'000) >> (resolution & 0x7f);
		} else if (resolution <= 9) {
			ns = static_cast<Wide>(ticks) * power(9 - resolution);
		} else {
			ns = ticks / power(resolution - 9);
		}
		const __int128 moved =
			static_cast<__int128>(ns) + static_cast<__int128>(offset) * 1'000'000'000;
		if (moved < 0)
			return 0;
		return moved > INT64_MAX ? INT64_MAX : static_cast<uint64_t>(moved);
	}

	static uint64_t power(int exponent)
	{
		uint64_t value = 1;
		while (exponent-- > 0)
			value *= 10;
		return value;
	}
};

class PcapngReader final : public CaptureReader {
public:
	PcapngReader(InputBuffer input, const std::string &file)
		: CaptureReader(std::move(input), file, "pcapng")
	{
		if (input_.need(12) < 12)
			damaged(input_.available(), "the section header is cut");
		read_section(0);
	}

private:
	struct Block {
		uint64_t at;
		uint32_t type;
		uint32_t length; // of the whole block
	};

	uint16_t half(size_t at) const
	{
		uint16_t value;
		std::memcpy(&value, input_.data() + at, 2);
		return swapped_ ? __builtin_bswap16(value) : value;
	}
	uint32_t word(size_t at) const
	{
		uint32_t value;
		std::memcpy(&value, input_.data() + at, 4);
		return swapped_ ? __builtin_bswap32(value) : value;
	}

	void check_length(uint64_t at, uint32_t length, uint32_t least) const
	{
		if (length < least || length % 4 != 0)
			damaged(at, "a block states a length of " + std::to_string(length) +
			                " bytes, it must be a multiple of 4 and at least " +
			                std::to_string(least));
	}

	// Makes the block readable from its first byte and checks both of its lengths.
	void need_whole(const Block &block)
	{
		if (block.length > max_block)
			damaged(block.at, "a block of type " + std::to_string(block.type) + " claims " +
			                      std::to_string(block.length) + " bytes");
		const size_t have = input_.need(block.length);
		if (have < block.length)
			damaged(block.at, "the file ends inside a block of " + std::to_string(block.length) +
			                      " bytes, " + std::to_string(have) + " are there");
		const uint32_t trailing = word(block.length - 4);
		if (trailing != block.length)
			damaged(block.at, "a block of " + std::to_string(block.length) +
			                      " bytes ends with another length, " + std::to_string(trailing));
	}

	void read_section(uint64_t at)
	{
		if (input_.need(12) < 12)
			damaged(at, "the file ends inside a section header");
		uint32_t magic;
		std::memcpy(&magic, input_.data() + 8, 4);
		if (magic != byte_order_magic && magic != __builtin_bswap32(byte_order_magic))
			damaged(at + 8, "a section header without the byte-order magic");
		swapped_ = magic != byte_order_magic;
		const Block block{at, block_section, word(4)};
		check_length(at, block.length, 28);
		need_whole(block);
		const uint16_t major = half(12);
		if (major != 1)
			unsupported(at + 12, "pcapng version " + std::to_string(major) + "." +
			                         std::to_string(half(14)) + "; version 1 is read");
		first_interface_ = interfaces().size();
		clocks_.resize(first_interface_);
		input_.take(block.length);
	}

	void read_interface(const Block &block)
	{
		check_length(block.at, block.length, 20);
		need_whole(block);
		const uint16_t link = half(8);
		const uint32_t snaplen = word(12);
		Clock clock;
		uint32_t fcs = 0;
		const size_t end = block.length - 4;
		for (size_t at = 16; at + 4 <= end;) {
			const uint16_t code = half(at), length = half(at + 2);
			if (code == 0)
				break;
			if (length > end - at - 4)
				damaged(block.at + at, "an option goes past the end of its block");
			const uint8_t *value = input_.data() + at + 4;
			if (code == option_time_resolution && length == 1)
				clock.resolution = *value;
			if (code == option_time_offset && length == 8) {
				const uint32_t a = word(at + 4), b = word(at + 8);
				clock.offset = static_cast<int64_t>(swapped_ ? static_cast<uint64_t>(a) << 32 | b
				                                             : static_cast<uint64_t>(b) << 32 | a);
			}
			// Written by pcap's link field in units of two bytes, 4 bits.
			if (code == option_fcs_length && length == 1 && *value > 0 && *value <= 30)
				fcs = 0x04000000 | static_cast<uint32_t>(*value / 2) << 28;
			at += 4 + (length + 3u) / 4 * 4;
		}
		// 10^-19 s and 2^-63 s are the finest that 64 bits can count to one second.
		if ((clock.resolution & 0x7f) > (clock.resolution & 0x80 ? 63 : 19))
			damaged(block.at, "an interface with an impossible time resolution, " +
			                      std::to_string(clock.resolution));
		add_interface(link | fcs, snaplen, block.at + 8);
		clocks_.push_back(clock);
		input_.take(block.length);
	}

	size_t interface_of(const Block &block, uint32_t number) const
	{
		if (number >= interfaces().size() - first_interface_)
			damaged(block.at, "a packet names interface " + std::to_string(number) + ", but " +
			                      std::to_string(interfaces().size() - first_interface_) +
			                      " are described");
		return first_interface_ + number;
	}

	// The packet's bytes are at `data` inside the block, which is still unread.
	Step take_packet(FrameBatch &batch, const Block &block, size_t interface, size_t data,
	                 uint32_t captured, uint32_t wire, uint64_t time_ns)
	{
		if (captured > block.length - 4 - data)
			damaged(block.at, "a packet of " + std::to_string(captured) + " bytes in a block of " +
			                      std::to_string(block.length));
		uint8_t *room = batch.room(captured);
		if (!room)
			return Step::full;
		const uint32_t snaplen = interfaces()[interface].snaplen;
		notes_.over_snaplen += snaplen != 0 && captured > snaplen;
		std::memcpy(room, input_.data() + data, captured);
		batch.add(
			{room, captured, wire, time_ns, link_of(interface), static_cast<uint16_t>(interface)});
		last_time_ = time_ns;
		input_.take(block.length);
		return Step::frame;
	}

	Step read_packet(FrameBatch &batch, const Block &block)
	{
		// Both begin with 20 bytes in the same places; the old block has a drop count beside a
		// 16-bit interface number.
		check_length(block.at, block.length, 32);
		need_whole(block);
		const uint32_t number = block.type == block_packet ? word(8) : half(8);
		const size_t interface = interface_of(block, number);
		const uint64_t ticks = static_cast<uint64_t>(word(12)) << 32 | word(16);
		return take_packet(batch, block, interface, 28, word(20), word(24),
		                   clocks_[interface].nanoseconds(ticks));
	}

	Step read_simple_packet(FrameBatch &batch, const Block &block)
	{
		check_length(block.at, block.length, 16);
		need_whole(block);
		const size_t interface = interface_of(block, 0);
		const uint32_t wire = word(8);
		const uint32_t snaplen = interfaces()[interface].snaplen;
		const uint32_t captured = snaplen != 0 && snaplen < wire ? snaplen : wire;
		const Step step = take_packet(batch, block, interface, 12, captured, wire, last_time_);
		notes_.without_time += step == Step::frame;
		return step;
	}

	void skip_block(const Block &block)
	{
		if (block.length <= max_block) {
			need_whole(block);
			input_.take(block.length);
			return;
		}
		if (!input_.skip(block.length))
			damaged(block.at,
			        "the file ends inside a block of " + std::to_string(block.length) + " bytes");
	}

	Step next(FrameBatch &batch) override
	{
		for (;;) {
			const size_t have = input_.need(12);
			const uint64_t at = input_.offset();
			if (have == 0)
				return Step::end;
			if (have < 12)
				damaged(at, "the file ends inside a block header, " + std::to_string(have) +
				                " bytes are there");
			uint32_t raw_type;
			std::memcpy(&raw_type, input_.data(), 4);
			if (raw_type == block_section) {
				read_section(at);
				continue;
			}
			const Block block{at, word(0), word(4)};
			check_length(at, block.length, 12);
			switch (block.type) {
			case block_interface:
				read_interface(block);
				break;
			case block_packet:
			case block_packet_old:
				return read_packet(batch, block);
			case block_packet_simple:
				return read_simple_packet(batch, block);
			default:
				skip_block(block);
			}
		}
	}

	bool swapped_ = false;
	size_t first_interface_ = 0; // of the section
	std::vector<Clock> clocks_;
	uint64_t last_time_ = 0;
};

} // namespace

std::unique_ptr<CaptureReader> open_pcapng(InputBuffer input, const std::string &file)
{
	return std::make_unique<PcapngReader>(std::move(input), file);
}

} // namespace reframer::traffic
