import { reasonFrom } from '../native/binding.js';
import {
  moveWords,
  rssppFunctions,
  type NativeBalancer,
  type NativeBalancerParams,
  type NativeReport,
  type RssppFunctions,
} from '../native/binding-rsspp.js';
import { inspectAs } from '../native/inspect.js';
import { asNumber, type Time } from '../native/time.js';
import { RssppError } from './errors.js';
import {
  leastShare,
  maxBuckets,
  maxCores,
  methodIndex,
  methods,
  readSolution,
  type Method,
  type Move,
  type Solution,
} from './solver.js';

export interface BalancerOptions {
  /** Cores that may be used. */
  cores: number;
  /** Entries of the indirection table; default 512. */
  buckets?: number;
  /** Default `balanced`. */
  method?: Method;
  /** Use as many cores as `targetLoad` asks for instead of all; default false. */
  autoscale?: boolean;
  /** Load of a core that autoscale aims at; default 0.8. */
  targetLoad?: number;
  /** Cores that autoscale keeps at least; default 1. */
  minCores?: number;
  /** Gain below which nothing moves, as a share of the bound; default 0.02. */
  threshold?: number;
  /** Weight of the newest count in a bucket's average, above 0 up to 1; default 1, no average. */
  smoothing?: number;
  /** Weight of a bucket's last change in its prediction, 0..1; default 0. */
  trend?: number;
  /** Gain, as a share of the mean, below which no bucket changes its node; default 0.05. */
  nodePenalty?: number;
  /** How far above the lower bound a core may stay at least, as a share of it; default 0.009. Widens with the error of the predictions. */
  tolerance?: number;
  /** Epochs for which a moved bucket stays, 0..255; default 0. */
  holdEpochs?: number;
  /** Epochs of `intervalNs` in a row that must agree before a core is given back; default 10. */
  shrinkEpochs?: number;
  /** Epoch in nanoseconds, 1e3 to 3.6e12; default 100 ms. The balancer has no clock: `Report.nextEpochNs` says when the next step is due. */
  intervalNs?: Time;
  /** Epoch while a core is above a load of 0.9, and for a second after; 1e3 to `intervalNs`, default the lesser of 10 ms and `intervalNs`. */
  busyIntervalNs?: Time;
  /** @deprecated `intervalNs`; goes with the next minor version */
  intervalMs?: number;
  /** @deprecated `busyIntervalNs`; goes with the next minor version */
  busyIntervalMs?: number;
  /** NUMA node of each core; default: one node. */
  nodes?: ArrayLike<number>;
}

export interface Epoch {
  /** Packets of each bucket since the beginning: monotonic counters, never reset. */
  packets: ArrayLike<number | bigint>;
  /** Load of each core in this epoch, useful time over all time, 0..1. */
  coreLoads: ArrayLike<number>;
  /** Occupancy of each core's RX queue, 0..1; ranks cores that run at full load. */
  queueFill?: ArrayLike<number>;
  /** Packets received or in the RX queue of each core and not yet served: what one at full load has to make up for. Better than `queueFill`. */
  waiting?: ArrayLike<number | bigint>;
}

export interface Report extends Omit<Solution, 'owners' | 'moves'> {
  epoch: number;
  /** What should move; the table of the balancer already has it. */
  moves: Move[];
  /** @deprecated `moves`; goes with the next minor version */
  changes: Move[];
  /** (max - min) / min of the packets of active cores, in the epoch that ended; at most 2000. */
  imbalanceBeforePercent: number;
  /** The same, predicted. */
  imbalanceAfterPercent: number;
  activeCores: number;
  /** Active cores at full load, with packets waiting where `queueFill` tells. */
  overloadedCores: number;
  /** Cores added (positive) or given back (negative). */
  coresChanged: number;
  /** Nanoseconds until the next step is due. */
  nextEpochNs: number;
  /** @deprecated `nextEpochNs`; goes with the next minor version */
  nextEpochMs: number;
  solveNs: number;
}

