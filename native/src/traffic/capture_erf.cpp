// ERF, the record format of DAG cards: Ethernet and plain IP records. There is no file header and no
// magic; a file is taken for ERF when its first two records make sense as such.
// Format: Endace ERF types, as documented with the cards.
#include "packet/bytes.hpp"
#include "traffic/capture.hpp"

#include <cstring>

namespace reframer::traffic {
namespace {

constexpr size_t erf_header = 16;
constexpr uint8_t type_more_headers = 0x80; // an extension header of 8 bytes follows
constexpr uint8_t type_meta = 27, type_pad = 48;

constexpr uint32_t ethernet_pad = 2; // aligns the IP header; not on the wire
// Wire lengths of Ethernet records include the frame check sequence of 4 bytes.
constexpr uint32_t ethernet_with_fcs = 1u | 0x04000000 | 2u << 28;

enum class Kind { ethernet, ip, no_frame, other };

Kind kind_of(uint8_t type)
{
	switch (type & 0x7f) {
	case 2:  // ETH
	case 11: // COLOR_ETH
	case 16: // DSM_COLOR_ETH
	case 20: // COLOR_HASH_ETH
		return Kind::ethernet;
	case 22: // IPV4
	case 23: // IPV6
		return Kind::ip;
	case type_meta:
	case type_pad:
		return Kind::no_frame;
	default:
		return Kind::other;
	}
}

bool plausible(const uint8_t *record)
{
	const Kind kind = kind_of(record[8]);
	const uint16_t length = packet::be16(record + 10), wire = packet::be16(record + 14);
	if (kind == Kind::other || length < erf_header)
		return false;
	// Up to eight extension headers and padding to eight bytes come on top of the frame.
	return kind == Kind::no_frame || length <= wire + erf_header + ethernet_pad + 8 * 8 + 7;
}

class ErfReader final : public CaptureReader {
public:
	ErfReader(InputBuffer input, const std::string &file)
		: CaptureReader(std::move(input), file, "erf")
	{
	}

private:
	size_t interface_of(Kind kind, uint64_t at)
	{
		size_t &index = kind == Kind::ethernet ? ethernet_ : ip_;
		if (index == SIZE_MAX) {
			index = interfaces().size();
			add_interface(kind == Kind::ethernet ? ethernet_with_fcs
			                                     : static_cast<uint32_t>(packet::LinkType::raw_ip),
			              0, at);
		}
		return index;
	}

	Step next(FrameBatch &batch) override
	{
		for (;;) {
			const size_t have = input_.need(erf_header);
			const uint64_t at = input_.offset();
			if (have == 0)
				return Step::end;
			if (have < erf_header)
				damaged(at, "the file ends inside a record header, " + std::to_string(have) +
				                " of 16 bytes are there");
			const uint8_t type = input_.data()[8];
			const uint16_t length = packet::be16(input_.data() + 10);
			if (length < erf_header)
				damaged(at, "a record states a length of " + std::to_string(length) +
				                " bytes, less than its header");
			if (input_.need(length) < length)
				damaged(at,
				        "the file ends inside a record of " + std::to_string(length) + " bytes");
			const Kind kind = kind_of(type);
			if (kind == Kind::other)
				unsupported(at, "ERF record type " + std::to_string(type & 0x7f) +
				                    "; Ethernet and IP records are read. Convert the file to "
				                    "pcapng (editcap) first");
			if (kind == Kind::no_frame) {
				notes_.skipped_records++;
				input_.take(length);
				continue;
			}
			return take_frame(batch, kind, at, length);
		}
	}

	Step take_frame(FrameBatch &batch, Kind kind, uint64_t at, uint16_t length)
	{
		const uint8_t *record = input_.data();
		size_t start = erf_header;
		for (bool more = record[8] & type_more_headers; more; start += 8) {
			if (start + 8 > length)
				damaged(at, "the extension headers of a record go past its end");
			more = record[start] & type_more_headers;
		}
		if (kind == Kind::ethernet)
			start += ethernet_pad;
		if (start > length)
			damaged(at, "a record is too short for its headers");
		const uint16_t wire = packet::be16(record + 14);
		const uint32_t captured = std::min<uint32_t>(static_cast<uint32_t>(length - start), wire);
		uint8_t *room = batch.room(captured);
		if (!room)
			return Step::full;
		std::memcpy(room, record + start, captured);
		const size_t interface = interface_of(kind, at);
		batch.add({room, captured, wire, time_of(record), link_of(interface),
		           static_cast<uint16_t>(interface)});
		input_.take(length);
		return Step::frame;
	}

	// Fixed point, 32 bits of seconds above 32 bits of fraction, little endian.
	static uint64_t time_of(const uint8_t *record)
	{
		uint32_t fraction, seconds;
		std::memcpy(&fraction, record, 4);
		std::memcpy(&seconds, record + 4, 4);
		return seconds * 1'000'000'000ull + ((fraction * 1'000'000'000ull + (1ull << 31)) >> 32);
	}

	size_t ethernet_ = SIZE_MAX, ip_ = SIZE_MAX;
};

} // namespace

bool looks_like_erf(const uint8_t *data, size_t size)
{
	if (size < erf_header || !plausible(data))
		return false;
	const size_t length = packet::be16(data + 10);
	return size < length + erf_header || plausible(data + length);
}

std::unique_ptr<CaptureReader> open_erf(InputBuffer input, const std::string &file)
{
	return std::make_unique<ErfReader>(std::move(input), file);
}

} // namespace reframer::traffic
