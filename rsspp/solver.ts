import { rssppFunctions, type NativeSolution, type NativeSolver } from '../native/binding-rsspp.js';
import { RssppError } from './errors.js';

/**
 * - `static`: moves nothing; plain RSS
 * - `greedy`: the published RSS++ greedy, its defects mended
 * - `balanced`: level over cores, best-fit moves and exchanges, unneeded moves taken back
 * - `lpt`: longest processing time first, from scratch; most buckets move
 * - `exact`: smallest worst core there is; small problems only
 * - `ours`: the former name of `balanced`, for one release
 */
export type Method = 'static' | 'greedy' | 'balanced' | 'lpt' | 'exact' | 'ours';

/** In the order of enum rsspp_method. */
export const methods: readonly Method[] = ['static', 'greedy', 'balanced', 'lpt', 'exact'];

/** The value in the C header; -1 where there is no such method. @internal */
export const methodIndex = (name: Method): number =>
  methods.indexOf(name === 'ours' ? 'balanced' : name);

/** A bucket that changes its owner. */
export interface Move {
  bucket: number;
  from: number;
  to: number;
}

export const maxBuckets = 4096;
export const maxCores = 256;

/** One assignment problem. A core's capacity is the unit of load. */
export interface Problem {
  /** Load of each bucket, >= 0. */
  readonly loads: ArrayLike<number>;
  /** Core that owns each bucket now. */
  readonly owners: ArrayLike<number>;
  /** Number of cores; ids are 0..cores-1. */
  readonly cores: number;
  /** Cores that may own buckets; default: all. Buckets of the others always move. */
  readonly active?: ArrayLike<boolean>;
  /** Buckets that must not move now; default: none. */
  readonly pinned?: ArrayLike<boolean>;
  /** NUMA node of each core; default: one node. */
  readonly nodes?: ArrayLike<number>;
  /** How far above the lower bound a core may stay, as a share of it; default 0.009. */
  readonly tolerance?: number;
  /** Gain, as a share of the mean, below which no bucket changes its node; default 0.05. */
  readonly nodePenalty?: number;
}

export interface Solution {
  owners: number[];
  /** max(mean, heaviest bucket): no assignment has a lighter worst core. */
  lowerBound: number;
  mean: number;
  worstBefore: number;
  leastBefore: number;
  worstAfter: number;
  leastAfter: number;
  /** Buckets that change their owner. */
  moves: Move[];
  /** Buckets heavier than a fair share. */
  elephants: number;
}

/** The figures of a native solution, without the owners. */
export function readSolution(native: NativeSolution): Omit<Solution, 'owners' | 'moves'> {
  return {
    lowerBound: native.lower_bound,
    mean: native.mean,
    worstBefore: native.worst_before,
    leastBefore: native.least_before,
    worstAfter: native.worst_after,
    leastAfter: native.least_after,
    elephants: native.nb_elephants,
  };
}

// One solver of the largest size serves all calls: they are synchronous, and not on a packet path.
let solver: NativeSolver | undefined;

function theSolver(): NativeSolver {
  if (solver === undefined) {
    const out: [NativeSolver | null] = [null];
    if (rssppFunctions().solverCreate(maxBuckets, maxCores, out) !== 0 || out[0] === null) {
      throw new RssppError('out-of-memory', 'the solver could not be allocated');
    }
    solver = out[0];
  }
  return solver;
}

const flags = (values: ArrayLike<boolean> | undefined): Uint8Array | null =>
  values === undefined ? null : Uint8Array.from(values, (value) => (value ? 1 : 0));

const isNode = (node: number): boolean => Number.isInteger(node) && node >= 0 && node <= 0xffff;

function wrong(what: string): never {
  throw new RssppError('bad-problem', what);
}

/** A tolerance or penalty of none: the native side takes 0 for "default". @internal */
export const leastShare = 1e-9;

function share(name: string, value: number | undefined): number {
  if (value === undefined) return 0;
  if (value >= 0 && value <= 10) return Math.max(value, leastShare);
  return wrong(`${name} is ${String(value)}; it is from 0 to 10`);
}

/** As a result. */
const tooLarge = -7;

