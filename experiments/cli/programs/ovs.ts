// Open vSwitch with DPDK's datapath between net_pcap and net_null, one polling core, in a network
// namespace of its own: its bridges are devices of the kernel too, and go with the namespace.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { CliError, exitCodes } from '../errors.js';
import { lastWords, needProgram, warmUpMs, type ProgramRun, type ProgramTrial } from './trial.js';

/** What the rules do: send on; track the connection first; send on in a VXLAN tunnel. */
export const ovsActions = ['output', 'ct', 'tunnel'] as const;
export type OvsActions = (typeof ovsActions)[number];

export interface OvsSetting {
  /** Exact-match cache: every new flow is written to it, or none. */
  emc: boolean;
  /** With more than one, rules by destination prefix of 16 bits. */
  rules: number;
  actions: OvsActions;
}

const vswitchd = '/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk';
const schema = '/usr/share/openvswitch/vswitch.ovsschema';
/** Its EAL is always told --in-memory, which excludes --no-huge. */
const memoryMb = 1024;
const pageMb = 2;
/** Starting takes this long at most. */
const patienceSeconds = 30;
/** Megaflows and caches are filled before the counters are set to zero. */
const settleMs = 1000 + warmUpMs;

export function needOvs(): void {
  needProgram(vswitchd, 'openvswitch-switch-dpdk', '--version');
  const refuse = (why: string): never => {
    throw new CliError('not-supported', why, exitCodes.notSupported);
  };
  if (process.getuid?.() !== 0)
    refuse('Open vSwitch runs in a network namespace of its own, which needs root');
  const pages = Math.ceil(memoryMb / pageMb);
  const free = Number(/HugePages_Free:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
  if (free < pages)
    refuse(
      `Open vSwitch takes ${memoryMb} MB of huge pages; ${free} of ${pages} pages are free: sysctl -w vm.nr_hugepages=${pages}`,
    );
}

class Switch {
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];

  constructor(run: ProgramRun) {
    this.#folder = mkdtempSync(join(run.folder, 'ovs-'));
  }

  #file(name: string): string {
    return join(this.#folder, name);
  }

  #start(command: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): void {
    // Ends with this process, however that ends: a polling switch would keep a core for ever.
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', command, ...args], {
      env: { ...process.env, OVS_RUNDIR: this.#folder, ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(this.#file('said'), { flags: 'a' });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.on('error', () => undefined); // seen by the next command that asks it
    this.#children.push(child);
  }

  /** A command of Open vSwitch's, and what it prints. */
  #ask(command: string, ...args: readonly string[]): string {
    const { status, stdout, stderr } = spawnSync(command, args, {
      encoding: 'utf8',
      timeout: patienceSeconds * 1000,
      env: { ...process.env, OVS_RUNDIR: this.#folder },
    });
    if (status === 0) return stdout;
    throw new CliError(
      'ovs',
      `${command} ${args.slice(0, 4).join(' ')} failed: ${lastWords(stderr || this.said())}`,
    );
  }
  vsctl(...args: readonly string[]): void {
    this.#ask('ovs-vsctl', `--db=unix:${this.#file('db.sock')}`, '--timeout=20', ...args);
  }
  appctl(...args: readonly string[]): string {
    return this.#ask('ovs-appctl', '-t', this.#file('switch.ctl'), ...args);
  }
  ofctl(bridge: string, flows: readonly string[]): void {
    const target = `unix:${this.#file(`${bridge}.mgmt`)}`;
    this.#ask('ovs-ofctl', 'del-flows', target);
    for (const flow of flows) this.#ask('ovs-ofctl', 'add-flow', target, flow);
  }
  /** A command in the switch's namespace. */
  inside(...command: readonly string[]): void {
    this.#ask('nsenter', '-t', String(this.#children.at(-1)?.pid), '-n', ...command);
  }

  said(): string {
    try {
      return readFileSync(this.#file('said'), 'utf8');
    } catch {
      return '';
    }
  }

  async start(emc: boolean, environment: NodeJS.ProcessEnv): Promise<void> {
    const database = this.#file('conf.db');
    this.#ask('ovsdb-tool', 'create', database, schema);
    const socket = `punix:${this.#file('db.sock')}`;
    this.#start('ovsdb-server', [
      database,
      `--remote=${socket}`,
      `--unixctl=${this.#file('db.ctl')}`,
    ]);
    await sleep(200);
    this.vsctl('--no-wait', 'init');
    this.vsctl(
      ...['--no-wait', 'set', 'Open_vSwitch', '.', 'other_config:dpdk-init=true'],
      `other_config:dpdk-socket-mem=${memoryMb}`,
      'other_config:dpdk-extra="--no-pci --no-telemetry --iova-mode=va"',
      // The second CPU polls, the first one does all else.
      'other_config:pmd-cpu-mask=0x2',
      'other_config:dpdk-lcore-mask=0x1',
      // Of new flows, 1 in so many is written to the cache.
      `other_config:emc-insert-inv-prob=${emc ? 1 : 0}`,
    );
    this.#start(
      'unshare',
      [
        '--net',
        '--',
        vswitchd,
        `unix:${this.#file('db.sock')}`,
        `--unixctl=${this.#file('switch.ctl')}`,
      ],
      environment,
    );
  }

  /** Ends it; the counters that Reframer prints then are in `said()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children.toReversed()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      const stubborn = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(stubborn);
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** OpenFlow rules from the port `in` to the port `out`. */
function rulesOf({ rules, actions }: OvsSetting, out: string): string[] {
  const then = `output:${out}`;
  if (actions === 'ct')
    return [
      'table=0,priority=0,in_port=in,ip,actions=ct(table=1)',
      `table=1,ct_state=+trk+new,ip,actions=ct(commit),${then}`,
      `table=1,ct_state=+trk-new,ip,actions=${then}`,
    ];
  const prefixes = Array.from({ length: rules - 1 }, (_, i) => {
    const prefix = Math.floor((i * 65_536) / rules);
    return `priority=10,in_port=in,ip,nw_dst=${prefix >> 8}.${prefix & 255}.0.0/16,actions=${then}`;
  });
  return [...prefixes, `priority=0,in_port=in,actions=${then}`];
}