function whole(name: string, value: number, low: number, high: number): number {
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new RssppError(
    'bad-option',
    `${name} is ${value}; it is a whole number from ${low} to ${high}`,
    name,
  );
}

function real(
  name: string,
  value: number | undefined,
  fallback: number,
  low: number,
  high: number,
): number {
  if (value === undefined) return fallback;
  if (value >= low && value <= high) return value;
  throw new RssppError('bad-option', `${name} is ${value}; it is from ${low} to ${high}`, name);
}

function share(name: string, value: number | undefined, fallback: number, high: number): number {
  return value === undefined ? fallback : Math.max(leastShare, real(name, value, 0, 0, high));
}

/** Of `intervalNs` or `intervalMs`, in microseconds; undefined where neither is given. */
function interval(
  name: 'interval' | 'busyInterval',
  options: BalancerOptions,
  lowUs: number,
  highUs: number,
): number | undefined {
  const [ns, ms] = [options[`${name}Ns`], options[`${name}Ms`]];
  if (ns === undefined && ms === undefined) return undefined;
  if (ns !== undefined && ms !== undefined)
    throw new RssppError('bad-option', `${name}Ms is ${name}Ns: give one of the two`, `${name}Ms`);
  return ns === undefined
    ? Math.round(real(`${name}Ms`, ms, 0, lowUs / 1e3, highUs / 1e3) * 1e3)
    : Math.round(real(`${name}Ns`, asNumber(ns), 0, lowUs * 1e3, highUs * 1e3) / 1e3);
}

const known: ReadonlySet<string> = new Set<keyof BalancerOptions>([
  'cores',
  'buckets',
  'method',
  'autoscale',
  'targetLoad',
  'minCores',
  'threshold',
  'smoothing',
  'trend',
  'nodePenalty',
  'tolerance',
  'holdEpochs',
  'shrinkEpochs',
  'intervalNs',
  'busyIntervalNs',
  'intervalMs',
  'busyIntervalMs',
  'nodes',
]);

function nativeParams(
  options: BalancerOptions,
  defaults: NativeBalancerParams,
): NativeBalancerParams {
  const odd = Object.keys(options).find((name) => !known.has(name));
  if (odd !== undefined)
    throw new RssppError(
      'bad-option',
      `${odd} is not an option; there are ${[...known].join(', ')}`,
      odd,
    );
  const cores = whole('cores', options.cores, 1, maxCores);
  const method = methodIndex(options.method ?? 'balanced');
  const intervalUs = interval('interval', options, 1, 3.6e9) ?? defaults.interval_us;
  const busyIntervalUs =
    interval('busyInterval', options, 1, intervalUs) ??
    Math.min(intervalUs, defaults.busy_interval_us);
  if (method < 0)
    throw new RssppError(
      'bad-option',
      `there is no method '${options.method}'; there are ${methods.join(', ')}`,
      'method',
    );
  if (options.nodes !== undefined && options.nodes.length !== cores) {
    throw new RssppError(
      'bad-option',
      `nodes has ${options.nodes.length} entries for ${cores} cores`,
      'nodes',
    );
  }
  return {
    ...defaults,
    nb_cores: cores,
    nb_buckets: whole('buckets', options.buckets ?? defaults.nb_buckets, 2, maxBuckets),
    method,
    autoscale: options.autoscale === true ? 1 : 0,
    min_cores: whole('minCores', options.minCores ?? defaults.min_cores, 1, cores),
    target_load: real('targetLoad', options.targetLoad, defaults.target_load, 0.11, 1),
    threshold: real('threshold', options.threshold, defaults.threshold, 0, 10),
    smoothing: real('smoothing', options.smoothing, defaults.smoothing, 0.001, 1),
    trend: real('trend', options.trend, defaults.trend, 0, 1),
    hold_epochs: whole('holdEpochs', options.holdEpochs ?? defaults.hold_epochs, 0, 255),
    shrink_epochs: whole(
      'shrinkEpochs',
      options.shrinkEpochs ?? defaults.shrink_epochs,
      1,
      1_000_000,
    ),
    tolerance: share('tolerance', options.tolerance, defaults.tolerance, 1),
    node_penalty: share('nodePenalty', options.nodePenalty, defaults.node_penalty, 10),
    interval_us: intervalUs,
    busy_interval_us: busyIntervalUs,
    node: options.nodes === undefined ? null : Uint16Array.from(options.nodes),
  };
}

