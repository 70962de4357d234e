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
import { linux, linuxKernels, linuxWindow } from './linux.js';
import { metrics } from './metrics.js';
import { groupingKeys, receiveQueues, releasePolicies, sensitiveFlows } from './policies.js';
import { published } from './published.js';
import { coreCount, flowCount, worstCases } from './scale.js';
import { shapes } from './shapes.js';
import { bedPlan } from './testbed.js';
import type { TrialScale } from './trial.js';
import { telling } from '../story/attach.js';
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
      : // Trials warm up by themselves, in virtual time; a block measures every contender twice.
        {
          name: 'full',
          blocks: { min: 3, max: 10 },
          precision: 0.02,
          budgetSeconds: 1500,
          limitSeconds: 1800 + 60 * options.traces.length,
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
  beds: true,
  setup:
    'The chain is a flow counter, a router, a firewall and a NAT. Called paper, it has linear tables with one-entry caches, checks the sums of each packet and walks a list of packet rules, so that it costs about what was published: a + b / SLF cycles a packet, with a near 2,700 and b near 4,600. Called cached-rules, it lacks the work on each packet, and its cost is the walk over rules. Called modern, it has a trie, tuple-space search and hash tables. Packets arrive by a virtual clock at the offered rate on eight queues; only the time that the polling loop really took advances that clock. The loop, Reframer and the chain are the real ones; the network interface is simulated. Reframer on cores of its own is two such virtual stages in sequence.',
  limitations: [
    'The network interface is simulated: frames come from memory that another core wrote, and no bus or driver takes part.',
    'The queues are measured one after another on one core, however many the figure names; contention between cores for caches and memory is not part of the figures.',
    'Traffic of the paper’s campus cannot be had; it is generated and fitted to the published distributions.',
  ],
  references: [
    {
      key: 'packet-order',
      authors: [
        'H. Ghasemirahni',
        'T. Barbette',
        'G. P. Katsikas',
        'A. Farshin',
        'A. Roozbeh',
        'M. Girondi',
        'M. Chiesa',
        'G. Q. Maguire Jr.',
        'D. Kostić',
      ],
      title:
        'Packet Order Matters! Improving Application Performance by Deliberately Delaying Packets',
      venue: 'NSDI',
      year: 2022,
      pages: '807–827',
    },
  ],
});
