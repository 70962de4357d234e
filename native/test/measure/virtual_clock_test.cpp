#include "measure/virtual_clock.hpp"

#include <doctest/doctest.h>

using reframer::engine::VirtualClock;

TEST_CASE("a virtual clock moves by work and by waiting, and never back")
{
	VirtualClock clock(100);
	CHECK(clock == 100.0);
	clock.spend(2.5);
	CHECK(clock == 102.5);
	clock.wait_until(50);
	CHECK(clock == 102.5);
	clock.wait_until(200);
	CHECK(clock == 200.0);
	clock.spend(0);
	CHECK(clock - 1 == 199.0);
}