const isWord16 = (value: number): boolean =>
  Number.isInteger(value) && value >= 0 && value <= 0xffff;

/** A count, which a bigint of 64 bits holds. */
function counter(name: string, i: number, value: number | bigint): bigint {
  const fits =
    typeof value === 'bigint'
      ? BigInt.asUintN(64, value) === value
      : Number.isSafeInteger(value) && value >= 0;
  if (fits) return BigInt(value);
  throw new RssppError(
    'bad-problem',
    `${name}[${i}] is ${String(value)}; it is a whole number from 0 to 2^64 - 1`,
  );
}

function sized(name: string, list: ArrayLike<unknown> | undefined, expected: number): void {
  const length = list?.length;
  if (length !== expected)
    throw new RssppError(
      'bad-problem',
      `${name} has ${length ?? 'no'} entries instead of ${expected}`,
    );
}

// Frees the instance of an object that nobody closed.
const unclosed = new FinalizationRegistry<() => void>((free) => free());

/** Decides once an epoch which buckets change owner. Bound to no device: `Balancing` does that. */
export class Balancer {
  readonly buckets: number;
  readonly cores: number;
  readonly #functions: RssppFunctions;
  readonly #counters: BigUint64Array;
  readonly #loads: Float32Array;
  readonly #fill: Float32Array;
  readonly #waiting: BigUint64Array;
  readonly #moves: Uint16Array;
  #native: NativeBalancer | undefined;
  #owners: Uint16Array;

  /** @throws RssppError `bad-option`; NativeError without a native library */
  constructor(options: BalancerOptions) {
    // No function in here may name `this`: all of them share what they hold, and the registry keeps one.
    const functions = rssppFunctions();
    this.#functions = functions;
    const defaults = {} as NativeBalancerParams;
    functions.defaultParams(defaults);
    const params = nativeParams(options, defaults);
    const out: [NativeBalancer | null] = [null];
    const result = functions.balancerCreate(params, out);
    if (result !== 0 || out[0] === null) {
      throw result === -12
        ? new RssppError('out-of-memory', 'the balancer could not be allocated')
        : new RssppError(
            'bad-option',
            `the balancer refused the options: ${reasonFrom((...to) => functions.check(params, ...to))}`,
          );
    }
    const { balancerFree } = functions;
    const [created] = out;
    this.#native = created;
    unclosed.register(this, () => balancerFree(created), this);
    this.cores = params.nb_cores;
    this.buckets = params.nb_buckets;
    this.#counters = new BigUint64Array(this.buckets);
    this.#loads = new Float32Array(this.cores);
    this.#fill = new Float32Array(this.cores);
    this.#waiting = new BigUint64Array(this.cores);
    this.#moves = new Uint16Array(this.buckets * moveWords);
    this.#owners = Uint16Array.from({ length: this.buckets }, (_, b) => b % params.nb_cores);
  }

