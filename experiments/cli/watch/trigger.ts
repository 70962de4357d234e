// `--when 'pps > 100k and slf < 1.5 for 5s until pps < 50k for 10s'`: comes on when all of it has held
// for that long, and goes off by rules of its own, so that it does not flutter.
import { UsageError } from '../errors.js';
import { parseDuration } from '../units.js';
import type { Locality } from './sample.js';

const quantities: Readonly<Record<string, (l: Locality) => number | undefined>> = {
  pps: (l) => l.packetsPerSecond,
  bps: (l) => l.bitsPerSecond,
  slf: (l) => l.slf,
  // How many times as long runs would be.
  gain16: (l) => gain(l, '16'),
  gain64: (l) => gain(l, '64'),
  gain128: (l) => gain(l, '128'),
  flows: (l) => l.flows,
  heaviest: (l) => (l.heaviestBucket === undefined ? undefined : 100 * l.heaviestBucket),
  tcp: (l) => l.perSecond.tcp,
  udp: (l) => l.perSecond.udp,
  icmp: (l) => l.perSecond.icmp,
  syn: (l) => l.perSecond.syn,
  synack: (l) => l.perSecond.synAck,
  fin: (l) => l.perSecond.fin,
  rst: (l) => l.perSecond.rst,
};

function gain({ slf, slfHeld }: Locality, us: '16' | '64' | '128'): number | undefined {
  return slf === undefined || slfHeld === undefined ? undefined : slfHeld[us] / slf;
}

export const whenHelp = `'pps > 100k and slf < 1.5 for 5s until pps < 50k for 10s': of ${Object.keys(quantities).join(', ')} (heaviest bucket in %, counts a second); without until it goes off when the first part no longer holds, for as long`;

const compare: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
};
const scales: Readonly<Record<string, number>> = { '': 1, '%': 1, k: 1e3, M: 1e6, G: 1e9 };

interface Rule {
  holds: (locality: Locality) => boolean;
  forMs: number;
}

function parseCondition(text: string): (locality: Locality) => boolean {
  const [, name = '', sign = '', number = '', scale = ''] =
    /^(\w+)\s*(<=|>=|<|>)\s*(\d+(?:\.\d+)?)\s*([kMG%]?)$/.exec(text.trim()) ?? [];
  const quantity = quantities[name.toLowerCase()];
  const holds = compare[sign];
  if (quantity === undefined || holds === undefined)
    throw new UsageError(`--when: '${text.trim()}' is not QUANTITY < NUMBER; there is ${whenHelp}`);
  const bound = Number(number) * (scales[scale] ?? 1);
  return (locality) => {
    const value = quantity(locality);
    return value !== undefined && holds(value, bound);
  };
}

function parseRule(text: string): Rule {
  const [conditions = '', time, ...more] = text.split(/\s+for\s+/);
  if (more.length > 0) throw new UsageError(`--when: '${text.trim()}' says for twice`);
  const all = conditions.split(/\s+and\s+/).map(parseCondition);
  return {
    holds: (locality) => all.every((condition) => condition(locality)),
    forMs: time === undefined ? 0 : parseDuration(time.trim(), '--when') / 1e6,
  };
}

export class Trigger {
  on = false;
  private readonly start: Rule;
  private readonly end: Rule;
  private heldMs = 0;

  constructor(text: string) {
    const [on = '', off, ...more] = text.split(/\s+until\s+/);
    if (more.length > 0) throw new UsageError('--when: until is said twice');
    const start = parseRule(on);
    this.start = start;
    this.end =
      off === undefined
        ? { holds: (locality) => !start.holds(locality), forMs: start.forMs }
        : parseRule(off);
  }

  /** @returns whether it came on or went off now */
  update(locality: Locality): 'on' | 'off' | undefined {
    const rule = this.on ? this.end : this.start;
    this.heldMs = rule.holds(locality) ? this.heldMs + 1000 * locality.seconds : 0;
    // A look is never exactly as long as was asked for.
    const slackMs = 500 * Math.min(locality.seconds, 0.1);
    if (this.heldMs === 0 || this.heldMs + slackMs < rule.forMs) return undefined;
    this.on = !this.on;
    this.heldMs = 0;
    return this.on ? 'on' : 'off';
  }
}
