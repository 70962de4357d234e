// A poll, as every loop here runs it: receive, the reframing stage, a function, transmit. The virtual
// NIC, the threads, the trial over DPDK and the box run all of it; reframer_dpdk_rx_burst() runs the
// first half, and the program behind it the second.
//
// The steps know nothing of packets. They are given
//   Port      Packet                     the type of a packet buffer
//             now()                      ns, asked once a poll
//             rx(most)                   what has been received: an object with a `count`
//             mark(Step)                 a step is over, for ports that measure
//             dropped()                  room for the packets that the function drops
//             tx(packets, n, nb_dropped) sends; the dropped ones are free again
//   Stage     room(now, most)            how many packets, up to `most`, may be received
//             pass(received, now, draining) takes them in and gives a Batch of what leaves
//   Function  process(runs, packets, n, dropped) keeps those that pass at the front; how many they are
// Calls are resolved where the loop is compiled: none of them is virtual.
#pragma once

#include "reframer/reframer.h"

#include <cstdint>
#include <span>

namespace reframer::engine {

// What leaves the stage in a poll, or has been received where there is none. The runs stand for the
// packets from the first one on; of those behind the last run nothing is known.
template <typename Packet> struct Batch {
	Packet **packets = nullptr;
	uint32_t count = 0;
	std::span<const reframer_run> runs;
};

enum class Step : uint8_t { receive, stage, function, transmit };

template <typename Packet> struct Taken {
	uint32_t asked = 0, received = 0; // of the port; from it
	Batch<Packet> out;
};

// First half of a poll: what has been received, `most` packets at most, goes into the stage, and what
// is due comes out; draining, nothing is received, and all comes out.
//
// A loop that took out less than is due, because its core is short of time, and went on receiving
// would move the ring's queue into the stage, and the ring would fill again behind it: twice the wait
// for the same work. So the stage is asked first.
template <typename Port, typename Stage>
Taken<typename Port::Packet> take(Port &port, Stage &stage, uint32_t most, bool draining)
{
	const uint64_t now_ns = port.now();
	const uint32_t asked = draining ? 0 : stage.room(now_ns, most);
	const auto received = port.rx(asked);
	port.mark(Step::receive);
	const Batch<typename Port::Packet> out = stage.pass(received, now_ns, draining);
	port.mark(Step::stage);
	return {asked, received.count, out};
}

template <typename Port, typename Stage, typename Function> class PollLoop {
public:
	// All three stay the caller's.
	PollLoop(Port &port, Stage &stage, Function &function)
		: port_(port), stage_(stage), function_(function)
	{
	}

	void poll(uint32_t most, bool draining)
	{
		take(most, draining);
		process();
	}
	// The halves of a poll.
	void take(uint32_t most, bool draining)
	{
		taken_ = engine::take(port_, stage_, most, draining);
	}
	void process()
	{
		const auto &[packets, n, runs] = taken_.out;
		const uint32_t kept = n ? function_.process(runs, packets, n, port_.dropped()) : 0;
		port_.mark(Step::function);
		port_.tx(packets, kept, n - kept);
		port_.mark(Step::transmit);
	}

	// Of the last poll: packets asked of the port, received, put through the function.
	uint32_t asked() const { return taken_.asked; }
	uint32_t received() const { return taken_.received; }
	uint32_t processed() const { return taken_.out.count; }

private:
	Port &port_;
	Stage &stage_;
	Function &function_;
	Taken<typename Port::Packet> taken_;
};

// Where there is nothing between stage and transmit.
struct PassAll {
	template <typename Packet>
	static uint32_t process(std::span<const reframer_run>, Packet **, uint32_t n, Packet **)
	{
		return n;
	}
};

} // namespace reframer::engine
