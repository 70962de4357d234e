// Before anything is measured: is each host there, does it have our program, do the clocks agree, and
// what machine is it?
import { dirname, join } from 'node:path';
import { readdirSync } from 'node:fs';

import { dpdkProgram, locate } from '../../native/loader.js';
import { HarnessError } from '../core/errors.js';
import { hashFile } from '../core/hash.js';
import { shellWord } from '../core/shell.js';
import type { JsonObject } from '../core/types.js';
import type { Bed, Role } from './bed.js';
import { hostOf, type Host } from './host.js';

export interface Place {
  role: Role;
  host: Host;
  program: string;
  /** Of libraries that were copied with it. */
  environment: readonly string[];
  context: JsonObject;
}

export interface Prepared {
  dut: Place;
  tester: Place;
}

// Journals, logs and captures of both machines are read side by side: a minute's half may pass.
const clocksApartSeconds = 5;

const script = `
echo cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1)
echo processors=$(nproc)
echo kernel=$(uname -r)
echo memoryKiB=$(sed -n 's/^MemTotal: *\\([0-9]*\\).*/\\1/p' /proc/meminfo)
echo hugepages=$(sed -n 's/^HugePages_Total: *//p' /proc/meminfo)
echo hugepagesFree=$(sed -n 's/^HugePages_Free: *//p' /proc/meminfo)
echo governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)
echo numaNodes=$(ls -d /sys/devices/system/node/node* 2>/dev/null | wc -l)
echo smt=$(cat /sys/devices/system/cpu/smt/active 2>/dev/null)
echo virtual=$(grep -c hypervisor /proc/cpuinfo)
echo time=$(date +%s.%N)
`;

const number = (text: string | undefined): number => Number(text ?? '0');

function contextOf(text: string): { context: JsonObject; time: number } {
  const values = new Map(
    text.split('\n').flatMap((line) => {
      const at = line.indexOf('=');
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
    }),
  );
  return {
    context: {
      cpu: values.get('cpu') ?? 'unknown',
      processors: number(values.get('processors')),
      kernel: values.get('kernel') ?? 'unknown',
      memoryGiB: Math.round(number(values.get('memoryKiB')) / 2 ** 20),
      hugepages: number(values.get('hugepages')),
      governor: values.get('governor') || 'not visible',
      numaNodes: number(values.get('numaNodes')) || 1,
      smt: values.get('smt') === '1',
      virtual: number(values.get('virtual')) > 0,
    },
    time: number(values.get('time')),
  };
}

function checkClock(name: string, time: number, before: number, after: number): void {
  if (!Number.isFinite(time) || time === 0) return;
  // Somewhere between the question and the answer.
  const apart = time < before ? before - time : time > after ? time - after : 0;
  if (apart > clocksApartSeconds)
    throw new HarnessError(
      'clocks',
      `${name}: its clock is ${apart.toFixed(0)} s ${time < before ? 'behind' : 'ahead of'} ours; set both by NTP, or their records cannot be laid side by side`,
      1,
    );
}

/** EAL would say so, too, in ten lines. */
function checkHugepages(name: string, role: Role, context: JsonObject): void {
  if (!role.hugepages || Number(context.hugepages) > 0) return;
  throw new HarnessError(
    'no-hugepages',
    `${name}: no hugepages are reserved there; \`sysctl -w vm.nr_hugepages=1024\`, or "hugepages": false`,
    1,
  );
}

/** The libraries that lie beside our program, which it needs where nothing is installed. */
const libraries = (program: string): string[] =>
  readdirSync(dirname(program))
    // Beside them lie folders of their objects, in a clone.
    .filter((name) => /^libreframer(_dpdk)?\.so[.\d]*$/.test(name))
    .map((name) => join(dirname(program), name));

async function programOn(host: Host, role: Role): Promise<Pick<Place, 'program' | 'environment'>> {
  const ours = locate(dpdkProgram);
  const sha256 = await hashFile(ours);
  if (host.local && role.program === undefined) return { program: ours, environment: [] };
  if (role.program !== undefined) {
    const said = await host
      .shell(`sha256sum -- ${shellWord(role.program)}`)
      .catch((error: unknown) => {
        throw new HarnessError(
          'no-program',
          `${host.name}: ${(error as Error).message.replace(/^[^:]*: /, '')}; leave program out, and ours is copied there`,
          1,
        );
      });
    if (said.slice(0, 64) !== sha256)
      throw new HarnessError(
        'other-program',
        `${host.name}: ${role.program} is another build than ours (sha256 ${said.slice(0, 12)}, ours ${sha256.slice(0, 12)}); leave program out, and ours is copied there`,
        1,
      );
    return { program: role.program, environment: [] };
  }
  const folder = (await host.shell('echo "${XDG_CACHE_HOME:-$HOME/.cache}"')).trim();
  const to = `${folder}/reframer/${sha256.slice(0, 16)}`;
  const there = await host.shell(
    `sha256sum ${shellWord(`${to}/reframer-dpdk`)} 2>/dev/null || true`,
  );
  if (there.slice(0, 64) !== sha256) {
    for (const file of libraries(ours))
      await host.copy(file, `${to}/${file.slice(file.lastIndexOf('/') + 1)}`);
    await host.copy(ours, `${to}/reframer-dpdk`);
  }
  return { program: `${to}/reframer-dpdk`, environment: ['env', `LD_LIBRARY_PATH=${to}`] };
}

async function place(name: string, role: Role, runsOurs: boolean): Promise<Place> {
  const host = hostOf(name, role);
  const before = Date.now() / 1000;
  const { context, time } = contextOf(await host.shell(script));
  checkClock(name, time, before, Date.now() / 1000);
  if (!runsOurs) return { role, host, program: '', environment: [], context };
  checkHugepages(name, role, context);
  const found = await programOn(host, role);
  // Built for another processor, or without a library, it says so here and not in the first trial.
  const quoted = [...found.environment, found.program, 'tester'].map(shellWord).join(' ');
  const said = await host.shell(`echo '{"tx":"none","checkOnly":true}' | ${quoted} 2>&1 || true`);
  if (!said.includes('"accepted"'))
    throw new HarnessError(
      'no-program',
      `${name}: ${found.program} does not run there (${said.trim().split('\n').at(-1) ?? 'it says nothing'}): is DPDK installed, and the processor of the same kind?`,
      1,
    );
  return { role, host, ...found, context };
}

/** @throws HarnessError, one line each */
export async function prepareBed(bed: Bed): Promise<Prepared> {
  return {
    dut: await place('dut', bed.dut, true),
    tester: await place('tester', bed.tester, bed.tester.kind === 'feeder'),
  };
}
