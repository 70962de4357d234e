// Experiment `reframer`: what does holding packets for microseconds do to a chain of network
// functions, and to captures that the user brings?
import type { Plan, RunOptions } from '../core/types.js';
import { captures, speedUp } from './captures.js';
import { claims } from './claims.js';
import { adaptive, burst, held, off } from './contenders.js';
import { dpdkPorts } from './dpdk-ports.js';
import { figures } from './figures.js';
import {
  functionCosts,
  functionsHeld,
  libraryFunctionCosts,
  lookAhead,
  motivation,
} from './functions.js';
import {
  fixedRate,
  modernOverload,
  offeredLoad,
  overload,
  overloadByRun,
  ownCores,
  zeroLoss,
} from './in-chain.js';
import { linux, linuxKernels, linuxParts, linuxWindow, tcp } from './linux.js';
import { metrics } from './metrics.js';
import { groupingKeys, receiveQueues, releasePolicies, sensitiveFlows } from './policies.js';
import { published } from './published.js';
import { coreCount, flowCount, worstCases } from './scale.js';
import { shapes } from './shapes.js';
import { bedPlan, bedTexts } from './testbed.js';
import type { TrialScale } from './trial.js';
import { telling } from '../story/attach.js';
import { packetOrder } from '../story/works.js';
import { abstract, captions, stories } from './story.js';

function plan(options: RunOptions): Plan {
  if (options.bed !== undefined) return bedPlan(options, options.bed);
  const quick = options.profile === 'quick';
  const scale: TrialScale = quick
    ? { durationNs: 6e6, warmupNs: 2e6, learnNs: 20e6 }
    : { durationNs: 10e6, warmupNs: 4e6, learnNs: 30e6 };
  // Rates of 10 million packets a second and more: as many packets in less time.
  const short: TrialScale = quick
    ? { durationNs: 3e6, warmupNs: 1e6, learnNs: 5e6 }
    : { durationNs: 5e6, warmupNs: 2e6, learnNs: 10e6 };
  const sweep = quick
    ? [off, burst, held(16), held(64), held(256), adaptive]
    : [off, burst, ...[8, 16, 32, 64, 104, 128, 256].map(held), adaptive];
  const modernSweep = quick
    ? [off, burst, held(64)]
    : [off, burst, held(16), held(64), held(128), adaptive];
  const byRunSweep = quick ? [off, held(64)] : [off, held(16), held(64), adaptive];
  const brief = quick ? [off, held(64)] : [off, burst, held(16), held(64), held(128), adaptive];
  const withTraces =
    options.traces.length === 0 ? [] : [captures(options), speedUp(options, brief, scale)];
  // The first question first: a quick run on a slow machine may have time for that alone.
  const core = [
    overload(quick, sweep, scale),
    motivation(quick),
    overloadByRun(quick, byRunSweep, short),
    linux(quick),
  ];
  const further = [
    modernOverload(modernSweep, short),
    functionCosts(quick),
    functionsHeld(quick, short),
    lookAhead(quick, short),
    fixedRate(quick ? brief : [...brief, held(256)], scale),
    zeroLoss(brief, scale),
    offeredLoad(quick, quick ? [off, held(64), adaptive] : brief, scale),
    ownCores(quick, scale),
    flowCount(quick, short),
    coreCount(quick, scale),
    worstCases(quick, short),
    releasePolicies(quick, scale),
    groupingKeys(quick, scale),
    sensitiveFlows(quick, scale),
    receiveQueues(quick, scale),
    linuxKernels(quick),
    linuxWindow(quick),
    tcp(quick),
  ];
  // Those that need a library beside the suite's own are run when asked for.
  const standard = [...withTraces, ...core, ...further];
  const parts = [...standard, libraryFunctionCosts(quick), dpdkPorts(options, scale)];
  const byDefault = quick ? [...withTraces, ...core] : standard;
  return {
    profile: quick
      ? {
          name: 'quick',
          blocks: { min: 3, max: 3 },
          precision: 0.02,
          budgetSeconds: 60,
          limitSeconds: 150 + 30 * options.traces.length,
          oneByOne: true,
          warmup: { max: 1, drift: 0.05 },
        }
      : // Trials warm up by themselves, in virtual time; a block measures every contender twice. Three blocks
        // give the six values that a verdict takes; on two slow cores they are an hour of trials.
        {
          name: 'full',
          blocks: { min: 3, max: 10 },
          precision: 0.02,
          budgetSeconds: 1500,
          limitSeconds: 5400 + 120 * options.traces.length,
          warmup: { max: 0, drift: 0.02 },
        },
    parts,
    byDefault: byDefault.map((part) => part.name),
  };
}

export const reframer = telling({ abstract, stories, captions })({
  name: 'reframer',
  title: 'Reframer: holding packets for microseconds to gain locality',
  question:
    'Does a chain of network functions carry more when packets wait microseconds to be grouped by flow?',
  metrics,
  claims,
  shapes,
  figures,
  published,
  plan,
  bed: bedTexts,
  setup:
    'The chain is a flow counter, a router, a firewall and a NAT. The paper’s chain has linear tables behind one-entry caches, verifies the checksums of each packet and walks a list of rules; it is built to cost what was published, a + b / SLF cycles per packet with a ≈ 2,700 and b ≈ 4,600. The chain of cached rules is that walk alone. The modern chain has a trie, tuple-space search and hash tables. Packets arrive by a virtual clock at the offered rate, spread over eight queues; only the measured time of the polling loop advances that clock. So loop, Reframer and chain are real, and the NIC is simulated. Where Reframer has cores of its own, what these release arrives at the rings of the chain’s cores.',
  setups: [
    {
      parts: linuxParts,
      text: 'Behind Reframer stands the kernel of this machine, unmodified, in network namespaces: one core sends frames, another runs the kernel’s receive threads, and their processor time by segment is its cost. The order of the segments was formed beforehand, by the stage on the virtual clock, as a box in front of many such cores forms it at 70 Gbps; where a box is said to be in the path, it forms the order as packets pass.',
    },
  ],
  limitations: [
    'The NIC is simulated: frames come from memory that another core wrote; no bus and no driver takes part.',
    'Queues are measured one after another on one core, however many a figure names, so cores do not compete for caches and memory.',
    'The paper’s campus trace is not public. Traffic is generated and fitted to its published distributions, and to the published SLF behind a model of the published device.',
    'The paper’s chain is rebuilt from its published cost. A gain beyond the published one is a property of this chain, not of Reframer.',
    'So two published values go in rather than come out: the SLF and the cycles per packet without Reframer.',
  ],
  references: [packetOrder],
});
