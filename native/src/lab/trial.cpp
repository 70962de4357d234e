// Job `trial`: one point of an experiment on the virtual NIC. One process a trial.
//
// Specification (every member is optional; an unknown one is an error):
//   engine      "virtual"
//   chain       "paper" (default) | "modern" | "modern-rte" (DPDK's FIB and ACL) | "inspect"
//               (counter, firewall, pattern search, load balancer) | "forward" (touches nothing: the
//               loop's own cost), or one function alone: "counter", "router", "firewall", "nat", "lb",
//               "cookie-lb", "dpi", "rte-lpm", "rte-fib", "rte-acl", "paper-counter", "paper-router",
//               "paper-firewall", "paper-nat"; some need libraries that a build may lack (exit code 3)
//   form        "packet" (default) | "run": functions work per packet, or once a run of equal keys
//   lookAhead   ask for headers when packets go on hold and, where functions do (the paper's never),
//               for the state of coming packets or runs, default true
//   rules       destination rules of the firewall before the match-all, default 11745 (0..65534)
//   denyShare   share of the rules that drop what they match, default 0
//   tableFlows  idle flows that fill a queue's tables beforehand, default 2^19 / queues: half of the
//               published 1.1 M flows, the state in the middle of such a run; tables have room for
//               2^21 / queues flows (published: 2 M over all cores)
//   policy      "off" (default) | "burst" (zero delay) | "fixed" | "adaptive"
//   delayNs     T, default 64000; "fixed" holds so long, "adaptive" at most; ignored by the others
//   key         "5tuple" (default) | "symmetric" | "destination" | "inner"
//   nicHash     the stage uses the NIC's RSS hash, default true where key is 5tuple
//   maxHeld     packets that the stage may hold, default 4096
//   early       list of "fin", "rst", "psh": packets that end the wait of their group
//   bypass      list of "syn", "new-flow", "dscp-ef", "ect1", "dns": packets that do not wait
//   ackThinning the stage takes out ACKs that a later one covers, default false
//   sensitive   "none" (default) | "tcp" | "udp": a class whose latency is also given apart
//   sensitivePasses  that class does not wait, default true
//   frontCores  cores in front that run Reframer and nothing else, default 0: each chain core has its
//               own; must divide queues. Two virtual stages in sequence, not threads
//   source      {"profile": "campus" (default), "ipv6Permille" (default 0: the chain is IPv4),
//                "quicPermille", "udpPermille"}
//               or {"profile": "clients", "flows", "packetsPerFlow", "interleave", "frameLength"}
//               or {"profile": "uniform", "flows", "frameLength"}
//               or {"profile": "syn-flood", "flows" (default 2^28), "frameLength" (default 60)}
//               or {"profile": "elephant", "flows", "frameLength"}: nine in ten packets of one flow
//               or {"profile": "incast", "flows", "burstPackets" (default 8), "frameLength"}
//               or {"file": PATH, "timing": "rate" (default) | "scaled"}: a capture, repeated until
//               the trial ends; "rate" sends its frames at a constant bit rate of offeredBps,
//               "scaled" stretches the capture's own gaps to that mean
//   offeredBps  bits of frames a second over all queues, default 70e9
//   offeredPps  captures with timing "rate" only, instead of offeredBps: packets a second, evenly
//               spaced (8.1e6 is the packet rate of the published overload point)
//   queues      RX queues, one core each; run one after the other, default 8, at most 128 (the
//               entries of the RSS table, filled round robin)
//   ringDepth   descriptors of a queue, default 256 (published: 256 and 4096)
//   burst       most packets of a poll, default 32
//   releaseMax  most packets that a poll takes out of the stage before it looks at the ring again;
//               0 (default): all that are due
//   dma         "llc" (default): another core writes the frames; "dram": they are flushed to memory
//   durationNs  measured time on the virtual clock, default 20 ms
//   warmupNs    virtual time before it, loop running, not measured, default 5 ms
//   learnNs     arrivals before that whose flows enter the tables without being timed, default 50 ms
//   serviceNs   fixed cost of a packet instead of the measured one (model checks), default 0 = off
//   seed        of traffic, routes, rules and hash keys, default 1
//   raw         keep marked polls in the clock, default false
//   cpus        [core under test, core that stands in for DMA]; default: the first two allowed
//   dump        {"file": PATH, "packets": N (default 1000)}: departed frames of queue 0 as pcap
//
// Result, one record. Rates, shares, latencies and times belong to the measured window; `checks`
// to the whole trial, drained to the end.
//   job "trial", spec (as understood), seed, tscHz, wallSeconds
//   offeredBps, offeredPps       what arrived
//   throughputBps, throughputPps what departed, over virtual time
//   slfIn, slfOut                mean run length at the ring (accepted packets) and at the chain
//   flows                        distinct flows that arrived
//   nsPerPacket, cyclesPerPacket busy time a processed packet (TSC cycles); empty polls excluded
//   stageNsPerPacket, chainNsPerPacket   its split: poll + Reframer, chain + transmit
//   missNsPerPacket              cost of a packet of a new flow that no cache knows, in the chain
//                                alone, measured before the trial
//   busyShare                    busy time / virtual time
//   packetsPerPoll               mean packets that a busy poll took from the ring
//   latencyNs                    {mean, p50, p95, p99, p999, max}: departure - arrival
//   sensitiveLatencyNs           the same of the sensitive class, null where none is named
//   front                        {cores, nsPerPacket, busyShare, ringDropShare} of cores in front, or null
//   cores                        of chain and front together
//   throughputPerCoreBps         throughputBps over these
//   holdNs                       {p50, p99, max} in the stage, null when policy is off
//   drops                        {ring, ringShare, nf, nfReasons: {NAME: N}}
//   polls                        {busy, empty, interrupted, interruptedNs, preempted, preemptedNs,
//                                emptyPollNs}; interrupted and preempted polls are charged the
//                                median of their kind instead of their time (engine/marks.hpp)
//   void, voidReason             true when the figures must not be used, and why (else null): more
//                                than one preempted poll in 30 ms of polling, or more than 5 % of
//                                the time in interrupted ones
//   checks                       {in, out, nfDropped, ringDropped, thinned, held, conserved, ordered,
//                                 formsAgree (null for chain "forward"), passed}
//   answer                       hex checksum of all departed frames with their arrival numbers
//   chainStats                   {NAME: number} counters of the functions, summed over queues
//   reframer                     {runsIn, runsOut, heldMax, reasons: {NAME: groups}} or null
//   machine                      {dmaFiller: "core" | "self", hugepages: bool, nice: priority}
//   queueResults                 per queue {offeredPps, throughputBps, throughputPps, slfIn, slfOut,
//                                 nsPerPacket, p50Ns, p99Ns, ringDropShare, busyShare}
// A failed check is an error record "check-failed" after the result, exit code 1.
#include "lab/trial.hpp"

