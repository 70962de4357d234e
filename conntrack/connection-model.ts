/**
 * The obvious implementation of what nf_conntrack makes of one TCP connection, for tests to compare
 * `reframer flows` and the kernel with: no clock, one connection after the other on one pair of ports.
 *
 * @module
 */

export interface Segment {
  flags: number;
  sequence: number;
  acknowledged: number;
  window: number;
  payload: number;
  options: Uint8Array;
}

const names = [
  'none',
  'syn-sent',
  'syn-recv',
  'established',
  'fin-wait',
  'close-wait',
  'last-ack',
  'time-wait',
  'close',
  'syn-sent2',
] as const;
type State = (typeof names)[number];
type Kind = 'syn' | 'syn-ack' | 'fin' | 'ack' | 'rst';

const seconds: Readonly<Record<State, number>> = {
  none: 10,
  'syn-sent': 120,
  'syn-recv': 60,
  established: 432_000,
  'fin-wait': 120,
  'close-wait': 60,
  'last-ack': 30,
  'time-wait': 120,
  close: 10,
  'syn-sent2': 120,
};
const unacknowledgedSeconds = 300;
const leastLateWindow = 66_000;

// From each state, in the order of `names`, to which: i invalid, g ignored, digits are places in `names`.
const originalSteps: Readonly<Record<Kind, string>> = {
  syn: '11ggggg119',
  'syn-ack': 'ii2iiiiii2',
  fin: 'ii4466678i',
  ack: '3i3355778i',
  rst: 'i888888888',
};
const replySteps: Readonly<Record<Kind, string>> = {
  syn: 'i9iiiii1i9',
  'syn-ack': 'i2ggggggg2',
  fin: 'ii4466678i',
  ack: 'ig2355778g',
  rst: 'i888888888',
};

const fin = 1;
const syn = 2;
const rst = 4;
const ack = 16;
const saneFlags: ReadonlySet<number> = new Set([
  syn,
  syn | 32,
  syn | ack,
  rst,
  rst | ack,
  fin | ack,
  fin | ack | 32,
  ack,
  ack | 32,
]);

const plus = (a: number, b: number): number => (a + b) >>> 0;
const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;

interface Options {
  scale: number;
  hasScale: boolean;
  sackPermitted: boolean;
}

interface Side extends Options {
  end: number;
  limit: number;
  window: number;
  acknowledged: number | undefined;
  liberal: boolean;
  owed: boolean;
  closedFirst: boolean;
}

interface Last {
  kind: Kind | 'none';
  reply: boolean;
  sequence: number;
  end: number;
  acknowledged: number;
  window: number;
}

const fresh = (): Side => ({
  end: 0,
  limit: 0,
  window: 0,
  acknowledged: undefined,
  scale: 0,
  hasScale: false,
  sackPermitted: false,
  liberal: false,
  owed: false,
  closedFirst: false,
});

function kindOf({ flags }: Segment): Kind | undefined {
  if ((flags & rst) !== 0) return 'rst';
  if ((flags & syn) !== 0) return (flags & ack) === 0 ? 'syn' : 'syn-ack';
  if ((flags & fin) !== 0) return 'fin';
  return (flags & ack) === 0 ? undefined : 'ack';
}

function readOptions({ options, acknowledged }: Segment): Options & { furthest: number } {
  const read = { scale: 0, hasScale: false, sackPermitted: false, furthest: acknowledged };
  const view = new DataView(options.buffer, options.byteOffset, options.byteLength);
  for (let at = 0; at < options.length && options[at] !== 0;) {
    const kind = options[at];
    const size = kind === 1 ? 1 : (options[at + 1] ?? 0);
    if (size < 1 || (kind !== 1 && size < 2) || at + size > options.length) break;
    if (kind === 3 && size === 3)
      Object.assign(read, { hasScale: true, scale: Math.min(options[at + 2] ?? 0, 14) });
    if (kind === 4 && size === 2) read.sackPermitted = true;
    if (kind === 5)
      for (let block = at + 2; block + 8 <= at + size; block += 8)
        if (before(read.furthest, view.getUint32(block + 4)))
          read.furthest = view.getUint32(block + 4);
    at += size;
  }
  return read;
}