// Loads are 32-bit floats in the native library.
const largestLoad = 3.4e38;

const isList = (value: unknown): boolean =>
  typeof (value as ArrayLike<unknown> | null | undefined)?.length === 'number';

function check(problem: Problem): void {
  for (const name of ['loads', 'owners'] as const) {
    const list: unknown = (problem as Partial<Problem> | undefined)?.[name];
    if (!isList(list)) wrong(`${name} is ${String(list)}; a problem has a list of them`);
  }
  const { loads, owners, cores, active, pinned, nodes } = problem;
  const buckets = loads.length;
  if (buckets < 1 || buckets > maxBuckets)
    wrong(`there are ${buckets} buckets; 1 to ${maxBuckets} are taken`);
  if (!Number.isInteger(cores) || cores < 1 || cores > maxCores)
    wrong(`there are ${cores} cores; 1 to ${maxCores} are taken`);
  if (owners.length !== buckets) wrong(`loads has ${buckets} entries, owners ${owners.length}`);
  for (const [name, list, expected] of [
    ['active', active, cores],
    ['pinned', pinned, buckets],
    ['nodes', nodes, cores],
  ] as const) {
    if (list === undefined) continue;
    // A Set has no length: the native side would read beyond what is copied of it.
    if (!isList(list))
      wrong(`${name} is a ${typeof list} without length; it is a list of ${expected} entries`);
    if (list.length !== expected)
      wrong(`${name} has ${list.length} entries instead of ${expected}`);
  }
  const odd = nodes === undefined ? -1 : Array.from(nodes).findIndex((node) => !isNode(node));
  if (odd >= 0) wrong(`nodes[${odd}] is ${String(nodes?.[odd])}; a node is from 0 to 65535`);
  let sum = 0;
  for (let b = 0; b < buckets; b++) {
    const owner = owners[b] ?? -1;
    if (!Number.isInteger(owner) || owner < 0 || owner >= cores)
      wrong(`bucket ${b} is owned by core ${owner}; ids are 0 to ${cores - 1}`);
    const load: unknown = loads[b];
    if (typeof load !== 'number')
      wrong(`bucket ${b} has the load ${String(load)}, a ${typeof load}: loads are numbers`);
    if (!(load >= 0) || !Number.isFinite(load))
      wrong(`bucket ${b} has load ${load}; loads are finite and not negative`);
    sum += load;
  }
  if (sum > largestLoad)
    wrong(`the loads add up to ${sum}, beyond ${largestLoad}; scale them down`);
  if (active !== undefined && !Array.from(active).some(Boolean)) wrong('no core is active');
}

/**
 * Assigns buckets to cores.
 * @throws RssppError `bad-problem`, `too-large`; NativeError without a native library
 */
export function solve(problem: Problem, method: Method = 'balanced'): Solution {
  check(problem);
  const { loads, owners, cores } = problem;
  const index = methodIndex(method);
  if (index < 0) wrong(`there is no method '${method}'; there are ${methods.join(', ')}`);
  const newOwner = new Uint16Array(loads.length);
  const out = {} as NativeSolution;
  const result = rssppFunctions().solve(
    theSolver(),
    index,
    {
      nb_buckets: loads.length,
      nb_cores: cores,
      bucket_load: Float32Array.from(loads),
      owner: Uint16Array.from(owners),
      active: flags(problem.active),
      pinned: flags(problem.pinned),
      node: problem.nodes === undefined ? null : Uint16Array.from(problem.nodes),
      tolerance: share('tolerance', problem.tolerance),
      node_penalty: share('nodePenalty', problem.nodePenalty),
    },
    newOwner,
    out,
  );
  if (result === tooLarge)
    throw new RssppError(
      'too-large',
      `${loads.length} buckets on ${cores} cores are too many for an exact search; use 'balanced' or 'lpt'`,
    );
  if (result !== 0) wrong('the solver refused the problem');
  const moves = [...newOwner].flatMap((to, bucket) => {
    const from = owners[bucket] ?? 0;
    return from === to ? [] : [{ bucket, from, to }];
  });
  return { owners: [...newOwner], moves, ...readSolution(out) };
}
