// Bursts with a NIC's hashes and bursts without, of one instance.
#include "stage_fixture.hpp"

#include <doctest/doctest.h>

using namespace reframer::test;

TEST_CASE("where hashes come or stop coming all that waits leaves first, both ways to hold")
{
	using Ids = std::vector<uint64_t>;
	for (const uint32_t early : {0u, uint32_t{REFRAMER_EARLY_FIN}}) {
		CAPTURE(early);
		Stage stage([&](reframer_params &p) {
			p.early = early;
			p.lookahead = 0;
		});
		stage.push({{1, ack(1)}, {2, ack(2)}}, 0, {7, 8});
		CHECK(stage.poll(0).empty());
		// A FIN must not overtake what its flow has waiting under another hash.
		stage.push({{3, with_flags(1, 0x11)}}, 1000);
		CHECK(stage.poll(1000) == (early ? Ids{1, 2, 3} : Ids{1, 2}));
		CHECK(stage.stats().released[REFRAMER_BY_DRAIN] == 2);
		stage.push({{4, ack(1)}}, 2000, {7});
		CHECK(stage.poll(2000) == (early ? Ids{} : Ids{3}));
		// The same again: nothing changes.
		stage.push({{5, ack(1)}}, 3000, {7});
		CHECK(stage.poll(3000).empty());
		CHECK(stage.poll(66'000) == Ids{4, 5});
	}
}
