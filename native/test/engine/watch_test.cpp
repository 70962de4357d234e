// The watching program: what it counts of frames of all kinds, which of them are one flow, and how many
// flows there were.
#include "devices/tap_port.hpp"
#include "devices/watcher.hpp"
#include "support/own_network.hpp"
#include "support/packet_builder.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <unistd.h>

using namespace reframer::engine;
using namespace reframer::test;

namespace {

// What came of frames that were written one after the other.
class Watched {
public:
	Watched() : port({.nb_queues = 1}), watcher("rss0") {}

	std::unique_ptr<WatchCounts> count(const std::vector<Bytes> &frames)
	{
		for (const Bytes &frame : frames)
			REQUIRE(write(port.queue(0), frame.data(), frame.size()) == ssize_t(frame.size()));
		sent += frames.size();
		auto counts = watcher.read();
		for (int i = 0; i < 1000 && counts->sum.packets < sent; i++) {
			usleep(1000);
			counts = watcher.read();
		}
		CHECK(counts->sum.packets == sent);
		return counts;
	}

private:
	TapPort port;
	Watcher watcher;
	size_t sent = 0;
};

Bytes tcp4(uint16_t source, uint16_t flags = 0x10)
{
	return ipv4({}, tcp({.source = source, .flags = flags}));
}

} // namespace

TEST_CASE("classes, flags and bytes of frames of all kinds")
{
	in_own_network("watch", [] {
		Watched watched;
		const std::vector<Bytes> frames = {
			ethernet(type_ipv4, tcp4(1, 0x02)),
			ethernet(type_ipv4, tcp4(1, 0x12)),
			ethernet(type_ipv4, tcp4(1, 0x11)),
			ethernet(type_vlan, vlan(5, type_ipv4, tcp4(1, 0x04))),
			ethernet(type_service_vlan, vlan(5, type_vlan, vlan(6, type_ipv4, tcp4(1)))),
			ethernet(type_ipv6, ipv6({}, extension(0, tcp({.source = 1, .flags = 0x02})))),
			ethernet(type_ipv6, ipv6({}, udp())),
			ethernet(type_ipv4, ipv4({}, icmp(8, Bytes(4)))),
			ethernet(type_ipv4, ipv4({}, esp(9))),
			ethernet(type_arp, Bytes(28, 3)),
		};
		const auto counts = watched.count(frames);
		const WatchState &sum = counts->sum;
		size_t bytes = 0;
		for (const Bytes &frame : frames)
			bytes += frame.size();
		CHECK(sum.bytes == bytes);
		CHECK(sum.tcp == 6);
		CHECK(sum.udp == 1);
		CHECK(sum.icmp == 1);
		CHECK(sum.other == 1);
		CHECK(sum.not_ip == 1);
		CHECK(sum.syn == 2);
		CHECK(sum.syn_ack == 1);
		CHECK(sum.fin == 1);
		CHECK(sum.rst == 1);
		// The five of IPv4 TCP are one run, with tags or without.
		CHECK(sum.runs == 6);
		CHECK(sum.held_runs[watch_nb_delays - 1] == 6);
	});
}

TEST_CASE("runs end where the flow changes, and only there")
{
	in_own_network("watch", [] {
		Watched watched;
		const auto frame = [](uint16_t source, bool is_udp = false) {
			return ethernet(type_ipv4, ipv4({}, is_udp ? udp({.source = source, .destination = 80})
			                                           : tcp({.source = source})));
		};
		const Bytes a = frame(1), b = frame(2), c = frame(2, true);
		const auto counts = watched.count({a, a, b, a, b, b, c, c, b});
		CHECK(counts->sum.runs == 6);
		CHECK(counts->sum.reused[0] == 6); // within 4 packets: all but each flow's first
		CHECK(std::lround(counts->flows) == 3);
	});
}

TEST_CASE("flows are estimated within 7 %, since the last read and in all")
{
	in_own_network("watch", [] {
		Watched watched;
		std::vector<Bytes> frames;
		for (uint16_t source = 1; source <= 20'000; source++)
			frames.push_back(ethernet(type_ipv4, tcp4(source)));
		watched.count({});
		CHECK(watched.count(frames)->flows == doctest::Approx(20'000).epsilon(0.07));
		const auto again = watched.count({frames[0], frames[1]});
		CHECK(again->flows_since == doctest::Approx(2).epsilon(0.07));
		CHECK(again->flows == doctest::Approx(20'000).epsilon(0.07));
	});
}
