// Structs and functions of native/include/reframer/rsspp.h that the TypeScript room uses.
import { ffi, openLibrary } from './binding.js';

declare const nativeSolver: unique symbol;
declare const nativeBalancer: unique symbol;
/** A struct rsspp_solver; only handed back to the functions below. */
export type NativeSolver = { readonly [nativeSolver]: true };
/** A struct rsspp_balancer; only handed back to the functions below. */
export type NativeBalancer = { readonly [nativeBalancer]: true };

ffi.opaque('rsspp_solver');
ffi.opaque('rsspp_balancer');

// Members in the order of the header; test/rsspp/layout.test.ts compares with a C compiler.
const problem = ffi.struct('rsspp_problem', {
  nb_buckets: 'uint32_t',
  nb_cores: 'uint32_t',
  bucket_load: 'void *',
  owner: 'void *',
  active: 'void *',
  pinned: 'void *',
  node: 'void *',
  tolerance: 'float',
  node_penalty: 'float',
});

const solution = ffi.struct('rsspp_solution', {
  lower_bound: 'float',
  mean: 'float',
  worst_before: 'float',
  least_before: 'float',
  worst_after: 'float',
  least_after: 'float',
  nb_moves: 'uint32_t',
  nb_elephants: 'uint32_t',
  passes: 'uint32_t',
});

const balancer_params = ffi.struct('rsspp_balancer_params', {
  size: 'size_t',
  nb_buckets: 'uint32_t',
  nb_cores: 'uint32_t',
  method: 'uint32_t',
  min_cores: 'uint32_t',
  autoscale: 'uint32_t',
  target_load: 'float',
  threshold: 'float',
  trend: 'float',
  smoothing: 'float',
  tolerance: 'float',
  node_penalty: 'float',
  hold_epochs: 'uint32_t',
  shrink_epochs: 'uint32_t',
  interval_us: 'uint32_t',
  busy_interval_us: 'uint32_t',
  node: 'void *',
});

const epoch = ffi.struct('rsspp_epoch', {
  packets: 'void *',
  core_load: 'void *',
  queue_fill: 'void *',
  waiting: 'void *',
});

const report = ffi.struct('rsspp_report', {
  imbalance_before_percent: 'float',
  imbalance_after_percent: 'float',
  nb_active: 'uint32_t',
  nb_overloaded: 'uint32_t',
  cores_changed: 'int32_t',
  next_epoch_us: 'uint32_t',
  solve_ns: 'uint64_t',
  epoch: 'uint64_t',
  reserved: ffi.array('uint64_t', 4, 'Array'),
  solution,
});

const move = ffi.struct('rsspp_move', {
  bucket: 'uint16_t',
  from: 'uint16_t',
  to: 'uint16_t',
  reserved: 'uint16_t',
});

export const structs = { problem, solution, balancer_params, epoch, report, move };

/** 16-bit words of a struct rsspp_move, where moves are read in place. */
export const moveWords = 4;

export interface NativeSolution {
  lower_bound: number;
  mean: number;
  worst_before: number;
  least_before: number;
  worst_after: number;
  least_after: number;
  nb_moves: number;
  nb_elephants: number;
  passes: number;
}

export interface NativeBalancerParams {
  size: number;
  nb_buckets: number;
  nb_cores: number;
  method: number;
  min_cores: number;
  autoscale: number;
  target_load: number;
  threshold: number;
  trend: number;
  smoothing: number;
  tolerance: number;
  node_penalty: number;
  hold_epochs: number;
  shrink_epochs: number;
  interval_us: number;
  busy_interval_us: number;
  node: Uint16Array | null;
}

export interface NativeProblem {
  nb_buckets: number;
  nb_cores: number;
  bucket_load: Float32Array;
  owner: Uint16Array;
  active: Uint8Array | null;
  pinned: Uint8Array | null;
  node: Uint16Array | null;
  tolerance: number;
  node_penalty: number;
}

export interface NativeReport {
  solution: NativeSolution;
  imbalance_before_percent: number;
  imbalance_after_percent: number;
  nb_active: number;
  nb_overloaded: number;
  cores_changed: number;
  next_epoch_us: number;
  solve_ns: number;
  epoch: number;
}

