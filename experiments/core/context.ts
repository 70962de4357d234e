// What a result depends on beside its parameters. No host name, no path of this machine.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { basename, join } from 'node:path';

import { packageRoot, packageVersion } from '../../native/loader.js';
import { shortHash } from './hash.js';
import type { JsonObject, JsonValue } from './types.js';

export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function output(command: string, args: readonly string[], cwd = packageRoot): string | undefined {
  const { status, stdout } = spawnSync(command, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return status === 0 ? stdout.trim() : undefined;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

const cpuFolder = '/sys/devices/system/cpu';

function caches(): JsonValue[] {
  return list(`${cpuFolder}/cpu0/cache`)
    .filter((name) => name.startsWith('index'))
    .map((name) => {
      const at = (file: string): string =>
        readText(`${cpuFolder}/cpu0/cache/${name}/${file}`) ?? 'unknown';
      return {
        level: Number(at('level')),
        type: at('type'),
        size: at('size'),
        sharedBy: at('shared_cpu_list'),
      };
    });
}

function governors(): string[] {
  const found = list(cpuFolder)
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => readText(`${cpuFolder}/${name}/cpufreq/scaling_governor`))
    .filter((name): name is string => name !== undefined);
  return [...new Set(found)];
}

/** "on", "off" or "unknown": what the frequency driver says about boost clocks. */
function turbo(): string {
  const noTurbo = readText(`${cpuFolder}/intel_pstate/no_turbo`);
  if (noTurbo !== undefined) return noTurbo === '0' ? 'on' : 'off';
  const boost = readText(`${cpuFolder}/cpufreq/boost`);
  if (boost !== undefined) return boost === '1' ? 'on' : 'off';
  return 'unknown';
}

function hugepages(): JsonValue[] {
  const root = '/sys/kernel/mm/hugepages';
  return list(root).map((name) => ({
    size: name.replace('hugepages-', ''),
    total: Number(readText(`${root}/${name}/nr_hugepages`) ?? 0),
    free: Number(readText(`${root}/${name}/free_hugepages`) ?? 0),
  }));
}

function mitigations(): JsonObject {
  const root = `${cpuFolder}/vulnerabilities`;
  const entries = list(root).map(
    (name) => [name, readText(`${root}/${name}`) ?? 'unknown'] as const,
  );
  return Object.fromEntries(entries.filter(([, state]) => state !== 'Not affected'));
}

/** Arguments of the kernel that change how code runs; the others (disks, consoles) are not ours to tell. */
function kernelArguments(): string[] {
  const telling =
    /^(isolcpus|nohz|nohz_full|rcu_nocbs|mitigations|nosmt|hugepages|hugepagesz|default_hugepagesz|transparent_hugepage|intel_pstate|intel_idle\.max_cstate|processor\.max_cstate|idle|iommu|intel_iommu|amd_iommu|spectre_v2|pti|nopti)(=|$)/;
  return (readText('/proc/cmdline') ?? '').split(/\s+/).filter((word) => telling.test(word));
}

function nics(): string[] {
  return list('/sys/class/net')
    .map((name) => {
      const link = `/sys/class/net/${name}/device/driver/module`;
      return existsSync(link) ? output('readlink', ['-f', link]) : undefined;
    })
    .filter((path): path is string => path !== undefined)
    .map((path) => basename(path))
    .sort();
}

/** The build as Meson recorded it, so that nothing is guessed from today's compiler. */
function build(): JsonObject {
  const folder = join(packageRoot, 'native', 'build');
  const log = readText(join(folder, 'meson-logs', 'meson-log.txt')) ?? '';
  const targets = readText(join(folder, 'meson-info', 'intro-targets.json'));
  const compiler = /^C\+\+ compiler for the host machine: .*?\((.+)\)$/m
    .exec(log)?.[1]
    ?.replaceAll('"', '');
  if (targets === undefined || compiler === undefined) return { compiler: 'unknown', flags: [] };
  const lab = (
    JSON.parse(targets) as {
      name: string;
      target_sources: { language?: string; parameters?: string[] }[];
    }[]
  ).find((t) => t.name === 'reframer-lab');
  const parameters = lab?.target_sources.find((s) => s.language === 'cpp')?.parameters ?? [];
  // Code generation only: include paths are of this machine.
  return {
    compiler,
    flags: parameters.filter((word) => /^-(O|m|f|std|g|D)/.test(word) && !word.includes('/')),
  };
}

function git(): JsonObject {
  const commit = output('git', ['rev-parse', 'HEAD']);
  if (commit === undefined) return { commit: 'unknown', dirty: 'unknown' };
  return { commit, dirty: output('git', ['status', '--porcelain', '--untracked-files=no']) !== '' };
}

/** Folders of this machine say nothing elsewhere; of `--trace=FOLDER/FILE` the option stays. */
function withoutFolder(word: string): string {
  const value = word.startsWith('--') ? word.indexOf('=') + 1 : 0;
  const path = word.slice(value);
  return word.slice(0, value) + (path.includes('/') ? basename(path) : path);
}

export interface CaptureOptions {
  binarySha256: string;
  argv: readonly string[];
  cpus: string | undefined;
  /** Where the run was given another than its profile's. */
  budgetSeconds?: number;
  /** Both machines of a bed: the one under test is the run's machine. */
  bed?: JsonObject & { dut: JsonObject; tester: JsonObject };
}

export function captureContext({
  binarySha256,
  argv,
  cpus: pinned,
  budgetSeconds,
  bed,
}: CaptureOptions): JsonObject {
  const processors = cpus();
  return {
    ...(bed === undefined ? {} : { bed }),
    ...(budgetSeconds === undefined ? {} : { budgetSeconds }),
    machine: {
      cpu: processors[0]?.model.trim() ?? 'unknown',
      family: /cpu family\s*:\s*(\d+)/.exec(readText('/proc/cpuinfo') ?? '')?.[1] ?? 'unknown',
      processors: processors.length,
      usable: availableParallelism(),
      smt: readText(`${cpuFolder}/smt/active`) === '1',
      numaNodes:
        list('/sys/devices/system/node').filter((name) => /^node\d+$/.test(name)).length || 1,
      caches: caches(),
      memoryGiB: Math.round(totalmem() / 2 ** 30),
      virtual: /\bhypervisor\b/.test(readText('/proc/cpuinfo') ?? ''),
      ...(bed?.dut ?? {}),
    },
    system: {
      kernel: readText('/proc/sys/kernel/osrelease') ?? 'unknown',
      kernelArguments: kernelArguments(),
      mitigations: mitigations(),
      governors: governors(),
      turbo: turbo(),
      hugepages: hugepages(),
      transparentHugepages:
        /\[(\w+)\]/.exec(readText('/sys/kernel/mm/transparent_hugepage/enabled') ?? '')?.[1] ??
        'unknown',
      nicDrivers: nics(),
      node: process.version,
    },
    build: {
      version: packageVersion,
      binarySha256,
      ...build(),
      dpdk: output('pkg-config', ['--modversion', 'libdpdk']) ?? 'absent',
      git: git(),
    },
    engine: bed === undefined ? 'virtual NIC' : 'testbed',
    pinnedTo: pinned ?? 'nothing',
    argv: argv.map(withoutFolder),
  };
}

/** Results of machines that differ in this are not compared unasked. */
export function machineFingerprint(context: JsonObject): string {
  return shortHash(context.machine ?? {});
}

/** "0,2-3" */
const cpuList = (text: string): number[] =>
  text === ''
    ? []
    : text.split(',').flatMap((range) => {
        const [from = 0, to = from] = range.split('-').map(Number);
        return Array.from({ length: to - from + 1 }, (_, i) => from + i);
      });

/**
 * The first processor, and the first that is no thread of the same core: what the one writes must not be
 * warm for the other. Where all are of one core, two threads of it; the trials then say `dma=dram`.
 */
export function twoCores(
  allowed: readonly number[],
  siblingsOf: (cpu: number) => readonly number[],
): number[] {
  const [first, ...others] = allowed;
  if (first === undefined) return [];
  const siblings = siblingsOf(first);
  const second = others.find((cpu) => !siblings.includes(cpu)) ?? others[0];
  return second === undefined ? [first] : [first, second];
}

/** Processors that this process may use. */
export const allowedCpus = (): number[] =>
  cpuList(
    /^Cpus_allowed_list:\s*(.+)$/m.exec(readText('/proc/self/status') ?? '')?.[1]?.trim() ?? '',
  );

/** Two processors that we may use: the core under test, and the one that fills buffers. */
export function usableCpus(): string | undefined {
  const allowed = allowedCpus();
  if (allowed.length === 0 || spawnSync('taskset', ['--version'], { stdio: 'ignore' }).status !== 0)
    return undefined;
  return twoCores(allowed, (cpu) =>
    cpuList(readText(`${cpuFolder}/cpu${cpu}/topology/thread_siblings_list`) ?? ''),
  ).join(',');
}