export class ConnectionModel {
  private state: State = 'none';
  private sides: [Side, Side] = [fresh(), fresh()];
  private last: Last = {
    kind: 'none',
    reply: false,
    sequence: 0,
    end: 0,
    acknowledged: 0,
    window: 0,
  };
  private ignored: Options = fresh();
  private challenge = false;
  private simultaneous = false;
  private answered = false;
  private assured = false;
  private repeated = 0;
  private exists = false;
  private turned = false;
  private left = 0;

  /** @returns the state that there is now and its timeout in seconds; `-` where there is no connection */
  add(segment: Segment, fromServer: boolean): [state: State | '-', seconds: number] {
    const kind = kindOf(segment);
    const sane = kind !== undefined && saneFlags.has(segment.flags & (fin | syn | rst | ack | 32));
    if (sane && !this.exists && (kind === 'syn' || kind === 'ack'))
      this.begin(segment, kind, fromServer);
    if (sane && this.exists) this.step(segment, kind, fromServer !== this.turned);
    return this.exists ? [this.state, this.left] : ['-', 0];
  }

  private begin(segment: Segment, kind: Kind, turned: boolean): void {
    const end = this.endOf(segment);
    const window = Math.max(segment.window, 1);
    const { scale, hasScale, sackPermitted } = readOptions(segment);
    const known =
      kind === 'syn' ? { scale, hasScale, sackPermitted } : { liberal: true, sackPermitted: true };
    this.sides = [
      { ...fresh(), ...known, end, limit: kind === 'syn' ? end : plus(end, window), window },
      { ...fresh(), ...(kind === 'syn' ? {} : known) },
    ];
    this.last = { kind: 'none', reply: false, sequence: 0, end: 0, acknowledged: 0, window: 0 };
    Object.assign(this, {
      state: 'none',
      exists: true,
      turned,
      challenge: false,
      simultaneous: false,
      answered: false,
      assured: false,
      repeated: 0,
      left: 0,
    });
  }

  private endOf({ sequence, payload, flags }: Segment): number {
    return plus(sequence, payload + ((flags & (syn | fin)) === 0 ? 0 : 1));
  }

