// How steady this machine is, and what to do where it is not.
import { loadavg } from 'node:os';
import { quantileSorted } from 'simple-statistics';

import { readText } from './context.js';
import { counted } from './count.js';
import type { History } from './history.js';
import type { WarningRecord } from './records.js';
import type { JsonObject, JsonValue } from './types.js';

interface Ticks {
  total: number;
  busy: number;
  steal: number;
}

export function readTicks(): Ticks {
  const fields =
    (readText('/proc/stat') ?? '').split('\n')[0]?.split(/\s+/).slice(1).map(Number) ?? [];
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    fields;
  const busy = user + nice + system + irq + softirq;
  return { total: busy + idle + iowait + steal, busy, steal };
}

/** Ticks that we and our ended children have used. */
export function ownTicks(): number {
  // proc(5): utime, stime, cutime and cstime are fields 14 to 17; the name before them may hold blanks.
  const fields = (readText('/proc/self/stat') ?? '').replace(/^.*\) /, '').split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
}

let sink = 0;

/** Fixed work of about half a millisecond; what varies is the machine. */
function fixedWork(): number {
  const start = process.hrtime.bigint();
  let x = sink | 1;
  for (let i = 0; i < 400_000; i++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  sink = x;
  return Number(process.hrtime.bigint() - start);
}

// 200 repetitions take a tenth of a second and show a 99th percentile.
const repetitions = 200;

export function measureNoise(): JsonObject {
  for (let i = 0; i < 50; i++) fixedWork();
  const before = readTicks();
  const times = Array.from({ length: repetitions }, fixedWork).sort((a, b) => a - b);
  const after = readTicks();
  const median = quantileSorted(times, 0.5);
  return {
    fixedWorkNs: Math.round(median),
    spread: (quantileSorted(times, 0.9) - quantileSorted(times, 0.1)) / median,
    tail: quantileSorted(times, 0.99) / median,
    stealShare:
      after.total > before.total ? (after.steal - before.steal) / (after.total - before.total) : 0,
    load1: loadavg()[0] ?? 0,
  };
}

export interface Usage {
  machine: Ticks;
  own: number;
}

export const readUsage = (): Usage => ({ machine: readTicks(), own: ownTicks() });

/** Share of processor time that a hypervisor took, and that others than we used, in the run. */
export function runNoise(start: Usage): JsonObject {
  const end = readUsage();
  const total = Math.max(1, end.machine.total - start.machine.total);
  return {
    stealShare: (end.machine.steal - start.machine.steal) / total,
    otherLoadShare:
      Math.max(0, end.machine.busy - start.machine.busy - (end.own - start.own)) / total,
  };
}

const warning = (name: string, seen: string, remedy: string): WarningRecord => ({
  type: 'warning',
  name,
  seen,
  remedy,
});
const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;

const at = (value: JsonValue | undefined, ...path: string[]): JsonValue | undefined =>
  path.reduce<JsonValue | undefined>(
    (v, name) =>
      typeof v === 'object' && v !== null && !Array.isArray(v)
        ? (v as JsonObject)[name]
        : undefined,
    value,
  );

const numeric = (value: JsonValue | undefined): number => (typeof value === 'number' ? value : 0);

/** What the machine's settings spoil; known before anything is measured. */
export function machineWarnings(context: JsonObject, noise: JsonObject): WarningRecord[] {
  const found: WarningRecord[] = [];
  const governors = at(context, 'system', 'governors');
  if (Array.isArray(governors) && governors.some((g) => g !== 'performance')) {
    found.push(
      warning(
        'governor',
        `frequency governor is ${governors.join(', ')}`,
        'cpupower frequency-set -g performance',
      ),
    );
  }
  if (at(context, 'machine', 'smt') === true) {
    found.push(
      warning(
        'smt',
        'hardware threads share cores',
        'echo off > /sys/devices/system/cpu/smt/control, or leave the siblings idle',
      ),
    );
  }
  if (at(context, 'system', 'turbo') === 'on') {
    found.push(
      warning(
        'turbo',
        'boost clocks depend on temperature and on other cores',
        'switch boost off in /sys/devices/system/cpu/cpufreq/boost or intel_pstate/no_turbo',
      ),
    );
  }
  const pages = at(context, 'system', 'hugepages');
  if (Array.isArray(pages) && !pages.some((p: JsonValue) => numeric(at(p, 'free')) > 0)) {
    const mode = at(context, 'system', 'transparentHugepages');
    const transparent = mode === 'always' || mode === 'madvise';
    const seen = transparent
      ? 'no free huge pages: DPDK pays for 4 KiB pages, large tables of ours have transparent huge ones'
      : 'no free huge pages, and no transparent ones: tables pay for 4 KiB pages';
    found.push(
      warning(
        'hugepages',
        seen,
        'echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages',
      ),
    );
  }
  if (numeric(at(context, 'machine', 'usable')) < 2) {
    found.push(
      warning(
        'one-core',
        'one processor: the core under test fills its own buffers',
        'run on two processors or more',
      ),
    );
  }
  if (at(context, 'machine', 'virtual') === true) {
    found.push(
      warning(
        'virtual-machine',
        'a hypervisor decides when these processors run',
        'use a machine of your own for figures to publish',
      ),
    );
  }
  if (at(context, 'build', 'git', 'dirty') === true) {
    found.push(
      warning(
        'dirty-tree',
        'the working tree has changes that no commit holds',
        'commit, then measure',
      ),
    );
  }
  if (numeric(noise.tail) > 1.5) {
    found.push(
      warning(
        'jitter',
        `1 % of equal pieces of work took over ${numeric(noise.tail).toFixed(1)} times the median`,
        'stop other programs; isolate the cores (isolcpus, nohz_full)',
      ),
    );
  }
  return found;
}

/** What the run itself showed. */
export function runWarnings(history: History): WarningRecord[] {
  const found: WarningRecord[] = [];
  for (const { measures, when } of history.noise) {
    if (when !== 'after') continue;
    const steal = numeric(measures.stealShare);
    const other = numeric(measures.otherLoadShare);
    // Half a percent of lost time is the size of the effects that quick runs can still tell apart.
    if (steal > 0.005)
      found.push(
        warning(
          'steal',
          `the hypervisor took ${percent(steal)} of the processor time`,
          'run when the host is quieter, or on another host',
        ),
      );
    if (other > 0.05)
      found.push(
        warning(
          'other-load',
          `other programs used ${percent(other)} of the processors`,
          'stop them, then run again',
        ),
      );
  }
  if (history.voids > 0) {
    found.push(
      warning(
        'void-trials',
        `${history.voids} of ${history.measured} trials were void (too many interrupted polls) and measured again`,
        'keep other programs off the two processors',
      ),
    );
  }
  const failed = history.failures.filter(({ leftOut }) => leftOut !== true);
  if (failed.length > 0) {
    found.push(
      warning(
        'failed-trials',
        `${failed.length} trials failed, first: ${failed[0]?.message ?? ''}`,
        'see trials.log in the folder of the run',
      ),
    );
  }
  const leftOut = history.failures.filter((failure) => failure.leftOut === true);
  for (const message of new Set(leftOut.map((failure) => failure.message))) {
    found.push(
      warning(
        'left-out',
        `${counted(leftOut.filter((failure) => failure.message === message).length, 'point')} cannot be measured here: ${message}`,
        'nothing, or measure them where that is there; the rest of the run does not depend on it',
      ),
    );
  }
  const replaced = [...history.replaced.keys()].filter((id) => !history.probes.has(id)).length;
  if (replaced > 0) {
    found.push(
      warning(
        'replaced-points',
        `${counted(replaced, 'point was', 'points were')} measured before with another specification, program or capture; those samples are kept but not counted`,
        'nothing; to compare both, measure into another --out',
      ),
    );
  }
  if (history.setAside > 0) {
    found.push(
      warning(
        'interrupted-blocks',
        `${history.setAside} samples of interrupted blocks are kept but not counted`,
        'nothing: the blocks were measured again',
      ),
    );
  }
  return found;
}
