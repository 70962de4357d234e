// Looks at the machine. What set-up installs is probed by set-up itself (one table for both);
// here is what only matters to measurements: cores, clock, huge pages, governor.
import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { labProgram, library, locate, packageRoot } from '../../native/loader.js';

export interface Finding {
  name: string;
  found: boolean;
  /** 'build': nothing native without it; 'test', 'feature', 'peer', 'measure': costs what `brings` says. */
  need: 'build' | 'test' | 'feature' | 'peer' | 'measure';
  detail?: string;
  brings: string;
  /** Command or step that gets it. */
  get?: string;
}

interface SetupCheck {
  setUp: boolean;
  requirements: {
    name: string;
    need: 'build' | 'test' | 'feature' | 'peer';
    found: boolean;
    version?: string;
    where?: string;
    brings: string;
    get: string;
  }[];
}

const run = promisify(execFile);

export async function examine(): Promise<Finding[]> {
  const { stdout } = await run(process.execPath, [
    join(packageRoot, 'native', 'setup.mjs'),
    '--check',
  ]);
  const check = JSON.parse(stdout) as SetupCheck;
  return [
    {
      name: 'Node',
      found: true,
      need: 'build',
      detail: process.versions.node,
      brings: 'runs all of this',
    },
    ...check.requirements.map(({ name, need, found, version, where, brings, get }): Finding => {
      const detail = [version, where].filter((part) => part !== undefined).join(' ');
      return {
        name,
        found,
        need,
        brings,
        ...(found ? {} : { get }),
        ...(detail === '' ? {} : { detail }),
      };
    }),
    nativeBuild(check.setUp),
    cores(),
    clock(),
    governor(),
    hugepages(),
    hardwareCounters(),
  ];
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

function nativeBuild(current: boolean): Finding {
  const base = {
    name: 'native build',
    need: 'feature',
    brings: 'the library and reframer-lab: all commands',
    get: 'npx reframer setup',
  } as const;
  try {
    const where = [locate(library), locate(labProgram)].join(' ');
    const { get: _, ...found } = base;
    return {
      ...found,
      found: true,
      detail: `${where}${current ? '' : ' (older than the sources; the next command rebuilds it)'}`,
    };
  } catch {
    return { ...base, found: false };
  }
}

function cores(): Finding {
  const list = cpus();
  const allowed = /Cpus_allowed_list:\s*(\S+)/.exec(read('/proc/self/status') ?? '')?.[1];
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB memory`;
  return {
    name: 'cores',
    found: list.length >= 2,
    need: 'measure',
    detail: `${list.length} x ${list[0]?.model ?? 'unknown'}${allowed === undefined ? '' : `, allowed ${allowed}`}, ${memory}`,
    brings: 'a second core fills packet buffers during trials, as a NIC does',
  };
}

function clock(): Finding {
  const flags = /\bnonstop_tsc\b/.test(read('/proc/cpuinfo') ?? '');
  const source = read('/sys/devices/system/clocksource/clocksource0/current_clocksource');
  return {
    name: 'steady clock',
    found: flags,
    need: 'measure',
    detail: `TSC ${flags ? 'constant' : 'not known to be constant'}${source === undefined ? '' : `, kernel uses ${source}`}`,
    brings: 'times read from the TSC that mean nanoseconds whatever the frequency does',
    ...(flags ? {} : { get: 'a machine, or a hypervisor setting, that exposes an invariant TSC' }),
  };
}

function governor(): Finding {
  const value = read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor');
  const steady = value === 'performance';
  return {
    name: 'frequency governor',
    found: steady,
    need: 'measure',
    detail: value ?? 'not visible here (usual in virtual machines)',
    brings: 'a core frequency that does not wander during a run: narrower intervals',
    ...(steady || value === undefined ? {} : { get: 'cpupower frequency-set -g performance' }),
  };
}

function hugepages(): Finding {
  const total = Number(/HugePages_Total:\s*(\d+)/.exec(read('/proc/meminfo') ?? '')?.[1] ?? 0);
  const transparent = /\[(\w+)\]/.exec(
    read('/sys/kernel/mm/transparent_hugepage/enabled') ?? '',
  )?.[1];
  return {
    name: 'huge pages',
    found: total > 0,
    need: 'measure',
    detail: `${total} reserved, transparent: ${transparent ?? 'none'}`,
    brings: 'large tables without TLB misses, and DPDK ports without --no-huge',
    ...(total > 0 ? {} : { get: 'sysctl -w vm.nr_hugepages=512 (as root)' }),
  };
}

function hardwareCounters(): Finding {
  const pmu = existsSync('/sys/bus/event_source/devices/cpu');
  let readable = pmu;
  try {
    accessSync('/proc/sys/kernel/perf_event_paranoid', constants.R_OK);
  } catch {
    readable = false;
  }
  return {
    name: 'hardware counters',
    found: pmu && readable,
    need: 'measure',
    brings: 'cache misses from the processor itself; without, cachegrind models them',
    ...(pmu ? {} : { detail: 'none exposed', get: 'a bare machine, or a virtual one with a PMU' }),
  };
}