  private step(segment: Segment, kind: Kind, reply: boolean): void {
    const old = this.state;
    const to = (reply ? replySteps : originalSteps)[kind][names.indexOf(old)] ?? 'i';
    if (to === 'i') return;
    let next: State = to === 'g' ? old : (names[Number(to)] ?? 'none');
    let from = old;
    const { last } = this;
    const end = this.endOf(segment);
    if (
      next === 'syn-sent' &&
      to !== 'g' &&
      (old === 'time-wait' || old === 'close') &&
      (this.sides.some((side) => side.closedFirst) || (last.reply === reply && last.kind === 'rst'))
    ) {
      this.begin(segment, kind, reply !== this.turned);
      return this.step(segment, kind, false);
    }
    if (to === 'g' || (next === 'syn-sent' && (old === 'time-wait' || old === 'close'))) {
      if (!(
        kind === 'syn-ack' &&
        last.kind === 'syn' &&
        last.reply !== reply &&
        segment.acknowledged === last.end
      ))
        return this.ignore(segment, kind, reply);
      this.sides[last.reply ? 1 : 0] = {
        ...fresh(),
        ...this.ignored,
        end: last.end,
        limit: last.end,
        window: Math.max(last.window, 1),
      };
      this.sides[reply ? 1 : 0] = fresh();
      this.challenge = false;
      [from, next] = ['syn-sent', 'syn-recv'];
    } else if (
      next === 'time-wait' &&
      old === 'last-ack' &&
      kind === 'ack' &&
      last.reply !== reply &&
      last.kind === 'syn' &&
      this.challenge
    ) {
      this.challenge = false;
      this.answered ||= reply;
      return;
    } else if (next === 'syn-sent2') this.simultaneous = true;
    else if (next === 'syn-recv' && reply && kind === 'ack' && this.simultaneous)
      next = 'established';
    let judged = true;
    if (kind === 'rst') {
      const closing = ['fin-wait', 'close-wait', 'last-ack', 'time-wait', 'close'].includes(old);
      const settled = this.assured && old === 'established';
      const { acknowledged } = this.sides[reply ? 0 : 1];
      // Against what the other side acknowledged: what passes that is still held against the window.
      let known = false;
      if (!closing && acknowledged !== undefined && last.kind !== 'syn') {
        const behindData =
          last.kind === 'ack' && last.reply === reply && segment.sequence === last.end;
        known = !settled || segment.sequence === acknowledged || behindData;
        if (segment.sequence !== 0 || settled) {
          if (before(segment.sequence, acknowledged)) return;
          if (!known) next = old;
        }
      }
      const ofSyn = this.answered && last.kind === 'syn' && last.reply !== reply;
      const ofAck = !this.assured && last.kind === 'ack';
      const ofIgnored = !known && (ofSyn || ofAck) && segment.acknowledged === last.end;
      const ofChallenge =
        old === 'syn-sent' &&
        last.kind === 'ack' &&
        last.reply &&
        segment.sequence === last.acknowledged;
      judged = !closing && !ofIgnored && !ofChallenge;
    }
    if (judged) {
      const window = this.judge(segment, end, kind, reply);
      if (window === 'ignored') this.answered ||= reply;
      if (window === 'outside') this.outside(kind, reply);
      if (window !== 'inside') return;
    }
    last.kind = kind;
    last.reply = reply;
    this.state = next;
    if (old !== next && next === 'fin-wait') this.sides[reply ? 1 : 0].closedFirst = true;
    this.renew(next, from, kind);
    this.answered ||= reply;
  }

  private ignore(segment: Segment, kind: Kind, reply: boolean): void {
    const { sequence, window } = segment;
    Object.assign(this.last, { kind, reply, sequence, window, end: this.endOf(segment) });
    if (kind === 'syn' && !reply) {
      const { scale, hasScale, sackPermitted } = readOptions(segment);
      this.ignored = { scale, hasScale, sackPermitted };
      this.challenge = this.state === 'last-ack';
      this.simultaneous = false;
    }
    if (this.state === 'syn-sent' && kind === 'ack' && reply)
      this.last.acknowledged = segment.acknowledged;
    this.answered ||= reply;
  }

  private outside(kind: Kind, reply: boolean): void {
    const { last } = this;
    if (!this.assured || (kind !== 'rst' && kind !== 'fin')) return;
    if (last.reply !== reply && (last.kind === 'fin' || last.kind === 'rst'))
      this.left = Math.min(
        this.left,
        Math.max(this.left >= 120 ? unacknowledgedSeconds : this.left),
      );
    else Object.assign(last, { kind, reply });
  }

  private open(side: Side, other: Side, segment: Segment, end: number, reply: boolean): void {
    const { scale, hasScale, sackPermitted } = readOptions(segment);
    Object.assign(side, {
      end,
      limit: end,
      window: Math.max(segment.window, 1),
      scale,
      hasScale,
      sackPermitted,
      acknowledged: undefined,
      owed: false,
      closedFirst: false,
    });
    if (reply && !(side.hasScale && other.hasScale)) side.scale = other.scale = 0;
  }

