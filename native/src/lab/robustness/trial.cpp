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
//          "grownMiB" (of the process, from the start of traffic), "loadShare", "void","checks"}
//
// Each packet goes through the whole parser into a flow table of fixed size that is placed by the
// NIC's hash, the weaker way under attack. Flows whose handshake is over are protected from early
// eviction; those of one SYN are not. A connection is not picked up in the middle: an ACK that finds
// no entry makes none that counts. The server's answer passes on another queue.
#include "base/cores.hpp"
#include "datapath/ports/virtual_queue.hpp"
#include "jobs/job.hpp"
#include "jobs/spec_reader.hpp"
#include "lab/captures/capture_input.hpp"
#include "lab/pin.hpp"
#include "lab/robustness/traffic.hpp"
#include "measure/tsc.hpp"
#include "reframer/reframer.h"

#include <memory>
#include <optional>

#include <sys/resource.h>
#include <unistd.h>

namespace reframer::lab {

namespace {

RobustnessSpec read_spec(const Json &spec)
{
	const std::initializer_list<std::pair<const char *, Attack>> attacks = {
		{"none", Attack::none},
		{"syn-flood", Attack::syn_flood},
		{"one-packet", Attack::one_packet},
		{"elephant", Attack::elephant},
		{"same-hash", Attack::same_hash},
		{"same-set", Attack::same_set},
		{"fragments", Attack::fragments},
		{"crafted", Attack::crafted},
		{"drip", Attack::drip},
		{"capture", Attack::capture}};
	SpecReader in(spec, "");
	RobustnessSpec t;
	t.attack = in.choice("attack", Attack::none, attacks);
	t.attack_name = in.text("attack", "none");
	t.capture = in.text("capture", "");
	if (t.capture.empty() == (t.attack == Attack::capture))
		in.fail("capture", "is a file for the attack capture, and for no other");
	t.times = in.real("times", 5, 0, 1000);
	t.reframes = in.choice("policy", true, {{"fixed", true}, {"off", false}});
	t.nic_hash = in.choice("hash", true, {{"nic", true}, {"software", false}});
	t.delay_ns = in.integer("delayNs", 64000, 1, second);
	t.legitimate_pps = in.real("legitimatePps", 200e3, 1, 1e8);
	t.open_pps = in.real("openPps", 2000, 0, 1e6);
	// At least a piece of the trial, which is filled before it runs.
	t.rtt_ns = in.integer("rttNs", 20'000'000, uint64_t(piece_ns), 10 * second);
	t.flows = uint32_t(in.integer("flows", 20000, 1, 1u << 20));
	t.table_flows = uint32_t(in.integer("tableFlows", 65536, 64, 1u << 24));
	t.ring_depth = uint32_t(in.integer("ringDepth", 1024, 32, 32768));
	t.max_burst = uint32_t(in.integer("maxBurst", 128, 1, 1u << 20));
	t.release_max = uint32_t(in.integer("releaseMax", 32, 0, 1u << 16));
	t.duration_ns = in.integer("durationNs", 50'000'000, 1000, 60 * second);
	t.warmup_ns = in.integer("warmupNs", 10'000'000, 0, 60 * second);
	t.dma = in.choice("dma", engine::Dma::Into::llc,
	                  {{"llc", engine::Dma::Into::llc}, {"dram", engine::Dma::Into::dram}});
	t.seed = in.integer("seed", 1, 0, 1ull << 53);
	t.cpus = in.integers<uint32_t>("cpus", {}, 0, 1023);
	const bool dma_asked = in.has("dma");
	if (t.cpus.size() > 2)
		in.fail("cpus", "must be a list of one or two core numbers");
	if (t.cpus.empty()) {
		const std::vector<int> allowed = base::allowed_cores();
		if (allowed.empty())
			throw JobError("failed", "cannot read the cores that this process may use");
		t.cpus.push_back(uint32_t(allowed[0]));
		if (const auto other = base::other_core(allowed[0], allowed))
			t.cpus.push_back(uint32_t(*other));
		else if (!dma_asked)
			t.dma = engine::Dma::Into::dram;
	}
	if (t.cpus.size() < 2 && t.dma == engine::Dma::Into::llc)
		in.fail("cpus", "must be two cores, or one with dma dram");
	in.finish();
	return t;
}

double resident_mib()
{
	long pages = 0, resident = 0;
	if (FILE *f = std::fopen("/proc/self/statm", "r")) {
		if (std::fscanf(f, "%ld %ld", &pages, &resident) != 2)
			resident = 0;
		std::fclose(f);
	}
	return double(resident) * double(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

struct StageDeleter {
	void operator()(reframer_stage *s) const { reframer_free(s); }
};

std::unique_ptr<reframer_stage, StageDeleter> make_stage(const RobustnessSpec &t, uint32_t max_held)
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
	reframer_stage *stage = nullptr;
	if (const int error = reframer_create(&p, &stage))
		throw JobError("failed", std::string("the stage: ") + reframer_strerror(error));
	return std::unique_ptr<reframer_stage, StageDeleter>(stage);
}

} // namespace

void run_robustness_trial(const Json &json)
{
	const RobustnessSpec t = read_spec(json);
	pin_job(int(t.cpus[0]));
	setpriority(PRIO_PROCESS, 0, -20);
	engine::Dma dma(t.dma, t.cpus.size() > 1 ? int(t.cpus[1]) : -1);
	std::optional<Traffic> made;
	try {
		made.emplace(t);
	} catch (const traffic::CaptureError &e) {
		throw job_error(e);
	}
	Traffic &traffic = *made;
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
	const auto stage = make_stage(t, config.max_held);
	engine::VirtualQueue queue(config, stage.get(), chain, dma);
	const double before = resident_mib();
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
	const double grown = resident_mib() - before;

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
	const bool is_void = !r.absences.void_reason(r.polls, r.total_ns).empty();
	const engine::Histogram &own = r.watched_own_latency, &setup = openings.setup();
	const auto us = [](const engine::Histogram &h, double q) {
		return h.count() ? Json(h.quantile(q) / 1e3) : Json(nullptr);
	};
	emit({{"attack", t.attack_name},
	      {"times", t.times},
	      {"policy", t.reframes ? "fixed" : "off"},
	      {"p50Us", us(latency, 0.5)},
	      {"p99Us", us(latency, 0.99)},
	      {"p999Us", us(latency, 0.999)},
	      {"ownP50Us", us(own, 0.5)},
	      {"ownP99Us", us(own, 0.99)},
	      {"ownP999Us", us(own, 0.999)},
	      {"opened", openings.opened()},
	      {"connected", openings.connected()},
	      {"connectedShare", openings.opened()
	                             ? Json(double(openings.connected()) / double(openings.opened()))
	                             : Json(nullptr)},
	      {"setupP50Us", us(setup, 0.5)},
	      {"setupP99Us", us(setup, 0.99)},
	      {"setupOwnP99Us", us(openings.setup_own(), 0.99)},
	      {"legitimatePackets", latency.count()},
	      {"legitimateDrops", r.watched_ring_dropped},
	      {"drops", r.window_ring_dropped},
	      {"offeredPackets", r.offered_packets},
	      {"nsPerPacket", r.processed ? r.busy_ns / double(r.processed) : 0},
	      {"loadShare", r.busy_ns / double(t.duration_ns)},
	      {"establishedEvicted", chain.established_evicted()},
	      {"establishedLost", lost},
	      {"evicted", table.evicted},
	      {"refused", table.refused},
	      {"tableMiB", double(table.bytes) / (1 << 20)},
	      {"heldMax", held.packets_held_max},
	      {"grownMiB", grown},
	      {"void", is_void},
	      {"seed", t.seed},
	      {"checks",
	       {{"arrived", r.arrived},
	        {"departed", r.departed},
	        {"conserved", conserved},
	        {"reordered", r.reordered}}}});
	if (!conserved || r.reordered > 0)
		throw JobError("check-failed",
		               "packets were lost or left out of order; see checks in the record");
}

} // namespace reframer::lab
