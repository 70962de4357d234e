// Network namespaces of our own, by name and the process that they belong to: what a killed run left
// behind goes at the next start.
import { execFileSync, spawnSync } from 'node:child_process';

import { CliError, exitCodes } from '../errors.js';

export const environment = {
  ...process.env,
  PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
};

export function run(command: string, ...args: string[]): string {
  try {
    return execFileSync(command, args, {
      encoding: 'utf8',
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    const text =
      error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new CliError('linux-setup', `${command} ${args.join(' ')}: ${text}`);
  }
}

export const isInstalled = (program: string): boolean =>
  spawnSync('sh', ['-c', `command -v ${program}`], { env: environment }).status === 0;

/** Of programs, by their Debian packages, root and its rights; empty: nothing. */
export function missingPrograms(programs: Readonly<Record<string, string>>): string[] {
  const missing = Object.entries(programs)
    .filter(([name]) => !isInstalled(name))
    .map(([name, debian]) => `${name} (Debian package ${debian})`);
  if (process.getuid?.() !== 0) missing.push('root, for network namespaces');
  if (missing.length > 0) return missing;
  const refused = refusal();
  return refused === undefined ? [] : [`the right to make network namespaces (${refused})`];
}

/** @throws CliError with the reason, where something is missing */
export function refuseWithout(missing: readonly string[]): void {
  if (missing.length === 0) return;
  throw new CliError(
    'not-supported',
    `this measurement needs ${missing.join(', ')}`,
    exitCodes.notSupported,
  );
}

/** What is said where root may not make a namespace with interfaces, as in many containers. */
function refusal(): string | undefined {
  const prefix = 'reframer-probe-';
  sweepSpaces(prefix);
  const name = `${prefix}${process.pid}`;
  try {
    run('ip', 'netns', 'add', name);
    run('ip', '-n', name, 'link', 'add', 'p0', 'type', 'veth', 'peer', 'name', 'p1');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    remove(name);
  }
}

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
};

/** Whatever still runs in a namespace of ours is ours. Deleting a namespace deletes its interfaces. */
function remove(name: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'pids', name], {
    encoding: 'utf8',
    env: environment,
  });
  for (const pid of (stdout ?? '').split('\n').map(Number)) {
    if (!(pid > 1)) continue;
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // ended meanwhile
    }
  }
  spawnSync('ip', ['netns', 'del', name], { stdio: 'ignore', env: environment });
}

/** Names begin with `prefix`, of letters and hyphens; the number behind it is a process. */
export function sweepSpaces(prefix: string): void {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8', env: environment });
  for (const [name = ''] of (stdout ?? '').split('\n').map((line) => line.split(' '))) {
    const pid = Number(new RegExp(`^${prefix}(\\d+)(?:-|$)`).exec(name)?.[1]);
    if (Number.isInteger(pid) && !isAlive(pid)) remove(name);
  }
}

/** Of /proc/net/snmp or /proc/net/netstat: a line of names, then one of values. */
export function counterOf(text: string, group: string, field: string): number {
  const [names = '', values = ''] = text.split('\n').filter((line) => line.startsWith(`${group}:`));
  return Number(values.split(' ')[names.split(' ').indexOf(field)] ?? 0);
}

export class Spaces<Place extends string> {
  constructor(
    private readonly prefix: string,
    private readonly places: readonly Place[],
  ) {
    sweepSpaces(prefix);
    try {
      for (const place of places) {
        run('ip', 'netns', 'add', this.name(place));
        this.ip(place, 'link', 'set', 'lo', 'up');
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  name(place: Place): string {
    return `${this.prefix}${process.pid}-${place}`;
  }

  /** In front of a program that is to run there. */
  inside(place: Place): string[] {
    return ['ip', 'netns', 'exec', this.name(place)];
  }

  in(place: Place, ...command: string[]): string {
    const [program = '', ...args] = [...this.inside(place), ...command];
    return run(program, ...args);
  }

  ip(place: Place, ...args: string[]): string {
    return run('ip', '-n', this.name(place), ...args);
  }

  write(place: Place, file: string, value: string): void {
    this.in(place, 'sh', '-c', `echo ${value} > ${file}`);
  }

  counter(place: Place, file: string, group: string, field: string): number {
    return counterOf(this.in(place, 'cat', `/proc/net/${file}`), group, field);
  }

  /** A veth: frames are single segments with their checksums, as on a wire. */
  link(one: Place, device: string, other: Place, peer: string, queues = 1): void {
    const count = ['numtxqueues', String(queues), 'numrxqueues', String(queues)];
    this.ip(
      one,
      ...['link', 'add', device, ...count, 'type', 'veth', 'peer', 'name', peer, ...count],
      ...['netns', this.name(other)],
    );
    for (const [place, end] of [
      [one, device],
      [other, peer],
    ] as const) {
      this.in(place, ...['ethtool', '-K', end, 'tso', 'off', 'gso', 'off', 'tx', 'off']);
      this.ip(place, 'link', 'set', end, 'up');
    }
  }

  close(): void {
    for (const place of this.places) remove(this.name(place));
  }
}