  private judge(
    segment: Segment,
    segmentEnd: number,
    kind: Kind,
    reply: boolean,
  ): 'inside' | 'ignored' | 'outside' {
    const sender = this.sides[reply ? 1 : 0];
    const receiver = this.sides[reply ? 0 : 1];
    const isSyn = (segment.flags & syn) !== 0;
    const hasAck = (segment.flags & ack) !== 0;
    let { sequence, acknowledged } = segment;
    let end = segmentEnd;
    let furthest = receiver.sackPermitted ? readOptions(segment).furthest : acknowledged;
    if (sender.window === 0 && !isSyn) {
      sender.end = end;
      sender.window = Math.max((segment.window << sender.scale) >>> 0, 1);
      sender.limit = plus(end, sender.window);
      if (receiver.window === 0) receiver.end = receiver.limit = furthest;
      else if (furthest === plus(receiver.end, 1)) receiver.end = furthest;
    } else if (
      sender.window === 0 ||
      (isSyn && before(sender.end, end) && (this.state === 'syn-sent' || this.state === 'syn-recv'))
    ) {
      const first = sender.window === 0;
      this.open(sender, receiver, segment, end, reply);
      if (!hasAck && (first || reply)) return 'inside';
    }
    if (!hasAck || ((segment.flags & rst) !== 0 && acknowledged === 0))
      acknowledged = furthest = receiver.end;
    if ((segment.flags & rst) !== 0 && sequence === 0 && this.state === 'syn-sent')
      sequence = end = sender.end;
    const lowest = plus(receiver.end, -Math.max(sender.window, leastLateWindow) - 1);
    const within = receiver.window === 0 || before(plus(sender.end, -receiver.window - 1), end);
    const unless = (word: 'ignored' | 'outside'): 'inside' | 'ignored' | 'outside' =>
      sender.liberal ? 'inside' : word;
    if (!before(sequence, plus(sender.limit, 1))) {
      if (
        receiver.window !== 0 &&
        within &&
        before(lowest, furthest) &&
        plus(end, 1 - sender.limit) <= receiver.window &&
        before(furthest, plus(receiver.end, 1))
      ) {
        sender.end = end;
        sender.owed = true;
        return unless('ignored');
      }
      return unless('outside');
    }
    if (!before(furthest, plus(receiver.end, 1))) return unless('outside');
    if (!within || !before(lowest, furthest)) return unless('ignored');
    const window = isSyn ? segment.window : (segment.window << sender.scale) >>> 0;
    sender.window = Math.max(sender.window, plus(window, furthest - acknowledged));
    if (before(sender.end, end)) Object.assign(sender, { end, owed: true });
    if (hasAck && (sender.acknowledged === undefined || before(sender.acknowledged, acknowledged)))
      sender.acknowledged = acknowledged;
    if (receiver.window !== 0 && before(sender.limit, end))
      receiver.window = plus(receiver.window, end - sender.limit);
    if (before(plus(receiver.limit, -1), plus(furthest, window)))
      receiver.limit = plus(furthest, window + (window === 0 ? 1 : 0));
    if (acknowledged === receiver.end) receiver.owed = false;
    if (kind === 'ack') {
      const { last } = this;
      const same =
        last.reply === reply &&
        last.sequence === sequence &&
        last.acknowledged === acknowledged &&
        last.end === end &&
        last.window === segment.window;
      this.repeated = same ? this.repeated + 1 : 0;
      Object.assign(last, { reply, sequence, acknowledged, end, window: segment.window });
    }
    return 'inside';
  }

  private renew(next: State, from: State, kind: Kind): void {
    const most = (limit: number): number => Math.min(seconds[next], limit);
    let timeout = seconds[next];
    if (this.repeated >= 3) timeout = most(300);
    else if (kind === 'rst') timeout = seconds.close;
    else if (this.sides.some((side) => side.owed)) timeout = most(unacknowledgedSeconds);
    else if (this.last.window === 0) timeout = most(300);
    if (this.answered) {
      if (next === 'established' && (from === 'syn-recv' || from === 'established'))
        this.assured = true;
    } else if (kind === 'rst') {
      this.exists = false;
      return;
    } else if (kind === 'syn' && from === 'syn-sent') return;
    else if (next === 'established') timeout = Math.min(timeout, unacknowledgedSeconds);
    this.left = timeout;
  }
}
