// The environment variable REFRAMER of libreframer_preload.so, for example
// "delay=64us,policy=adaptive,key=5tuple,early=fin+rst".
#pragma once

#include "reframer/dpdk.h"

#include <string>
#include <vector>

namespace reframer::dpdk {

struct PreloadOptions {
	bool off = false; // REFRAMER=off: the program as it would run without
	reframer_dpdk_params params;
	std::vector<uint16_t> ports; // none: all
	bool quiet = false;          // no counters at exit
	bool takes(uint16_t port) const;
};

// What every word may be, for messages and the manual.
extern const char *const preload_grammar;

// Empty: the text was understood. Otherwise what is wrong with it, and what would be right.
std::string parse_preload(const std::string &text, PreloadOptions &out);

} // namespace reframer::dpdk
