// Job `trial`: one point of an experiment on the virtual NIC. One process a trial.
//
// Specification (every member is optional; an unknown one is an error):
//   engine      "virtual" (default) | "threads": the same loop in real time, fed by a second core by
//               the clock; all frames of the trial are in memory, so it must be short. The check of
//               the virtual one: no raw, standTwice, dump, serviceNs, nor dma "dram"; two cores needed
//   chain       "paper" (default) | "cached-rules" (the paper's functions without its work on each
//               packet) | "modern" | "modern-rte" (DPDK's FIB and ACL) | "inspect"
//               (counter, firewall, pattern search, load balancer) | "forward" (touches nothing: the
//               loop's own cost), or one function alone: "counter", "router", "firewall", "nat", "lb",
//               "cookie-lb", "dpi", "rte-lpm", "rte-fib", "rte-acl", "paper-counter", "paper-router",
//               "paper-firewall", "paper-nat"; some need libraries that a build may lack (exit code 3)
//   form        "packet" (default) | "run": functions work per packet, or once a run of equal keys
//   lookAhead   ask for headers when packets go on hold and, where functions do (the paper's never),
//               for the state of coming packets or runs, default true
//   rules       destination rules of the firewall before the match-all, default 11745, of the chain
//               "paper" 6800 (0..65534)
//   packetRules lines of the paper chain's packet filter, default 1400 (0..65534)
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
//   offeredShare a share of what the chain carries without the stage when offeredBps come, which a
//               trial of its own measures first, default 0 = offeredBps itself; for a rate "that the
//               chain just carries", on any machine
//   offeredPps  captures with timing "rate" only, instead of offeredBps: packets a second, evenly
//               spaced (8.1e6 is the packet rate of the published overload point)
//   queues      RX queues, one core each; run one after the other, default 8, at most 128 (the
//               entries of the RSS table, filled round robin)
//   ringDepth   descriptors of a queue, default 256 (published: 256 and 4096)
//   burst       most packets of a poll, default 32
//   releaseMax  most packets that a poll takes out of the stage before it looks at the ring again;
//               0 (default): all that are due
//   dma         "llc" (default): another core wrote the frames and has them in its private caches, or
//               they have moved on to the shared last level: they are read from there. Never from a
//               thread of the polling core: where there is no other core, the default is "dram": they
//               are flushed to memory. The record's `spec` says which it was
//   durationNs  measured time on the virtual clock, default 20 ms
//   warmupNs    virtual time before it, loop running, not measured, default 5 ms
//   learnNs     arrivals before that whose flows enter the tables without being timed, default 50 ms
//   serviceNs   fixed cost of a packet instead of the measured one (model checks), default 0 = off
//   serviceRunNs  with it: what a packet costs more that follows one of another flow, default 0
//   seed        of traffic, routes, rules and hash keys, default 1
//   raw         keep marked polls in the clock, default false
//   standTwice  between polls, while the clock stands, wait as long again as the NIC's side takes: what
//               the caches lose to others in that time shows, default false
//   cpus        [core under test, core that stands in for DMA]; default: the first allowed, and the
//               first that is no thread of the same core
//   dump        {"file": PATH, "packets": N (default 1000)}: departed frames of queue 0 as pcap
//
// Result, one record. Rates, shares, latencies and times belong to the measured window; `checks`
// to the whole trial, drained to the end.
//   job "trial", spec (as understood), seed, tscHz, wallSeconds
//   offeredBps, offeredPps       what arrived
//   throughputBps, throughputPps what departed, over virtual time
//   saturatedBps                 with offeredShare, what that is a share of; else null
//   slfIn, slfOut                mean run length at the ring (accepted packets) and at the chain
//   flows                        distinct flows that arrived
//   nsPerPacket, cyclesPerPacket busy time a processed packet (TSC cycles); empty polls excluded
//   stageNsPerPacket, chainNsPerPacket   its split: poll + Reframer, chain + transmit; null with
//                                threads, whose polls are not stopped in the middle
//   missNsPerPacket              cost of a packet of a new flow that no cache knows, in the chain
//                                alone, measured before the trial
//   busyShare                    busy time / virtual time
//   packetsPerPoll               mean packets that a busy poll took from the ring
//   latencyNs                    {mean, p50, p95, p99, p999, max}: departure - arrival
//   ownLatencyNs                 {mean, p50, p99}: latency less the time in the stage, which is queue and
//                                work; null with threads and with cores in front
//   sensitiveLatencyNs           the same of the sensitive class, null where none is named
//   front                        {cores, nsPerPacket, busyShare, ringDropShare} of cores in front, or null
//   cores                        of chain and front together
//   throughputPerCoreBps         throughputBps over these
//   holdNs                       {p50, p99, max} in the stage, null when policy is off; of the whole
//                                trial, warm-up and drain included
//   drops                        {ring, ringShare, nf, nfReasons: {NAME: N}}; nfReasons as holdNs
//   polls                        {busy, empty, interrupted, interruptedNs, preempted, preemptedNs,
//                                emptyPollNs, starvedNs}; interrupted and preempted polls are charged the
//                                median of their kind instead of their time (measure/marks.hpp);
//                                with threads they are not told apart and stand in the figures;
//                                starvedNs (threads, else null): found nothing while the core that
//                                stands in for the NIC was away, in the window, over all queues
//   void, voidReason             true when the figures must not be used, and why (else null): more
//                                than one preempted poll in 30 ms of polling, or more than 20 % of
//                                the time in interrupted ones (measure/absences.hpp)
//   checks                       {in, out, nfDropped, ringDropped, thinned, held, conserved, ordered,
//                                 formsAgree (null for chain "forward"), passed}
//   answer                       hex checksum of all departed frames with their arrival numbers;
//                                null with threads, where what is dropped differs from run to run
//   chainStats                   {NAME: number} counters of the functions, summed over queues
//   reframer                     {runsIn, runsOut, heldMax, reasons: {NAME: groups}} or null
//   machine                      {dmaFiller: "core" | "self", hugepages: bool, nice: priority}
//   queueResults                 per queue {offeredPps, throughputBps, throughputPps, slfIn, slfOut,
//                                 nsPerPacket, p50Ns, p99Ns, ringDropShare, busyShare}
// A failed check is an error record "check-failed" after the result, exit code 1.
#include "lab/reframer/trial.hpp"

