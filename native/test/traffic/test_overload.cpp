// The overloaded device through which the campus profile is fitted, on arrivals whose outcome is known.
#include "support/seed.hpp"
#include "traffic/generator.hpp"
#include "traffic/generator_overload.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace reframer::traffic;

namespace {

PacketMeta packet(uint64_t time_ns, uint32_t flow)
{
	PacketMeta m{};
	m.time_ns = time_ns;
	m.flow = flow;
	m.length = 1000;
	return m;
}

} // namespace

TEST_CASE("an overloaded device serves what its packets and runs cost, and drops the rest")
{
	OverloadParams p;
	p.receive_ns = 100;
	p.packet_ns = 400;
	p.run_ns = 1500;
	for (const uint32_t in_a_row : {1u, 4u}) {
		OverloadedDevice device(p, 1);
		constexpr uint32_t n = 200000;
		for (uint32_t i = 0; i < n; i++) // 10 million a second
			device.arrive(packet(i * 100, i / in_a_row), 0);
		const double cost = 500 + 1500 / device.slf();
		CHECK(device.served_bps(n * 100e-9) == doctest::Approx(8000 / cost * 1e9).epsilon(0.02));
		CHECK(device.drop_share() == doctest::Approx(1 - 100 / cost).epsilon(0.02));
		CHECK(device.slf() <= in_a_row + 0.01); // rings drop in the middle of a row, too
	}
}

TEST_CASE("a device that keeps up drops nothing and holds each group for T")
{
	OverloadParams p;
	p.delay_ns = 10000;
	OverloadedDevice device(p, 1);
	// Two flows alternate, 4 us apart: packets at 0, 4, 8 us of a group's T join it, the next does not.
	for (uint32_t i = 0; i < 6000; i++)
		device.arrive(packet(i * 4000, i % 2), 0);
	CHECK(device.drop_share() < 0.01);
	CHECK(device.slf() == doctest::Approx(2).epsilon(0.2)); // each flow comes every 8 us
	p.delay_ns = 0;
	OverloadedDevice off(p, 1);
	for (uint32_t i = 0; i < 6000; i++)
		off.arrive(packet(i * 4000, i % 2), 0);
	CHECK(off.slf() == 1);
}

TEST_CASE("SLF(T) of campus traffic behind an overloaded device is the published one within 6 %")
{
	const uint64_t delays[] = {0, 8000, 16000, 32000, 64000, 104000, 128000, 256000};
	const double published[] = {1.22, 1.78, 2.16, 2.64, 3.18, 3.52, 3.62, 3.89};
	// Not fitted: it follows.
	const double gbps[] = {32.0, 35.8, 40.1, 45.4, 51.0, 52.5, 52.0, 48.1};
	std::vector<OverloadedDevice> devices;
	for (const uint64_t delay : delays) {
		OverloadParams p;
		p.delay_ns = delay;
		devices.emplace_back(p, 8);
	}
	GeneratorParams params;
	params.seed = reframer::test::seed_for("overload", 1);
	params.packets = 3000000;
	params.rate_bps = 69900000000;
	Generator generator(params);
	PacketMeta burst[32];
	uint64_t last = 0;
	while (const size_t n = generator.read_meta(burst, 32))
		for (size_t i = 0; i < n; i++) {
			last = burst[i].time_ns;
			for (OverloadedDevice &device : devices)
				device.arrive(burst[i], rss_queue(burst[i].hash, 8));
		}
	for (size_t i = 0; i < devices.size(); i++) {
		CAPTURE(delays[i]);
		CHECK(devices[i].slf() == doctest::Approx(published[i]).epsilon(0.06));
		CHECK(devices[i].served_bps(static_cast<double>(last) * 1e-9) / 1e9 ==
		      doctest::Approx(gbps[i]).epsilon(0.1));
	}
}
