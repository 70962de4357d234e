// Job `robustness-trial`: what an attack does to the legitimate packets of one queue.
//
// spec    {"attack": "none"|"syn-flood"|"one-packet"|"elephant"|"same-hash"|"same-set"|"fragments"|
//          "crafted"|"drip"|"capture",
//          "capture": FILE (whose frames the last sends, round and round),
//          "times": 5 (packets of the attacker a legitimate one),
//          "policy": "fixed"|"off", "delayNs": 64000,
//          "legitimatePps": 200000, "flows": 20000 (legitimate, established),
//          "openPps": 2000 (legitimate clients that open a connection, a second), "rttNs": 20 ms (from
//          the departure of such a SYN to the arrival of the client's ACK),
//          "tableFlows": 65536 (the table's fixed size), "ringDepth": 1024,
//          "maxBurst": 128 (packets of a group at which it leaves),
//          "hash": "nic"|"software" (what the stage groups by: the NIC's hash, which an attacker can
//          aim at, or its own of the header, which has a secret key),
//          "releaseMax": 32 (packets a poll serves; 0: all due),
//          "durationNs", "warmupNs", "dma": "llc"|"dram", "seed",
//          "cpus": [under test, DMA]; default as in job trial}
// record  {"attack","times","policy",
//          "p50Us","p99Us","p999Us" (legitimate packets of established flows, arrival to departure),
//          "ownP50Us","ownP99Us","ownP999Us" (the same less the time in the stage: queue and work),
//          "legitimatePackets","legitimateDrops","drops","nsPerPacket",
//          "opened" (SYNs of clients that arrived in the window, early enough to be answered in it),
//          "connected" (of them, those whose ACK found the entry of their SYN and left),
//          "connectedShare",
//          "setupP50Us","setupP99Us" (what the box added to such a handshake: SYN and ACK, arrival to
//          departure, together), "setupOwnP99Us" (less the time in the stage),
//          "establishedEvicted","establishedLost","evicted","refused","tableMiB","heldMax",
//          "grownMiB" (of the process, from the start of traffic), "loadShare", "void", "voidReason", "checks"}
//
// Each packet goes through the whole parser into a flow table of fixed size that is placed by the
// NIC's hash, the weaker way under attack. Flows whose handshake is over are protected from early
// eviction; those of one SYN are not. A connection is not picked up in the middle: an ACK that finds
// no entry makes none that counts. The server's answer passes on another queue.
#include "datapath/ports/virtual_queue.hpp"
#include "jobs/record.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/cores.hpp"
#include "lab/robustness/traffic.hpp"
#include "lab/stage.hpp"
#include "measure/memory_use.hpp"
#include "measure/tsc.hpp"