  /** The table as decided: owner of each bucket. */
  table(): number[] {
    return [...this.#owners];
  }

  /** Takes over the table that a device has. @throws RssppError `bad-problem` */
  setTable(owners: ArrayLike<number>): void {
    sized('the table', owners, this.buckets);
    const table = Uint16Array.from(owners);
    // What 16 bits do not hold would come out as another core.
    const whole = Array.from(owners).every(isWord16);
    if (!whole || this.#functions.setTable(this.#open(), table) !== 0) {
      throw new RssppError(
        'bad-problem',
        `a table has ${this.buckets} entries, each from 0 to ${this.cores - 1}`,
      );
    }
    this.#owners = table;
  }

  /** Ends an epoch. The first call takes the counters as a base and changes nothing. */
  step(epoch: Epoch): Report {
    const native = this.#open();
    // Callers in JavaScript may leave out what the type asks for.
    const given: Partial<Epoch> | undefined = epoch;
    sized('packets', given?.packets, this.buckets);
    sized('coreLoads', given?.coreLoads, this.cores);
    if (epoch.queueFill !== undefined) sized('queueFill', epoch.queueFill, this.cores);
    if (epoch.waiting !== undefined) sized('waiting', epoch.waiting, this.cores);
    for (let b = 0; b < this.buckets; b++)
      this.#counters[b] = counter('packets', b, epoch.packets[b] ?? 0);
    for (let c = 0; c < this.cores; c++) {
      this.#loads[c] = epoch.coreLoads[c] ?? 0;
      const fill = epoch.queueFill?.[c] ?? 0;
      // As a load that is no number: none.
      this.#fill[c] = Number.isNaN(fill) ? 0 : fill;
      this.#waiting[c] = counter('waiting', c, epoch.waiting?.[c] ?? 0);
    }
    const out = {} as NativeReport;
    const columns = {
      packets: this.#counters,
      core_load: this.#loads,
      queue_fill: epoch.queueFill === undefined ? null : this.#fill,
      waiting: epoch.waiting === undefined ? null : this.#waiting,
    };
    const count = this.#functions.step(native, columns, this.#moves, out);
    if (count < 0)
      throw new RssppError(
        'too-large',
        'the method gave up on this epoch; use `balanced` or `lpt`',
      );
    const moves: Move[] = [];
    for (let i = 0; i < count; i++) {
      const [bucket = 0, from = 0, to = 0] = this.#moves.subarray(i * moveWords);
      moves.push({ bucket, from, to });
      this.#owners[bucket] = to;
    }
    return {
      epoch: Number(out.epoch),
      moves,
      changes: moves,
      ...readSolution(out.solution),
      imbalanceBeforePercent: out.imbalance_before_percent,
      imbalanceAfterPercent: out.imbalance_after_percent,
      activeCores: out.nb_active,
      overloadedCores: out.nb_overloaded,
      coresChanged: out.cores_changed,
      nextEpochNs: out.next_epoch_us * 1e3,
      nextEpochMs: out.next_epoch_us / 1e3,
      solveNs: Number(out.solve_ns),
    };
  }

  /** The device refused these moves: their buckets are where they were. */
  reject(moves: readonly Move[]): void {
    const words = Uint16Array.from(moves.flatMap(({ bucket, from, to }) => [bucket, from, to, 0]));
    const whole = moves.every((move) => [move.bucket, move.from, move.to].every(isWord16));
    if (!whole || this.#functions.reject(this.#open(), words, moves.length) !== 0) {
      throw new RssppError('bad-problem', 'a move names a bucket or core that there is not');
    }
    for (const { bucket, from } of moves) this.#owners[bucket] = from;
  }

  /** A core that died: its buckets leave at the next step. @throws RssppError `bad-option` for the last one */
  removeCore(core: number): void {
    if (!isWord16(core) || this.#functions.removeCore(this.#open(), core) !== 0) {
      throw new RssppError(
        'bad-option',
        `core ${core} cannot be removed: unknown, removed already, or the last one`,
        'core',
      );
    }
  }

  restoreCore(core: number): void {
    if (!isWord16(core) || this.#functions.restoreCore(this.#open(), core) !== 0) {
      throw new RssppError('bad-option', `core ${core} was not removed`, 'core');
    }
  }

  /** Frees the native instance; harmless twice. */
  close(): void {
    if (this.#native === undefined) return;
    this.#functions.balancerFree(this.#native);
    this.#native = undefined;
    unclosed.unregister(this);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return inspectAs('Balancer', this.toJSON());
  }

  toJSON(): { cores: number; buckets: number; closed: boolean } {
    return { cores: this.cores, buckets: this.buckets, closed: this.#native === undefined };
  }

  #open(): NativeBalancer {
    if (this.#native === undefined) throw new RssppError('closed', 'this balancer was closed');
    return this.#native;
  }
}