function makeTunnel(one: Switch): void {
  one.vsctl('add-br', 'under', '--', 'set', 'bridge', 'under', 'datapath_type=netdev');
  one.vsctl('add-port', 'under', 'out', '--', ...outPort);
  one.inside('ip', 'address', 'add', '10.99.0.1/24', 'dev', 'under');
  one.inside('ip', 'link', 'set', 'under', 'up');
  one.vsctl(
    ...['add-port', 'over', 'tunnel', '--', 'set', 'Interface', 'tunnel', 'type=vxlan'],
    'options:remote_ip=10.99.0.2',
    'options:key=7',
  );
  one.appctl('tnl/neigh/set', 'under', '10.99.0.2', '02:00:00:00:00:02');
  one.ofctl('under', ['actions=output:out']);
}

const outPort = [
  ...['set', 'Interface', 'out', 'type=dpdk'],
  'options:dpdk-devargs=net_null0,no-rx=1',
];

function measured(perf: string, timeMs: number): ProgramTrial {
  const number = (pattern: RegExp): number => Number(pattern.exec(perf)?.[1]);
  const packets = number(/Rx packets:\s+(\d+)/);
  const cyclesPerPacket = number(/Rx packets:.*?(\d+) cycles\/pkt/);
  if (!(packets > 0) || !(cyclesPerPacket > 0))
    throw new CliError('ovs', `Open vSwitch counted nothing:\n${lastWords(perf)}`);
  return {
    nsPerPacket: (timeMs * 1e6) / packets,
    cyclesPerPacket,
    packetsPerBatch: number(/Tx batches:.*?([\d.]+) pkts\/batch/),
    emcHits: number(/EMC hits:\s+\d+\s+\(\s*([\d.]+) %/) / 100,
    megaflowHits: number(/Megaflow hits:\s+\d+\s+\(\s*([\d.]+) %/) / 100,
  };
}

export async function runOvs(setting: OvsSetting, run: ProgramRun): Promise<ProgramTrial> {
  await using one = new Switch(run);
  await one.start(setting.emc, run.environment);
  one.vsctl('add-br', 'over', '--', 'set', 'bridge', 'over', 'datapath_type=netdev');
  one.vsctl(
    ...['add-port', 'over', 'in', '--', 'set', 'Interface', 'in', 'type=dpdk'],
    `options:dpdk-devargs="net_pcap0,rx_pcap=${run.capture},infinite_rx=1"`,
  );
  if (setting.actions === 'tunnel') makeTunnel(one);
  else one.vsctl('add-port', 'over', 'out', '--', ...outPort);
  one.ofctl('over', rulesOf(setting, setting.actions === 'tunnel' ? 'tunnel' : 'out'));
  await sleep(settleMs);
  one.appctl('dpif-netdev/pmd-stats-clear');
  const begun = performance.now();
  await sleep(run.timeMs);
  const perf = one.appctl('dpif-netdev/pmd-perf-show', '-nh');
  return measured(perf, performance.now() - begun);
}
