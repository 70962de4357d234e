// What REFRAMER may say.
#include "dpdk/preload_options.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace reframer::dpdk;

TEST_CASE("REFRAMER: every word sets what it names, and nothing else is taken")
{
	PreloadOptions o;
	CHECK(parse_preload("", o) == "");
	CHECK(o.params.stage.delay_ns == 64'000);
	CHECK(o.takes(3));
	CHECK(parse_preload("off", o) == "");
	CHECK(!o.takes(0));
	CHECK(
		parse_preload(
			"delay=1.5ms,policy=adaptive,key=symmetric,hash=software,packets=2k,bytes=4M,burst=64,"
			"lookahead=0,bypass=syn+dns,early=fin+rst+psh,repair,thin,ports=0+2,quiet",
			o) == "");
	CHECK(o.params.stage.delay_ns == 1'500'000);
	CHECK(o.params.stage.policy == REFRAMER_ADAPTIVE);
	CHECK(o.params.stage.key == REFRAMER_KEY_SYMMETRIC);
	CHECK(o.params.hash == REFRAMER_DPDK_HASH_SOFTWARE);
	CHECK(o.params.stage.max_packets == 2000);
	CHECK(o.params.stage.max_bytes == 4u << 20);
	CHECK(o.params.stage.max_burst == 64);
	CHECK(o.params.stage.lookahead == 0);
	CHECK(o.params.stage.bypass == (REFRAMER_BYPASS_SYN | REFRAMER_BYPASS_DNS));
	CHECK(o.params.stage.early == (REFRAMER_EARLY_FIN | REFRAMER_EARLY_RST | REFRAMER_EARLY_PSH));
	CHECK(o.params.stage.options == (REFRAMER_OPT_TCP_REPAIR | REFRAMER_OPT_ACK_THINNING));
	CHECK(o.takes(2));
	CHECK(!o.takes(1));
	CHECK(o.quiet);

	for (const char *wrong : {"delay",
	                          "delay=",
	                          "delay=64",
	                          "delay=-1us",
	                          "delay=64us ",
	                          " delay=64us",
	                          "delay=2s",
	                          "delay=64us,",
	                          "delay=64us,delay=32us",
	                          "policy=sometimes",
	                          "polcy=fixed",
	                          "packets=31",
	                          "packets=1e6",
	                          "packets=2000000",
	                          "burst=0",
	                          "bytes=0",
	                          "lookahead=129",
	                          "bypass=syn+",
	                          "early=all",
	                          "ports=",
	                          "ports=0+x",
	                          "ports=70000",
	                          "repair=1",
	                          "off,quiet",
	                          "delay=nan",
	                          "delay=infus",
	                          "key=5TUPLE",
	                          ","})
		CHECK_MESSAGE(parse_preload(wrong, o) != "", wrong);
}
