// Job `trial`: one point of an experiment on the virtual NIC. One process a trial.
//
// Specification (every member is optional; an unknown one is an error):
//   engine      "virtual"
//   chain       "paper" (default) | "modern" | "forward" (touches nothing: the loop's own cost)
//   form        "packet" (default) | "run": functions work per packet, or once a run of equal keys
//   rules       destination rules of the firewall before the match-all, default 11745 (0..65534)
//   denyShare   share of the rules that drop what they match, default 0
//   tableFlows  idle flows that fill a queue's tables beforehand, default 65536: half of the
//               published 1.1 M flows over 8 cores, the state in the middle of such a run
//   policy      "off" (default) | "burst" (zero delay) | "fixed" | "adaptive"
//   delayNs     T, default 64000; "fixed" holds so long, "adaptive" at most; ignored by the others
//   key         "5tuple" (default) | "symmetric" | "destination" | "inner"
//   nicHash     the stage uses the NIC's RSS hash, default true where key is 5tuple
//   maxHeld     packets that the stage may hold, default 4096
//   source      {"profile": "campus" (default) | "clients" | "uniform", ...the generator's options}
//               or {"file": PATH, "timing": "rate" (default) | "scaled"}: a capture, repeated until
//               the trial ends; "rate" sends its frames at a constant bit rate of offeredBps,
//               "scaled" stretches the capture's own gaps to that mean
//   offeredBps  bits of frames a second over all queues, default 70e9
//   queues      RX queues, one core each; run one after the other, default 8
//   ringDepth   descriptors of a queue, default 256 (published: 256 and 4096)
//   burst       most packets of a poll, default 32
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
//   busyShare                    busy time / virtual time
//   packetsPerPoll               mean packets that a busy poll took from the ring
//   latencyNs                    {mean, p50, p95, p99, p999, max}: departure - arrival
//   holdNs                       {p50, p99, max} in the stage, null when policy is off
//   drops                        {ring, ringShare, nf, nfReasons: {NAME: N}}
//   polls                        {busy, empty, marked, markedShare, markedNs, emptyPollNs}
//   void, voidReason             true when the figures must not be used, and why (else null)
//   checks                       {in, out, nfDropped, ringDropped, held, conserved, ordered,
//                                 formsAgree (null for chain "forward"), passed}
//   answer                       hex checksum of all departed frames with their arrival numbers
//   chainStats                   {NAME: number} counters of the functions, summed over queues
//   reframer                     {runsIn, runsOut, heldMax, reasons: {NAME: groups}} or null
//   machine                      {dmaFiller: "core" | "self", hugepages: bool}
//   queueResults                 per queue {offeredPps, throughputBps, throughputPps, slfIn, slfOut,
//                                 nsPerPacket, p50Ns, p99Ns, ringDropShare, busyShare}
// A failed check is an error record "check-failed" after the result, exit code 1.
#include "lab/job.hpp"
#include "lab/trial_spec.hpp"

namespace reframer::lab {

void run_trial(const Json &json)
{
	TrialSpec spec = parse_trial_spec(json);
	throw JobError("not-supported",
	               "the virtual NIC is not part of this build; specification is sound: " +
	                   describe(spec).dump(),
	               3);
}

} // namespace reframer::lab
