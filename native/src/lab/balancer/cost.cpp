// Job `balancer-cost`: what a packet costs in a load balancer on one core.
//
// spec   {"contender": "cookie"|"tracker"|"maglev"|"keyed-hash"|"rss-hash"|"crc-hash"|"rte-hash"|
//         "rte-hash-bulk", "connections": 1000000, "slf": 1 (packets of a connection in a row),
//         "servers": 64, "pieces": 64 (of 8192 packets), "frameOffset": 0 (bytes behind a cache line at
//         which frames begin: a mempool's private size moves it in steps of 8), "ipv6": false (the
//         library and "rss-hash" alone), "path": false (with what a program does around it: a ring of
//         descriptors, metadata, the Ethernet header, a ring to send from), "seed": 1}
// record {"contender","connections","slf","packets","nsPerPacket","cyclesPerPacket","tscGhz"}
//         medians of the pieces; or {"contender","unavailable"}
//
// All take bursts of 32. The first four are libreframer.so's balancer; the others stand beside it, made
// like its short way (cost_contenders.cpp): by the hash that a NIC computed, by a CRC of addresses and
// ports, by DPDK's rte_hash, a key at a time or a burst at once. All packets are data of clients, with
// timestamps; only the cookie rewrites those, so it alone asks for a header's second line.
// Buffers lie as a mempool lays them; before each piece their headers are written and flushed to memory.
// Afterwards each packet's server is compared with that of its connection's SYN, its sums are computed
// anew, and with the cookie the echo must be what the server sent.
#include "base/cores.hpp"
#include "base/random.hpp"
#include "base/region.hpp"
#include "datapath/ports/ring_port.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/balancer/cost_contenders.hpp"
#include "lab/balancer/frames.hpp"
#include "lab/balancer/jobs.hpp"
#include "lab/cores.hpp"
#include "measure/median.hpp"
#include "measure/tsc.hpp"
#include "nf/mbuf.hpp"
#include "nf/route.hpp"

#include <emmintrin.h>

#include <algorithm>
#include <vector>

namespace reframer::lab {

namespace {

constexpr uint32_t piece = 8192;

void wrong(const std::string &contender, const char *what)
{
	throw JobError("check-failed", contender + ": " + what);
}

// Buffers as a mempool lays them.
class Buffers {
public:
	explicit Buffers(uint32_t frame_offset)
		: memory_(size_t{piece} * nf::Mbuf::stride), at_(nf::Mbuf::data_offset + frame_offset)
	{
	}
	uint8_t *put(uint32_t i, const uint8_t *frame, uint32_t size)
	{
		uint8_t *to = memory_.data() + size_t{i} * nf::Mbuf::stride + at_;
		std::copy(frame, frame + size, to);
		return to;
	}

private:
	base::Region<uint8_t> memory_;
	const uint32_t at_;
};

// What surrounds a balancer in a program: descriptors to buffers, the next hop's Ethernet addresses,
// buffers to descriptors.
class Path {
public:
	Path() : port_(config(), cost_burst) {}

