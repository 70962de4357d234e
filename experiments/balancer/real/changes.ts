// Downloads, requests and long transfers while servers join, drain, come back, lose weight and die.
import { setTimeout as sleep } from 'node:timers/promises';

import { Iperf, requests, SteadyDownloads } from './programs.js';
import { Network, type Family } from './network.js';
import { randomOf } from './random.js';

export interface ChangesSpec {
  seconds: number;
  /** net.ipv4.tcp_timestamps of the servers. */
  timestamps: number;
  perSecond: number;
  /** Of the addresses that clients use; default 4. */
  family?: Family;
  seed: number;
}

const servers = 6;
const fileBytes = 900_000;
const bytesPerSecond = 450_000;

type State = 'out' | 'active' | 'draining';

/** The pool, changed at random. Server 1 has the long transfers: it drains and comes back, but stays. */
class Pool {
  readonly counts = { added: 0, drained: 0, activated: 0, weighted: 0, died: 0 };
  readonly #state = new Map<number, State>();
  readonly #ids = new Map<number, number>();

  constructor(
    private readonly network: Network,
    private readonly random: (below: number) => number,
  ) {
    for (let n = 1; n <= servers; n++) this.#state.set(n, 'out');
  }
  async add(n: number): Promise<void> {
    if (!this.network.hasWeb(n)) {
      this.network.startWeb(n);
      await this.network.listens(n);
    }
    this.#ids.set(n, await this.network.add(n));
    this.#state.set(n, 'active');
    this.counts.added++;
  }
  #in(state: State): number[] {
    return [...this.#state].filter(([, is]) => is === state).map(([n]) => n);
  }
  #one(of: readonly number[]): number | undefined {
    return of[this.random(Math.max(of.length, 1))];
  }
  async #order(what: string, n: number, more: object = {}): Promise<void> {
    const said = await this.network.ask({ do: what, id: this.#ids.get(n), ...more });
    if (said['done'] !== true) throw new Error(`${what} server ${n}: ${JSON.stringify(said)}`);
  }
  /** @returns whether there was something to change */
  async change(): Promise<boolean> {
    const what = this.random(5);
    if (what === 0) {
      const n = this.#one(this.#in('out'));
      if (n === undefined) return false;
      await this.add(n);
    } else if (what === 1) {
      const n = this.#one(this.#in('active'));
      if (n === undefined || this.#in('active').length < 2) return false;
      await this.#order('drain', n);
      this.#state.set(n, 'draining');
      this.counts.drained++;
    } else if (what === 2) {
      const n = this.#one(this.#in('draining'));
      if (n === undefined) return false;
      await this.#order('activate', n);
      this.#state.set(n, 'active');
      this.counts.activated++;
    } else if (what === 3) {
      const n = this.#one(this.#in('active'));
      if (n === undefined) return false;
      await this.#order('weight', n, { weight: 1 + this.random(4) });
      this.counts.weighted++;
    } else {
      // Whoever dies with connections takes them along, whatever a balancer does.
      const idle = this.#in('draining').find((n) => n !== 1 && this.network.connections(n) === 0);
      if (idle === undefined) return false;
      this.network.killWeb(idle);
      await this.#order('remove', idle);
      this.#state.set(idle, 'out');
      this.counts.died++;
    }
    return true;
  }
}

const patience = 10; // seconds, see requests()

/** How long this process stood still at most, as when the machine is stopped for something else. */
class Heartbeat {
  longestMs = 0;
  #last = performance.now();
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.longestMs = Math.max(this.longestMs, now - this.#last);
    this.#last = now;
  }, 100);
  stop(): void {
    clearInterval(this.#timer);
  }
}

export async function runChanges(spec: ChangesSpec): Promise<object> {
  const network = new Network({
    servers,
    fileBytes,
    settings: { tcp_timestamps: spec.timestamps },
    ...(spec.family === undefined ? {} : { family: spec.family }),
  });
  const heartbeat = new Heartbeat();
  try {
    const random = randomOf(spec.seed);
    await network.start({ policy: 'weighted' });
    const pool = new Pool(network, random);
    await network.listens(1);
    await pool.add(1);
    const longer = spec.seconds + 2; // than all changes
    const transfers = [
      await Iperf.start(network, 5201, longer),
      await Iperf.start(network, 5202, longer, { reverse: true }),
    ];
    for (let i = 0; network.connections(1) < 4; i++) {
      if (i > 100) throw new Error('iperf3 does not connect');
      await sleep(50);
    }
    const web = requests(network, spec.seconds, patience);
    const downloads = new SteadyDownloads(network, bytesPerSecond);
    const started = performance.now();
    let changes = 0;
    // A change that comes late is made up for, as long as there is time.
    const end = started + spec.seconds * 1000;
    for (let due = started; performance.now() < end; due += 1000 / spec.perSecond) {
      await sleep(Math.max(0, Math.min(due, end) - performance.now()));
      for (let tries = 0; tries < 20; tries++)
        if (await pool.change()) {
          changes++;
          break;
        }
    }
    const seconds = (performance.now() - started) / 1000;
    const bodies = await downloads.stop();
    const asked = await web;
    const long = await Promise.all(transfers.map(({ result }) => result));
    const stats = await network.stats();
    const lost = (stats['strays'] ?? 0) + (stats['gone'] ?? 0) + (stats['wrongCookies'] ?? 0);
    const stoodStillSeconds = heartbeat.longestMs / 1000;
    if (stoodStillSeconds > patience / 2)
      throw new Error(
        `stood still for ${stoodStillSeconds.toFixed(0)} s: what is late says nothing`,
      );
    const failed = long.filter(({ failed: why }) => why !== undefined);
    return {
      ...spec,
      seconds,
      stoodStillSeconds,
      changes,
      changesPerSecond: changes / seconds,
      ...pool.counts,
      bodies: bodies.bodies,
      wrongBodies: bodies.wrong,
      cutBodies: bodies.cut,
      requests: asked.requests,
      requestErrors: asked.errors,
      lateRequests: asked.late,
      overdueRequests: asked.overdue,
      transferredBytes: long.reduce((sum, { bytes }) => sum + bytes, 0),
      cutTransfers: failed.length,
      broken: bodies.wrong + bodies.cut + asked.errors + asked.overdue + failed.length,
      lostPackets: lost,
      byCookie: stats['byCookie'] ?? 0,
      byTable: stats['byTable'] ?? 0,
      placed: stats['placed'] ?? 0,
      why: [...bodies.why, ...failed.map(({ failed: why }) => why ?? '')].slice(0, 5).join('; '),
    };
  } finally {
    heartbeat.stop();
    network.close();
  }
}
