// A small experiment and a run of it without processes: trials answer at once, from a seed.
import { execute, type Outcome } from '../../experiments/core/execute.js';
import { expandPart, type Identity } from '../../experiments/core/points.js';
import type { Prepared } from '../../experiments/core/prepare.js';
import { seededRandom } from '../../experiments/core/random.js';
import type { RunTrial } from '../../experiments/core/runner.js';
import type { Status } from '../../experiments/core/status.js';
import type {
  Experiment,
  JsonObject,
  Part,
  Profile,
  RunOptions,
} from '../../experiments/core/types.js';
import { metrics } from '../../experiments/reframer/metrics.js';
import { answer } from './fake-answers.mjs';

export const quick: Profile = {
  name: 'quick',
  blocks: { min: 3, max: 4 },
  precision: 0.02,
  budgetSeconds: 60,
  limitSeconds: 120,
  warmup: { max: 2, drift: 0.1 },
};

export function sweep(contenders: readonly string[] = ['off', 'burst', 'fixed']): Part {
  return {
    name: 'sweep',
    title: 'Sweep',
    question: 'Which is faster?',
    job: 'trial',
    axes: [
      { kind: 'list', name: 'chain', values: ['paper', 'modern'] },
      { kind: 'list', name: 'contender', values: contenders },
    ],
    contenders: { axis: 'contender', baseline: 'off' },
    spec: ({ chain = '', contender = '' }) => ({ chain, policy: contender, offeredBps: 70e9 }),
    headline: 'throughputGbps',
    metrics: ['throughputGbps', 'nsPerPacket', 'p50Us'],
  };
}

export function tiny(parts: readonly Part[] = [sweep()], profile: Profile = quick): Experiment {
  return {
    name: 'tiny',
    title: 'A tiny experiment',
    question: 'Does the harness work?',
    metrics,
    claims: [
      {
        id: 'double',
        text: 'fixed doubles the throughput',
        source: 'made up',
        unit: '%',
        published: 100,
        tolerance: 0.1,
        kind: 'near',
        measured: {
          part: 'sweep',
          metric: 'throughputGbps',
          at: { chain: 'paper', contender: 'fixed' },
          versus: { chain: 'paper', contender: 'off' },
        },
      },
      {
        id: 'triple',
        text: 'fixed triples the throughput',
        source: 'made up',
        unit: '%',
        published: 200,
        tolerance: 0.1,
        kind: 'near',
        measured: {
          part: 'sweep',
          metric: 'throughputGbps',
          at: { chain: 'paper', contender: 'fixed' },
          versus: { chain: 'paper', contender: 'off' },
        },
      },
      {
        id: 'web',
        text: 'a web server is faster',
        source: 'made up',
        unit: '%',
        published: 11,
        tolerance: 0.1,
        kind: 'near',
        untestable: 'no web server here',
      },
    ],
    figures: [
      {
        id: 'bars',
        title: 'Throughput',
        part: 'sweep',
        kind: 'bar',
        category: { param: 'contender', label: 'contender' },
        facet: 'chain',
        metric: 'throughputGbps',
      },
      {
        id: 'spread',
        title: 'Samples',
        part: 'sweep',
        where: { chain: 'paper' },
        kind: 'cdf',
        series: 'contender',
        metric: 'throughputGbps',
      },
      {
        id: 'map',
        title: 'Map',
        part: 'sweep',
        kind: 'heat',
        x: { param: 'contender', label: 'contender' },
        y: { param: 'chain', label: 'chain' },
        metric: 'p50Us',
      },
      {
        id: 'boxes',
        title: 'Boxes',
        part: 'sweep',
        where: { chain: 'paper' },
        kind: 'box',
        series: 'contender',
        metric: 'p50Us',
      },
    ],
    published: () => [
      {
        part: 'sweep',
        params: { chain: 'paper', contender: 'fixed' },
        metric: 'throughputGbps',
        value: 51,
      },
    ],
    plan: () => ({ profile, parts }),
    setup: 'A fake.',
    limitations: ['Nothing is real.'],
    references: ['Nobody. Nothing. 2000.'],
  };
}

export interface Trial {
  job: string;
  spec: JsonObject;
}

export function fakeTrials(seed = 1, shift = 1): { runTrial: RunTrial; log: Trial[] } {
  const random = seededRandom(seed);
  const log: Trial[] = [];
  const runTrial: RunTrial = (job, spec) => {
    log.push({ job, spec });
    return Promise.resolve({ records: [answer(job, spec, random, shift)], wallMs: 10 });
  };
  return { runTrial, log };
}

export const silent: Status = {
  update: () => undefined,
  say: () => undefined,
  end: () => undefined,
};

const context: JsonObject = {
  machine: { cpu: 'a test', processors: 2, usable: 2 },
  system: { kernel: '0', governors: ['performance'] },
  build: {
    compiler: 'none',
    binarySha256: 'f'.repeat(64),
    git: { commit: '0'.repeat(40), dirty: false },
  },
  engine: 'virtual NIC',
  argv: ['exp', 'tiny'],
};

export function prepared(experiment: Experiment, folder: string, seed = 1): Prepared {
  const options: RunOptions = { profile: 'quick', seed, traces: [] };
  const plan = experiment.plan(options);
  const identity: Identity = {
    experiment: experiment.name,
    seed,
    binary: 'f'.repeat(64),
    traces: [],
  };
  return {
    experiment,
    options,
    plan,
    parts: plan.parts,
    settings: plan.parts.flatMap((p) => expandPart(p, identity)),
    identity,
    program: '',
    cpus: undefined,
    context,
    folder,
    resumed: false,
    finished: undefined,
  };
}

export const fixedTime = new Date('2000-01-02T03:04:05Z');

export function runTiny(
  folder: string,
  {
    experiment = tiny(),
    runTrial = fakeTrials().runTrial,
    stop,
    seed = 1,
    status = silent,
  }: {
    experiment?: Experiment;
    runTrial?: RunTrial;
    stop?: () => boolean;
    seed?: number;
    status?: Status;
  } = {},
): Promise<Outcome> {
  return execute(prepared(experiment, folder, seed), {
    status,
    argv: ['exp', 'tiny'],
    now: fixedTime,
    runTrial,
    ...(stop === undefined ? {} : { stop }),
  });
}