#include "datapath/ports/thread_queue.hpp"
#include "datapath/ports/virtual_queue.hpp"
#include "lab/reframer/trial_front.hpp"
#include "lab/reframer/trial_setup.hpp"
#include "lab/reframer/trial_source.hpp"
#include "measure/callgrind.hpp"
#include "measure/tsc.hpp"
#include "traffic/capture_writer.hpp"

#include <algorithm>
#include <chrono>

namespace reframer::lab {

namespace {

// Frames of a piece of the trial: 256 MiB are some 29 ms at 70 Gbps.
constexpr size_t arena_bytes = 256u << 20;
// Threads do not wait for more: all of their trial is there when it begins.
constexpr size_t threads_arena_bytes = 1u << 30;

struct Core {
	std::unique_ptr<nf::Chain> chain;
	Stage stage;
};

// The parts of a trial that do not depend on its engine.
struct Bench {
	const TrialSpec &spec;
	TrialOutcome &out;
	int nic_core;
	nf::ChainFactory factory;
	uint64_t end;
	engine::QueueConfig queue;
	std::vector<Core> cores;
	std::unique_ptr<TrialSource> source;
	std::vector<std::vector<engine::Arrival>> arrivals;

	// What comes next, up to the trial's end or the arena's.
	uint64_t fill(Arena &arena)
	{
		arena.clear();
		for (auto &list : arrivals)
			list.clear();
		const uint64_t until = source->fill(end - 1, arena, arrivals);
		if (spec.chain != nf::ChainKind::forward && !out.forms_checked) {
			auto most = std::max_element(arrivals.begin(), arrivals.end(),
			                             [](auto &a, auto &b) { return a.size() < b.size(); });
			out.forms_checked = true;
			out.forms_agree = forms_agree(factory, *most);
		}
		return until;
	}
};

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

Bench prepare(TrialSpec &spec, TrialOutcome &out)
{
	const int nic_core = spec.cores.take(spec.engine == Engine::threads);
	out.nice = raise_priority();
	out.tsc_hz = engine::measure_tsc_hz();
	out.tsc_overhead_ns = engine::measure_tsc_overhead() / out.tsc_hz * 1e9;
	out.dma_on_core = nic_core >= 0;

	nf::ChainFactory factory(chain_config(spec));

	const uint64_t window_start = spec.learn_ns + spec.warmup_ns;
	const uint64_t end = window_start + spec.duration_ns;
	engine::QueueConfig queue;
	queue.ring_depth = spec.ring_depth;
	queue.burst = spec.burst;
	queue.max_held = spec.max_held;
	queue.release_max = spec.release_max;
	queue.report_load = spec.policy == HoldPolicy::adaptive;
	queue.nic_hash = spec.nic_hash;
	queue.reads_headers =
		spec.early || spec.bypass || spec.ack_thinning || (spec.sensitive && spec.sensitive_passes);
	queue.look_ahead = spec.look_ahead;
	queue.thins = spec.ack_thinning;
	queue.sensitive_protocol = spec.sensitive;
	queue.service_ns = static_cast<double>(spec.service_ns);
	queue.service_run_ns = static_cast<double>(spec.service_run_ns);
	queue.keep_marked = spec.raw;
	queue.stand_twice = spec.stand_twice;
	if (!spec.service_ns) // else no poll can be interrupted
		queue.worst_packet_ns = out.worst_packet_ns = worst_packet_ns(factory, spec, out.tsc_hz);
	queue.start_ns = static_cast<double>(spec.learn_ns);
	queue.window_start_ns = static_cast<double>(window_start);
	queue.window_end_ns = static_cast<double>(end);
	queue.tsc_hz = out.tsc_hz;

	std::vector<Core> cores(spec.queues);
	for (uint32_t q = 0; q < spec.queues; q++) {
		cores[q].chain = factory.make(spec.form, q);
		cores[q].chain->add_idle_flows(spec.table_flows);
		if (!spec.front_cores)
			cores[q].stage = make_stage(spec);
	}
	auto source = open_trial_source(spec);
	if (spec.learn_ns)
		source->learn(spec.learn_ns - 1, [&](uint32_t q, const uint8_t *frame, uint32_t captured) {
			cores[q].chain->learn(frame, captured);
		});
	return {spec,
	        out,
	        nic_core,
	        std::move(factory),
	        end,
	        queue,
	        std::move(cores),
	        std::move(source),
	        std::vector<std::vector<engine::Arrival>>(spec.queues)};
}

void run_virtual(Bench &bench)
{
	const TrialSpec &spec = bench.spec;
	engine::Dma dma(spec.cores.dma, bench.nic_core);
	std::unique_ptr<traffic::CaptureWriter> writer;
	if (!spec.dump_file.empty())
		writer = std::make_unique<traffic::CaptureWriter>(spec.dump_file);
	std::vector<std::unique_ptr<engine::VirtualQueue>> queues;
	for (Core &c : bench.cores)
		queues.push_back(
			std::make_unique<engine::VirtualQueue>(bench.queue, c.stage.get(), *c.chain, dma));
	if (writer)
		dump_departures(*queues[0], *writer, spec.dump_packets);
	bench.out.huge_pages = queues[0]->huge_pages();

	const size_t piece_bytes = std::min<size_t>(arena_bytes, arena_estimate(spec));
	Arena arena(piece_bytes);
	std::unique_ptr<FrontCores> front;
	if (spec.front_cores) {
		nf::Config nothing;
		nothing.kind = nf::ChainKind::forward;
		// What was held over from the piece before comes on top.
		front = std::make_unique<FrontCores>(spec, bench.queue, piece_bytes + piece_bytes / 2, dma,
		                                     nf::ChainFactory(nothing),
		                                     [&] { return make_stage(spec); });
	}
	for (uint64_t until = 0; until < bench.end - 1;) {
		until = bench.fill(arena);
		begin_counting();
		if (front)
			front->relay(bench.arrivals, until);
		for (uint32_t q = 0; q < spec.queues; q++)
			queues[q]->run(bench.arrivals[q], static_cast<double>(until));
	}
	if (front) {
		front->drain(bench.arrivals);
		for (uint32_t q = 0; q < spec.queues; q++)
			if (!bench.arrivals[q].empty())
				queues[q]->run(bench.arrivals[q],
				               static_cast<double>(bench.arrivals[q].back().time_ns));
		for (FrontCores::Core &c : front->cores())
			collect(bench.out, bench.out.front, {c.queue->result(), c.queue->empty_poll_ns()},
			        *c.chain, c.stage.get());
	}
	for (uint32_t q = 0; q < spec.queues; q++) {
		queues[q]->drain();
		collect(bench.out, bench.out.queues, {queues[q]->result(), queues[q]->empty_poll_ns()},
		        *bench.cores[q].chain, bench.cores[q].stage.get());
	}
	if (writer)
		writer->finish();
	bench.out.answer = dma.answer();
}

void run_threads(Bench &bench)
{
	const TrialSpec &spec = bench.spec;
	const size_t bytes = arena_estimate(spec);
	Arena arena(std::min(bytes, threads_arena_bytes));
	if (bytes > threads_arena_bytes || bench.fill(arena) < bench.end - 1)
		throw JobError("bad-spec",
		               "the frames of this trial do not fit into 1 GiB of memory, as engine "
		               "\"threads\" needs; shorten durationNs and warmupNs",
		               2);
	for (uint32_t q = 0; q < spec.queues; q++) {
		const Core &core = bench.cores[q];
		engine::ThreadQueue queue(bench.queue, core.stage.get(), *core.chain, bench.nic_core);
		queue.run(bench.arrivals[q], static_cast<double>(bench.end));
		bench.out.huge_pages = queue.huge_pages();
		collect(bench.out, bench.out.queues, {queue.result(), 0}, *core.chain, core.stage.get());
	}
}

// What the chain carries without the stage, while its rings overflow.
double saturate(const TrialSpec &spec, Json &void_reason)
{
	TrialSpec alone = spec;
	alone.offered_share = 0;
	alone.policy = HoldPolicy::off;
	alone.front_cores = 0;
	alone.dump_file.clear();
	const TrialOutcome outcome = run_trial_spec(alone);
	const Json record = report(alone, outcome);
	if (record["drops"]["ring"] == 0)
		throw JobError("bad-spec", "offeredShare: the chain carries all of offeredBps, raise it",
		               2);
	void_reason = record["voidReason"];
	return record["throughputBps"];
}

} // namespace

TrialOutcome run_trial_spec(TrialSpec &spec)
{
	auto wall = std::chrono::steady_clock::now();
	TrialOutcome out;
	if (spec.offered_share > 0) {
		out.saturated_bps = saturate(spec, out.saturation_void);
		spec.offered_bps = spec.offered_share * out.saturated_bps;
	}
	Bench bench = prepare(spec, out);
	if (spec.engine == Engine::threads)
		run_threads(bench);
	else
		run_virtual(bench);
	out.flows = bench.source->flows();
	out.wall_seconds =
		std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
	return out;
}

void run_trial(const Json &json)
{
	TrialSpec spec = parse_trial_spec(json);
	const TrialOutcome outcome = run_trial_spec(spec);
	emit(report(spec, outcome));
	if (!outcome.passed())
		throw JobError("check-failed", "the trial's own checks failed; see checks in its record");
}

} // namespace reframer::lab