export interface NativeEpoch {
  packets: BigUint64Array;
  core_load: Float32Array;
  queue_fill: Float32Array | null;
  waiting: BigUint64Array | null;
}

/** Negative results are errno values. */
export interface RssppFunctions {
  solverCreate(maxBuckets: number, maxCores: number, out: [NativeSolver | null]): number;
  solverFree(solver: NativeSolver): void;
  solve(
    solver: NativeSolver,
    method: number,
    problem: NativeProblem,
    newOwner: Uint16Array,
    out: object,
  ): number;
  defaultParams(out: object): void;
  check(params: NativeBalancerParams, why: Uint8Array, room: number): number;
  balancerCreate(params: NativeBalancerParams, out: [NativeBalancer | null]): number;
  balancerFree(balancer: NativeBalancer): void;
  setTable(balancer: NativeBalancer, owner: Uint16Array): number;
  step(balancer: NativeBalancer, epoch: NativeEpoch, moves: Uint16Array, report: object): number;
  removeCore(balancer: NativeBalancer, core: number): number;
  restoreCore(balancer: NativeBalancer, core: number): number;
  reject(balancer: NativeBalancer, moves: Uint16Array, count: number): number;
}

let functions: RssppFunctions | undefined;

/** @throws NativeError when the library is missing or does not fit */
export function rssppFunctions(): RssppFunctions {
  functions ??= declare();
  return functions;
}

function declare(): RssppFunctions {
  const { func } = openLibrary();
  const init = func<(out: object, size: number) => void>(
    'void rsspp_balancer_params_init(_Out_ rsspp_balancer_params *params, size_t size)',
  );
  const solveSized = func<
    (
      solver: NativeSolver,
      method: number,
      problem: NativeProblem,
      problemSize: number,
      newOwner: Uint16Array,
      out: object,
      size: number,
    ) => number
  >(
    'int rsspp_solve_sized(rsspp_solver *solver, int method, const rsspp_problem *problem, size_t problem_size, void *new_owner, _Out_ rsspp_solution *solution, size_t solution_size)',
  );
  const stepSized = func<
    (
      balancer: NativeBalancer,
      epoch: NativeEpoch,
      epochSize: number,
      moves: Uint16Array,
      report: object,
      size: number,
    ) => number
  >(
    'int rsspp_balancer_step_sized(rsspp_balancer *balancer, const rsspp_epoch *epoch, size_t epoch_size, void *moves, _Out_ rsspp_report *report, size_t report_size)',
  );
  return {
    solverCreate: func(
      'int rsspp_solver_create(uint32_t max_buckets, uint32_t max_cores, _Out_ rsspp_solver **out)',
    ),
    solverFree: func('void rsspp_solver_free(rsspp_solver *solver)'),
    solve: (solver, method, of, newOwner, out) =>
      solveSized(solver, method, of, ffi.sizeof(problem), newOwner, out, ffi.sizeof(solution)),
    defaultParams: (out) => init(out, ffi.sizeof(balancer_params)),
    check: func(
      'int rsspp_balancer_check(const rsspp_balancer_params *params, void *why, size_t n)',
    ),
    balancerCreate: func(
      'int rsspp_balancer_create(const rsspp_balancer_params *params, _Out_ rsspp_balancer **out)',
    ),
    balancerFree: func('void rsspp_balancer_free(rsspp_balancer *balancer)'),
    setTable: func('int rsspp_balancer_set_table(rsspp_balancer *balancer, const void *owner)'),
    step: (balancer, of, moves, out) =>
      stepSized(balancer, of, ffi.sizeof(epoch), moves, out, ffi.sizeof(report)),
    removeCore: func('int rsspp_balancer_remove_core(rsspp_balancer *balancer, uint16_t core)'),
    restoreCore: func('int rsspp_balancer_restore_core(rsspp_balancer *balancer, uint16_t core)'),
    reject: func(
      'int rsspp_balancer_reject(rsspp_balancer *balancer, const void *moves, uint32_t nb_moves)',
    ),
  };
}
