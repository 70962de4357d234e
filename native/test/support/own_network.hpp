// Runs a test in a network namespace of its own; says so where that cannot be.
#pragma once

#include "devices/tap_port.hpp"

#include <doctest/doctest.h>

#include <cstdio>
#include <functional>
#include <thread>

namespace reframer::test {

// On a thread with its own namespace, which ends with it.
inline void in_own_network(const char *what, const std::function<void()> &body)
{
	std::thread([&] {
		try {
			engine::enter_own_network();
			body();
		} catch (const engine::DeviceError &e) {
			if (!e.unsupported)
				FAIL(e.what());
			std::fprintf(stderr, "skipped: %s: %s\n", what, e.what());
		}
	}).join();
}

} // namespace reframer::test
