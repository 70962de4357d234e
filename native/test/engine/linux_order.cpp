#include "lab/linux/flow_order.hpp"
#include "lab/linux/segments.hpp"
#include "packet/bytes.hpp"
#include "packet/checksum.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <map>

using namespace reframer;
using namespace reframer::lab;

TEST_CASE("an order by construction has rows of that length and every flow as often")
{
	for (uint32_t in_a_row : {1u, 4u, 16u}) {
		const auto order = interleaved_order(64, in_a_row, 10000, 7);
		CHECK(order.size() >= 10000);
		std::map<uint32_t, size_t> each;
		for (uint32_t flow : order)
			each[flow]++;
		CHECK(each.size() == 64);
		for (const auto &[flow, count] : each)
			CHECK(count == order.size() / 64);
		// Two rounds may meet in one flow.
		CHECK(slf_of(order) == doctest::Approx(in_a_row).epsilon(0.05));
	}
}

TEST_CASE("Reframer makes longer rows of the same packets, the longer it holds")
{
	const auto order = interleaved_order(256, 1, 1 << 15, 3);
	double before = slf_of(order);
	for (uint64_t delay_ns : {16000u, 64000u, 128000u}) {
		auto released = reframed_order(order, 120, delay_ns);
		CHECK(slf_of(released) > before * 1.2);
		before = slf_of(released);
		auto sorted = order;
		std::sort(sorted.begin(), sorted.end());
		std::sort(released.begin(), released.end());
		CHECK(released == sorted);
	}
}

TEST_CASE("campus traffic keeps its flows' numbers dense, and holding makes its rows longer")
{
	const CampusOrder plain = campus_order(10e9, 4, 20000, 0, 5);
	const CampusOrder held = campus_order(10e9, 4, 20000, 128'000, 5);
	for (const CampusOrder *made : {&plain, &held}) {
		CHECK(made->order.size() >= 20000);
		CHECK(*std::max_element(made->order.begin(), made->order.end()) == made->flows - 1);
		CHECK(made->order.front() == 0);
		// A quarter of 10 Gbps in packets of some 1,100 bytes.
		CHECK(made->gap_ns > 2000);
		CHECK(made->gap_ns < 6000);
	}
	CHECK(plain.flows == held.flows);
	CHECK(plain.order.size() == held.order.size());
	CHECK(slf_of(held.order) > slf_of(plain.order));
}

TEST_CASE("segments of a flow follow each other and have valid checksums")
{
	SegmentSpec spec{{2, 0, 0, 0, 0, 9}, 0x0a4e0001, 0x0a4e0101, 300, 1000, false};
	Segments segments(spec, 2);
	for (uint32_t flow : {0u, 1u, 299u}) {
		for (uint32_t slot : {0u, 1u})
			segments.write(slot, flow);
		segments.stamp(1, 0x123456789abcdef0); // the other has none
		uint32_t sequence[2];
		for (uint32_t slot : {0u, 1u}) {
			const msghdr &message = segments.messages()[slot].msg_hdr;
			REQUIRE(message.msg_iovlen == 2);
			std::vector<uint8_t> frame;
			for (size_t i = 0; i < 2; i++) {
				const auto *p = static_cast<const uint8_t *>(message.msg_iov[i].iov_base);
				frame.insert(frame.end(), p, p + message.msg_iov[i].iov_len);
			}
			REQUIRE(frame.size() == spec.frame_bytes());
			CHECK(packet::checksum_ipv4(frame.data() + 14) == 0);
			CHECK(packet::checksum_l4(frame.data() + 14, 6, frame.data() + 34, 1032) == 0);
			CHECK(packet::be16(frame.data() + 34) == 10000 + flow);
			sequence[slot] = packet::be32(frame.data() + 38);
			CHECK(packet::load<uint64_t>(frame.data() + SegmentSpec::header_bytes) ==
			      (slot == 1 ? 0x123456789abcdef0 : 0));
		}
		CHECK(sequence[1] - sequence[0] == 1000);
	}
}

TEST_CASE("a checksum left to the device is that of the pseudo header, and the message says where")
{
	SegmentSpec spec{{2, 0, 0, 0, 0, 9}, 0x0a4e0001, 0x0a4e0101, 4, 1000, true};
	Segments segments(spec, 1);
	segments.write(0, 3);
	const msghdr &message = segments.messages()[0].msg_hdr;
	REQUIRE(message.msg_iovlen == 3);
	OffloadHeader offload;
	REQUIRE(message.msg_iov[0].iov_len == sizeof(offload));
	std::memcpy(&offload, message.msg_iov[0].iov_base, sizeof(offload));
	CHECK(offload.flags == OffloadHeader::needs_checksum);
	std::vector<uint8_t> frame;
	for (size_t i = 1; i < 3; i++) {
		const auto *p = static_cast<const uint8_t *>(message.msg_iov[i].iov_base);
		frame.insert(frame.end(), p, p + message.msg_iov[i].iov_len);
	}
	// What a device does: add up from there, and put the complement where it is told.
	const size_t start = offload.checksum_start, at = start + offload.checksum_offset;
	const uint64_t sum =
		packet::checksum_add(0, frame.data() + start, static_cast<uint32_t>(frame.size() - start));
	packet::put_be16(frame.data() + at,
	                 packet::swap16(static_cast<uint16_t>(~packet::checksum_fold(sum))));
	CHECK(packet::checksum_l4(frame.data() + 14, 6, frame.data() + 34, 1032) == 0);
	CHECK(packet::be32(frame.data() + 38) == Segments::first_sequence(3));
}