namespace reframer::lab {

namespace {

RobustnessSpec read_spec(const Json &json)
{
	SpecReader in(json, "");
	RobustnessSpec t;
	in.read("attack", t.attack,
	        {{"none", Attack::none},
	         {"syn-flood", Attack::syn_flood},
	         {"one-packet", Attack::one_packet},
	         {"elephant", Attack::elephant},
	         {"same-hash", Attack::same_hash},
	         {"same-set", Attack::same_set},
	         {"fragments", Attack::fragments},
	         {"crafted", Attack::crafted},
	         {"drip", Attack::drip},
	         {"capture", Attack::capture}});
	t.attack_name = in.text("attack", "none");
	in.read("capture", t.capture);
	if (t.capture.empty() == (t.attack == Attack::capture))
		in.fail("capture", "is a file for the attack capture, and for no other");
	in.read("times", t.times, 0, 1000);
	in.read("policy", t.reframes, {{"fixed", true}, {"off", false}});
	in.read("hash", t.nic_hash, {{"nic", true}, {"software", false}});
	in.read("delayNs", t.delay_ns, 1, second);
	in.read("legitimatePps", t.legitimate_pps, 1, 1e8);
	in.read("openPps", t.open_pps, 0, 1e6);
	// At least a piece of the trial, which is filled before it runs.
	in.read("rttNs", t.rtt_ns, piece_ns, 10 * second);
	in.read("flows", t.flows, 1, 1u << 20);
	in.read("tableFlows", t.table_flows, 64, 1u << 24);
	in.read("ringDepth", t.ring_depth, 32, 32768);
	in.read("maxBurst", t.max_burst, 1, 1u << 20);
	in.read("releaseMax", t.release_max, 0, 1u << 16);
	in.read("durationNs", t.duration_ns, 1000, 60 * second);
	in.read("warmupNs", t.warmup_ns, 0, 60 * second);
	in.read("seed", t.seed, 0, 1ull << 53);
	t.cores.read(in);
	in.finish();
	return t;
}

api::Stage stage_of(const RobustnessSpec &t, uint32_t max_held)
{
	if (!t.reframes)
		return nullptr;
	reframer_params p;
	reframer_default_params(&p);
	p.policy = REFRAMER_FIXED;
	p.delay_ns = t.delay_ns;
	p.max_packets = max_held;
	p.max_burst = t.max_burst;
	p.hash_seed = t.seed | 1;
	return make_stage(p);
}

} // namespace

void run_robustness_trial(const Json &json)
{
	RobustnessSpec t = read_spec(json);
	const int nic_core = t.cores.take();
	raise_priority();
	engine::Dma dma(t.cores.dma, nic_core);
	Traffic traffic(t);
	TrackerChain chain(t.table_flows, t.seed);
	for (uint32_t f = 0; f < t.flows; f++)
		chain.establish(traffic.frame(f), plain_length, traffic.hashes()[f]);

	engine::QueueConfig config;
	config.ring_depth = t.ring_depth;
	config.release_max = t.release_max;
	config.nic_hash = t.nic_hash;
	config.window_start_ns = double(t.warmup_ns);
	config.window_end_ns = double(t.warmup_ns + t.duration_ns);
	config.tsc_hz = engine::measure_tsc_hz();
	config.worst_packet_ns = 1000; // a few misses and the longest chain of headers
	config.watched_flows = t.flows;
	const auto stage = stage_of(t, config.max_held);
	engine::VirtualQueue queue(config, stage.get(), chain, dma);
	const engine::ProcessMemory before = engine::process_memory();
	std::vector<engine::Arrival> arrivals;
	Openings &openings = traffic.openings();
	queue.on_left = [&](const nf::Mbuf &m, const engine::VirtualQueue::Left &left) {
		openings.left(left, [&] { return chain.knows(m.data(), m.captured, m.rss); });
	};
	const auto end = double(t.warmup_ns + t.duration_ns);
	for (double until = piece_ns; until - piece_ns < end; until += piece_ns) {
		traffic.fill(std::min(until, end) - 1, arrivals);
		queue.run(arrivals, std::min(until, end));
	}
	queue.drain();
	const uint64_t grown = (engine::process_memory() - before).resident;

	uint64_t lost = 0;
	for (uint32_t f = 0; f < t.flows; f++)
		lost += !chain.knows(traffic.frame(f), plain_length, traffic.hashes()[f]);
	const engine::QueueResult &r = queue.result();
	const conntrack_stats table = chain.stats();
	reframer_stats held{};
	if (stage)
		reframer_get_stats(stage.get(), &held);
	const engine::Histogram &latency = r.watched_latency;
	const bool conserved = r.arrived == r.departed + r.ring_dropped && r.held == 0;
	// As in job `trial`: what the machine took away must not decide the figures.
	const std::string why = r.absences.void_reason(r.polls, r.total_ns);
	const engine::Histogram &own = r.watched_own_latency, &setup = openings.setup();
	const auto us = [](const engine::Histogram &h, double q) {
		return h.count() ? Json(h.quantile(q) / 1e3) : Json(nullptr);
	};
	const Json connected_share =
		openings.opened() ? Json(double(openings.connected()) / double(openings.opened()))
						  : Json(nullptr);
	const uint64_t established_lost = lost;
	const Json checks = NAMED(r.arrived, r.departed, conserved, r.reordered);
	emit(joined(NAMED(t.times, openings.opened(), openings.connected(), connected_share,
	                  chain.established_evicted(), established_lost, table.evicted, table.refused,
	                  t.seed, r.offered_packets, checks),
	            {{"attack", t.attack_name},
	             {"policy", t.reframes ? "fixed" : "off"},
	             {"p50Us", us(latency, 0.5)},
	             {"p99Us", us(latency, 0.99)},
	             {"p999Us", us(latency, 0.999)},
	             {"ownP50Us", us(own, 0.5)},
	             {"ownP99Us", us(own, 0.99)},
	             {"ownP999Us", us(own, 0.999)},
	             {"setupP50Us", us(setup, 0.5)},
	             {"setupP99Us", us(setup, 0.99)},
	             {"setupOwnP99Us", us(openings.setup_own(), 0.99)},
	             {"legitimatePackets", latency.count()},
	             {"legitimateDrops", r.watched_ring_dropped},
	             {"drops", r.window_ring_dropped},
	             {"nsPerPacket", r.processed ? r.busy_ns / double(r.processed) : 0},
	             {"loadShare", r.busy_ns / double(t.duration_ns)},
	             {"tableMiB", double(table.bytes) / (1 << 20)},
	             {"heldMax", held.packets_held_max},
	             {"grownMiB", double(grown) / (1 << 20)},
	             {"void", !why.empty()},
	             {"voidReason", why.empty() ? Json(nullptr) : Json(why)}}));
	if (!conserved || r.reordered > 0)
		throw JobError("check-failed",
		               "packets were lost or left out of order; see checks in the record");
}

} // namespace reframer::lab
