// A core of the box at its end: it goes when its queue is known to be empty, not when it did not look.
#include "dpdk/suite/suite_core.hpp"
#include "packets.hpp"

#include <chrono>
#include <thread>

using namespace reframer;
using namespace reframer::test;

TEST_CASE("a core whose stage has no room has not seen its queue empty")
{
	constexpr uint32_t nb_first = 800, nb_packets = 900;
	constexpr auto delay = std::chrono::milliseconds(5);
	reframer_dpdk_params params = with_delay(std::chrono::nanoseconds(delay).count());
	params.stage.max_burst = 4096;
	params.hash = REFRAMER_DPDK_HASH_NIC;
	Queue queue(params, eal().ring_port);
	dpdk::Lane lane;
	lane.in = eal().ring_port;
	lane.out = eal().null_port;
	lane.reframer = queue.q;
	dpdk::Sender sender;
	const dpdk::TscClock clock;
	dpdk::SuiteShared shared;
	shared.in = lane.in;
	shared.out = lane.out;
	shared.sender = &sender;
	shared.clock = &clock;
	shared.receiving = 1;
	dpdk::SuiteCore core(0, lane, shared, {{lane.in, 0}}, nullptr);
	Source source(7);
	const auto arrive = [&](uint32_t n) {
		for (; n > 0; n--) {
			rte_mbuf *packet = source.packet();
			REQUIRE(rte_eth_tx_burst(eal().ring_port, 0, &packet, 1) == 1); // its own other end
		}
	};
	arrive(nb_first);
	while (lane.received < nb_first)
		core.poll();
	arrive(nb_packets - nb_first);
	// Now more is overdue than leaves in a poll, and the core takes nothing until it has gone.
	std::this_thread::sleep_for(3 * delay);
	// Then the end comes.
	uint32_t polls = 0;
	do
		core.poll();
	while (!core.finish(1024) && ++polls < 1'000'000'000);
	CHECK(lane.received == nb_packets);
	CHECK(lane.sent == nb_packets);
}