	uint8_t *arrives(const uint8_t *frame, uint32_t size, uint32_t rss)
	{
		const engine::Arrival arrival = {0, frame, size, size, rss, 0};
		return const_cast<uint8_t *>(port_.fill(filled_++, arrival, 0));
	}
	void poll(Cost &cost)
	{
		const engine::RingPort::Received got = port_.rx(cost_burst);
		uint8_t *frames[cost_burst];
		for (uint32_t i = 0; i < cost_burst; i++)
			frames[i] = got.packets[i]->data();
		cost.process(frames, got.hash);
		for (uint32_t i = 0; i < got.count; i++)
			nf::write_ethernet(got.packets[i], nf::ethernet_addresses(1), 1);
		port_.tx(got.packets, got.count, 0);
	}

private:
	static engine::QueueConfig config()
	{
		engine::QueueConfig c;
		c.ring_depth = piece;
		c.burst = cost_burst;
		return c;
	}
	engine::RingPort port_;
	uint64_t filled_ = 0;
};

} // namespace

void run_balancer_cost(const Json &json)
{
	SpecReader in(json, "");
	CostSpec t;
	in.read("contender", t.contender);
	const std::initializer_list<const char *> known = {"cookie",     "tracker",      "maglev",
	                                                   "keyed-hash", "rss-hash",     "crc-hash",
	                                                   "rte-hash",   "rte-hash-bulk"};
	if (std::find(known.begin(), known.end(), t.contender) == known.end())
		in.fail("contender", "is none that there is");
	in.read("connections", t.connections, 100, 1u << 24);
	in.read("slf", t.slf, 1, 1024);
	in.read("servers", t.servers, 1, 4096);
	in.read("pieces", t.pieces, 1, 4096);
	in.read("frameOffset", t.frame_offset, 0, 63);
	in.read("ipv6", t.ipv6);
	in.read("path", t.path);
	if (t.path && t.frame_offset != 0)
		in.fail("path", "has frames that begin with a line");
	if (t.ipv6 && (t.contender == "crc-hash" || t.contender.starts_with("rte-hash")))
		in.fail("ipv6", "is not for this contender");
	in.read("seed", t.seed, 0, 1ull << 53);
	in.finish();
	pin_job(base::allowed_cores().at(0));
	raise_priority();
	const std::unique_ptr<Cost> cost = make_cost(t);
	if (!cost) {
		emit({{"contender", t.contender}, {"unavailable", "DPDK is not in this build"}});
		return;
	}
	std::vector<CostConnection> connections;
	for (uint32_t i = 0; i < t.connections; i++)
		connections.push_back(cost->open(i));

	Buffers buffers(t.frame_offset);
	Path path;
	std::vector<uint8_t *> frames(piece);
	const uint32_t size = lb_frame_size(t.ipv6);
	std::vector<uint32_t> drawn(piece), rss(piece);
	std::vector<uint64_t> ticks;
	base::Random random{t.seed};
	for (uint32_t n = 0; n < t.pieces; n++) {
		for (uint32_t i = 0; i < piece; i++) {
			drawn[i] = i % t.slf ? drawn[i - 1] : random.below(t.connections);
			rss[i] = cost_rss_of(drawn[i]);
			uint8_t frame[lb_most_frame];
			write_lb_frame(frame, lb_client(drawn[i]), {lb_service, lb_port}, 0x10, 77,
			               connections[drawn[i]].word, t.ipv6);
			frames[i] = t.path ? path.arrives(frame, size, rss[i]) : buffers.put(i, frame, size);
		}
		for (uint8_t *f : frames)
			for (uint32_t at = 0; at < size + 63; at += 64)
				_mm_clflush(f + std::min(at, size - 1));
		_mm_mfence();
		const uint64_t start = engine::tsc_start();
		for (uint32_t i = 0; i < piece; i += cost_burst)
			if (t.path)
				path.poll(*cost);
			else
				cost->process(&frames[i], &rss[i]);
		ticks.push_back(engine::tsc_stop() - start);
		for (uint32_t i = 0; i < piece; i++) {
			const CostConnection &c = connections[drawn[i]];
			if (lb_destination(frames[i], t.ipv6) != lb_server_net + c.server)
				wrong(t.contender, "a packet went to another server than its SYN");
			if (!lb_sums_right(frames[i], t.ipv6))
				wrong(t.contender, "a sum is wrong");
			if (cost->restores() &&
			    balance::load_be32(frames[i] + lb_tcp_at(t.ipv6) + 28) != cost_server_clock)
				wrong(t.contender, "a server gets back what it did not send");
		}
	}
	const double tsc_ghz = engine::measure_tsc_hz() * 1e-9;
	const double cycles_per_packet = double(engine::quantile(ticks, 0.5)) / piece;
	const double ns_per_packet = cycles_per_packet / tsc_ghz;
	const uint64_t packets = uint64_t{piece} * t.pieces;
	emit(NAMED(t.contender, t.connections, t.slf, packets, ns_per_packet, cycles_per_packet,
	           tsc_ghz));
}

} // namespace reframer::lab