#include "engine/tsc.hpp"
#include "lab/trial_front.hpp"
#include "lab/trial_source.hpp"
#include "nf/prefixes.hpp"
#include "traffic/capture_writer.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

namespace reframer::lab {

namespace {

// Frames of a piece of the trial: 256 MiB are some 29 ms at 70 Gbps.
constexpr size_t arena_bytes = 256u << 20;
// Packets on which both forms of the chain must agree, in every trial.
constexpr size_t form_sample = 2048;

struct Core {
	std::unique_ptr<nf::Chain> chain;
	Stage stage;
	std::unique_ptr<engine::VirtualQueue> queue;
};

Stage make_stage(const TrialSpec &spec)
{
	if (spec.policy == Policy::off)
		return nullptr;
	reframer_params p;
	reframer_default_params(&p);
	p.policy = spec.policy == Policy::burst      ? REFRAMER_BURST
	           : spec.policy == Policy::adaptive ? REFRAMER_ADAPTIVE
	                                             : REFRAMER_FIXED;
	p.key = spec.key;
	p.delay_ns = spec.delay_ns;
	p.max_packets = spec.max_held;
	p.early = spec.early;
	p.bypass = spec.bypass;
	p.options = spec.ack_thinning ? REFRAMER_OPT_ACK_THINNING : 0;
	reframer_rule sensitive{};
	sensitive.protocol = spec.sensitive;
	const bool passes = spec.sensitive && spec.sensitive_passes;
	p.rules = passes ? &sensitive : nullptr; // copied
	p.nb_rules = passes ? 1 : 0;
	p.hash_seed = spec.seed | 1; // 0 would draw one
	reframer_stage *stage = nullptr;
	if (int error = reframer_create(&p, &stage))
		throw JobError("failed", std::string("the stage: ") + reframer_strerror(error));
	return Stage(stage);
}

// Pins the calling thread; returns the core that stands in for DMA, -1 where there is none.
int take_cores(const TrialSpec &spec)
{
	cpu_set_t allowed;
	CPU_ZERO(&allowed);
	if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
		throw JobError("failed", "cannot read the cores that this process may use");
	std::vector<int> cpus = spec.cpus;
	for (int c = 0; cpus.size() < 2 && spec.cpus.empty() && c < CPU_SETSIZE; c++)
		if (CPU_ISSET(static_cast<size_t>(c), &allowed))
			cpus.push_back(c);
	if (cpus.size() < 2 && spec.dma == Dma::llc)
		throw JobError("not-supported",
		               "dma \"llc\" needs a second core to write the frames; use \"dram\"", 3);
	cpu_set_t mine;
	CPU_ZERO(&mine);
	CPU_SET(static_cast<size_t>(cpus[0]), &mine);
	if (pthread_setaffinity_np(pthread_self(), sizeof(mine), &mine) != 0)
		throw JobError("not-supported", "cannot run on core " + std::to_string(cpus[0]), 3);
	return cpus.size() < 2 ? -1 : cpus[1];
}

// Asks for the highest ordinary priority, so that other programs interrupt fewer polls; without the
// right to it the trial runs as it is. Real-time scheduling would not do: the kernel stops such
// threads for 50 ms of every second that they do not sleep. Returns what is in force.
int raise_priority()
{
	// Threads that start later inherit it.
	setpriority(PRIO_PROCESS, 0, -20);
	return getpriority(PRIO_PROCESS, 0);
}

// Whether both forms of the chain give the same frames, drops and tables for these packets, grouped
// by RSS hash as the stage would.
bool forms_agree(const nf::ChainFactory &all, std::span<const engine::Arrival> arrivals)
{
	std::vector<engine::Arrival> sample(arrivals.begin(),
	                                    arrivals.begin() + static_cast<std::ptrdiff_t>(std::min(
	                                                           arrivals.size(), form_sample)));
	std::stable_sort(sample.begin(), sample.end(),
	                 [](const auto &a, const auto &b) { return a.rss < b.rss; });
	auto n = static_cast<uint32_t>(sample.size());
	std::vector<reframer_run> runs;
	for (uint32_t i = 0; i < n; i++) {
		if (i && sample[i].rss == sample[i - 1].rss)
			runs.back().count++;
		else
			runs.push_back({i, 1, sample[i].rss, REFRAMER_BY_DRAIN});
	}
	nf::ChainFactory factory(all, form_sample * 2);
	nf::Region<uint8_t> memory[2];
	uint32_t kept[2];
	std::unique_ptr<nf::Chain> chains[2];
	std::vector<nf::Mbuf *> packets[2], dropped(n);
	for (int form = 0; form < 2; form++) {
		memory[form] = nf::Region<uint8_t>(std::max<size_t>(n, 1) * nf::Mbuf::stride);
		for (uint32_t i = 0; i < n; i++) {
			auto *m = reinterpret_cast<nf::Mbuf *>(memory[form].data() + i * nf::Mbuf::stride);
			m->captured = sample[i].captured;
			m->wire = sample[i].wire;
			std::copy_n(sample[i].data, sample[i].captured, m->data());
			packets[form].push_back(m);
		}
		chains[form] = factory.make(form ? nf::Form::run : nf::Form::packet, 0);
		kept[form] = chains[form]->process(packets[form].data(), n, runs.data(),
		                                   static_cast<uint32_t>(runs.size()), dropped.data());
	}
	if (kept[0] != kept[1] || chains[0]->table_digest() != chains[1]->table_digest())
		return false;
	for (uint8_t v = 0; v < nf::nb_verdicts; v++)
		if (chains[0]->verdicts(v) != chains[1]->verdicts(v))
			return false;
	for (uint32_t i = 0; i < kept[0]; i++) {
		const nf::Mbuf *a = packets[0][i], *b = packets[1][i];
		if (a->captured != b->captured || !std::equal(a->data(), a->data() + a->captured, b->data()))
			return false;
	}
	return true;
}

// Cost of a packet whose flow, destination and rule no cache knows: the median over bursts of new
// flows, in small tables.
double worst_packet_ns(const nf::ChainFactory &all, const TrialSpec &spec, double tsc_hz)
{
	constexpr uint32_t burst = 32, bursts = 33;
	auto chain = nf::ChainFactory(all, std::bit_ceil(burst * bursts)).make(spec.form, 0);
	nf::Region<uint8_t> memory(burst * nf::Mbuf::stride);
	nf::Random random(spec.seed);
	std::vector<nf::Mbuf *> packets(burst), dropped(burst);
	std::vector<double> cost;
	for (uint32_t b = 0; b < bursts; b++) {
		for (uint32_t i = 0; i < burst; i++) {
			packets[i] = reinterpret_cast<nf::Mbuf *>(memory.data() + i * nf::Mbuf::stride);
			packets[i]->captured = packets[i]->wire = 60;
			uint8_t frame[60] = {};
			frame[12] = 0x08; // IPv4, UDP, random addresses and ports
			frame[14] = 0x45;
			frame[22] = 64;
			frame[23] = 17;
			uint64_t words[2] = {random.next(), random.next()};
			std::memcpy(frame + 26, words, 12);
			std::memcpy(packets[i]->data(), frame, sizeof(frame));
		}
		uint64_t start = engine::tsc_start();
		chain->process(packets.data(), burst, nullptr, 0, dropped.data());
		cost.push_back(static_cast<double>(engine::tsc_stop() - start) / tsc_hz * 1e9 / burst);
	}
	std::nth_element(cost.begin(), cost.begin() + bursts / 2, cost.end());
	return cost[bursts / 2];
}

void dump_departures(engine::VirtualQueue &queue, traffic::CaptureWriter &writer, uint64_t packets)
{
	queue.on_departure = [&writer, left = packets](const nf::Mbuf &m, double time_ns) mutable {
		if (!left)
			return;
		left--;
		packet::Frame frame = {m.data(), m.captured, m.wire, 0, packet::LinkType::ethernet, 0};
		writer.write(frame, static_cast<uint64_t>(time_ns), {});
	};
}

} // namespace

TrialOutcome run_trial_spec(const TrialSpec &spec)
{
	auto wall = std::chrono::steady_clock::now();
	TrialOutcome out;
	int dma_core = take_cores(spec);
	out.nice = raise_priority();
	out.tsc_hz = engine::measure_tsc_hz();
	out.tsc_overhead_ns = engine::measure_tsc_overhead() / out.tsc_hz * 1e9;
	out.dma_on_core = dma_core >= 0;
	engine::Dma dma(spec.dma == Dma::llc ? engine::Dma::Into::llc : engine::Dma::Into::dram, dma_core);

	nf::Config config;
	config.kind = spec.chain;
	config.nb_rules = spec.rules;
	config.look_ahead = spec.look_ahead;
	config.deny_share = spec.deny_share;
	config.seed = spec.seed;
	config.table_capacity = table_capacity(spec.queues);
	nf::ChainFactory factory(config);

	uint64_t window_start = spec.learn_ns + spec.warmup_ns;
	uint64_t end = window_start + spec.duration_ns;
	engine::QueueConfig queue;
	queue.ring_depth = spec.ring_depth;
	queue.burst = spec.burst;
	queue.max_held = spec.max_held;
	queue.release_max = spec.release_max;
	queue.report_load = spec.policy == Policy::adaptive;
	queue.nic_hash = spec.nic_hash;
	queue.look_ahead = spec.look_ahead;
	queue.thins = spec.ack_thinning;
	queue.sensitive_protocol = spec.sensitive;
	queue.service_ns = static_cast<double>(spec.service_ns);
	queue.keep_marked = spec.raw;
	queue.worst_packet_ns = out.worst_packet_ns = worst_packet_ns(factory, spec, out.tsc_hz);
	queue.start_ns = static_cast<double>(spec.learn_ns);
	queue.window_start_ns = static_cast<double>(window_start);
	queue.window_end_ns = static_cast<double>(end);
	queue.tsc_hz = out.tsc_hz;

	std::unique_ptr<traffic::CaptureWriter> writer;
	if (!spec.dump_file.empty())
		writer = std::make_unique<traffic::CaptureWriter>(spec.dump_file);
	std::vector<Core> cores(spec.queues);
	for (uint32_t q = 0; q < spec.queues; q++) {
		Core &c = cores[q];
		c.chain = factory.make(spec.form, q);
		c.chain->add_idle_flows(spec.table_flows);
		if (!spec.front_cores)
			c.stage = make_stage(spec);
		c.queue = std::make_unique<engine::VirtualQueue>(queue, c.stage.get(), *c.chain, dma);
		if (q == 0 && writer)
			dump_departures(*c.queue, *writer, spec.dump_packets);
		out.huge_pages = c.queue->huge_pages();
	}

	auto source = open_trial_source(spec);
	if (spec.learn_ns)
		source->learn(spec.learn_ns - 1, [&](uint32_t q, const uint8_t *frame, uint32_t captured) {
			cores[q].chain->learn(frame, captured);
		});
	size_t piece_bytes = std::min<size_t>(arena_bytes, arena_estimate(spec));
	Arena arena(piece_bytes);
	std::unique_ptr<FrontCores> front;
	if (spec.front_cores) {
		nf::Config nothing;
		nothing.kind = nf::ChainKind::forward;
		// What was held over from the piece before comes on top.
		front = std::make_unique<FrontCores>(spec, queue, piece_bytes + piece_bytes / 2, dma, nf::ChainFactory(nothing),
		                                     [&] { return make_stage(spec); });
	}
	std::vector<std::vector<engine::Arrival>> arrivals(spec.queues);
	for (uint64_t until = 0; until < end - 1;) {
		arena.clear();
		for (auto &list : arrivals)
			list.clear();
		until = source->fill(end - 1, arena, arrivals);
		if (spec.chain != nf::ChainKind::forward && !out.forms_checked) {
			auto most = std::max_element(arrivals.begin(), arrivals.end(), [](auto &a, auto &b) {
				return a.size() < b.size();
			});
			out.forms_checked = true;
			out.forms_agree = forms_agree(factory, *most);
		}
		if (front)
			front->relay(arrivals, until);
		for (uint32_t q = 0; q < spec.queues; q++)
			cores[q].queue->run(arrivals[q], static_cast<double>(until));
	}
	if (front) {
		front->drain(arrivals);
		for (uint32_t q = 0; q < spec.queues; q++)
			if (!arrivals[q].empty())
				cores[q].queue->run(arrivals[q], static_cast<double>(arrivals[q].back().time_ns));
		for (FrontCores::Core &c : front->cores())
			collect(out, out.front, *c.queue, *c.chain, c.stage.get());
	}
	for (Core &c : cores) {
		c.queue->drain();
		collect(out, out.queues, *c.queue, *c.chain, c.stage.get());
	}
	if (writer)
		writer->finish();
	out.flows = source->flows();
	out.answer = dma.answer();
	out.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
	return out;
}

void run_trial(const Json &json)
{
	TrialSpec spec = parse_trial_spec(json);
	TrialOutcome outcome;
	try {
		outcome = run_trial_spec(spec);
	} catch (const traffic::CaptureError &e) {
		JobError error(e.code, e.what());
		error.file = e.file;
		error.offset = e.offset;
		throw error;
	}
	emit(report(spec, outcome));
	if (!outcome.passed())
		throw JobError("check-failed", "the trial's own checks failed; see checks in its record");
}

} // namespace reframer::lab
