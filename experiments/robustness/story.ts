// What the report says of each part of the experiment `robustness`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { at } from '../story/ask.js';
import { counted } from '../story/counts.js';
import { shownName } from '../story/names.js';
import { listed, say, together, told, when } from '../story/say.js';

const attackAt = (f: Facts, policy: 'fixed' | 'off', attack: string): PointFacts =>
  at(f, 'attacks', { policy, attack });
const p99 = (f: Facts, policy: 'fixed' | 'off', attack: string): string | undefined =>
  attackAt(f, policy, attack).told('p99Us');

const withValue = (point: PointFacts, metric: string): string =>
  `${shownName(String(point.params.attack))} (${String(point.told(metric))})`;

/** Attacks that more than double the 99th percentile of latency, where no hold hides it. */
function hurting(f: Facts): string | undefined {
  const calm = attackAt(f, 'off', 'none').value('p99Us');
  if (calm === undefined) return undefined;
  return listed(
    f
      .part('attacks')
      .points({ policy: 'off' })
      .flatMap((p) => ((p.value('p99Us') ?? 0) > 2 * calm ? [withValue(p, 'p99Us')] : [])),
  );
}

const sum = (points: readonly PointFacts[], metric: string): number =>
  points.reduce((all, p) => all + (p.value(metric) ?? 0), 0);

/** Attacks under which clients fail to connect. */
const failing = (f: Facts): PointFacts[] =>
  f
    .part('attacks')
    .points({ policy: 'fixed' })
    .filter((p) => (p.value('connectedPercent') ?? 100) < 99);

const nameOf = (point: PointFacts): string => shownName(String(point.params.attack));

/** Of established flows: what the attacks took from the table. */
function established(points: readonly PointFacts[]): string | undefined {
  const gone = sum(points, 'establishedEvicted') + sum(points, 'establishedLost');
  if (!points.some((p) => p.value('establishedEvicted') !== undefined)) return undefined;
  return gone === 0
    ? 'No established flow was evicted or lost.'
    : `${gone.toLocaleString('en-US')} established flows were evicted or lost.`;
}

const attacks: Story = {
  found: (f) =>
    together(
      say`Without an attack the p99 is ${p99(f, 'off', 'none')} without Reframer and ${p99(f, 'fixed', 'none')} with T = 64 µs, most of it the hold.`,
      say`Without Reframer it more than doubles under ${hurting(f)}.`,
      established(f.part('attacks').points()),
      say`Of the handshakes of new clients only ${listed(failing(f).map((p) => `${String(p.told('connectedPercent'))} under ${nameOf(p)}`))} succeed.`,
      say`The process grows by ${attackAt(f, 'fixed', 'syn-flood').told('grownMiB')} under the SYN flood, and by ${attackAt(f, 'fixed', 'none').told('grownMiB')} without an attack.`,
    ),
  figures: ['attack-own-p99', 'attack-connected'],
};

const rate: Story = {
  found: (f) => {
    const points = f.part('flood-rate').points({ attack: 'syn-flood' });
    const dropping = points.find((p) => (p.value('legitimateDrops') ?? 0) > 0);
    const last = points.at(-1);
    const times = last?.params.times;
    return together(
      say`A flood of ${times === undefined ? undefined : String(times)} SYNs per legitimate packet takes the p99 to ${last?.told('p99Us')}.`,
      when(
        last?.value('legitimateDrops') !== undefined,
        dropping === undefined
          ? 'No legitimate packet is dropped at any rate.'
          : `Legitimate packets are dropped from ${String(dropping.params.times)} SYNs per packet on.`,
      ),
    );
  },
  figures: ['flood-rate'],
};

/** Whether any trial of that attack does: all may be void. */
const oneHashCounts = (f: Facts): boolean =>
  f
    .part('one-hash')
    .points({ attack: 'same-hash' })
    .some((p) => p.value('p99Us') !== undefined);

const oneHash: Story = {
  found: (f) => {
    const point = (hash: string, maxBurst: number, attack: string): string | undefined =>
      at(f, 'one-hash', { hash, maxBurst, attack }).told('p99Us');
    return together(
      when(
        point('nic', 128, 'none') !== undefined && !oneHashCounts(f),
        'No trial under this attack counts: in each, too many polls took far longer than others of their size. What the attack costs is unknown.',
      ),
      say`Flows of one NIC hash take the p99 from ${point('nic', 128, 'none')} to ${point('nic', 128, 'same-hash')} with groups of up to 128 packets, and to ${point('nic', 16, 'same-hash')} with 16.`,
      say`With groups by a keyed hash of the header it is ${point('software', 128, 'same-hash')}.`,
    );
  },
  figures: [{ id: 'one-hash', if: oneHashCounts }],
};

const ourTable = (f: Facts): PointFacts =>
  at(f, 'tables', { tracker: 'burst-table', keys: 'colliding' });

const tables: Story = {
  found: (f) => {
    const slower = f
      .part('tables')
      .points({ keys: 'colliding' })
      .flatMap((p) => {
        const change = p.change('nsPerFind');
        return change !== undefined && change.ratio > 2
          ? [`${shownName(String(p.params.tracker))} (${change.times})`]
          : [];
      });
    const change = ourTable(f).change('nsPerFind');
    return together(
      told(change, {
        better: say`In the burst table a lookup of colliding keys takes ${ourTable(f).told('nsPerFind')}, no more than one of random keys.`,
        worse: say`In the burst table a lookup of colliding keys takes ${ourTable(f).told('nsPerFind')}, ${change?.times} that of random keys.`,
        same: say`In the burst table a lookup of colliding keys takes ${ourTable(f).told('nsPerFind')}, as long as one of random keys.`,
        open: say`In the burst table a lookup of colliding keys takes ${ourTable(f).told('nsPerFind')}; whether random keys differ is undecided (${change?.span}).`,
      }),
      say`A lookup takes more than twice as long as one of random keys in ${listed(slower)}.`,
    );
  },
  figures: ['tables'],
};

const long: Story = {
  found: (f) => {
    const [flood, calm] = [
      at(f, 'flood-10m', { attack: 'syn-flood' }),
      at(f, 'flood-10m', { attack: 'none' }),
    ];
    return together(
      say`After ten million SYNs in ten seconds the process has grown by ${flood.told('grownMiB')}, after as long without an attack by ${calm.told('grownMiB')}.`,
      say`The p99 is ${flood.told('p99Us')} instead of ${calm.told('p99Us')} (${flood.change('p99Us')?.percent}; ${flood.change('p99Us')?.span}).`,
      established(f.part('flood-10m').points({ attack: 'syn-flood' })),
    );
  },
  figures: [],
};

const captures: Story = {
  found: (f) =>
    say`The p99 of legitimate packets is ${listed(
      f
        .part('captures')
        .points()
        .map((p) => `${String(p.told('p99Us'))} under ${String(p.params.attack)}`),
    )}.`,
  figures: [],
};

export const stories: Readonly<Record<string, Story>> = {
  attacks,
  'flood-rate': rate,
  'one-hash': oneHash,
  captures,
  'flood-10m': long,
  tables,
};

export const captions: Readonly<Record<string, Say>> = {
  'attack-own-p99': () =>
    say`p99 of legitimate packets without their time in Reframer, by attack, with T = 64 µs and without Reframer.`,
  'attack-connected': (f) => {
    const bad = listed(failing(f).map(nameOf));
    return bad === undefined
      ? say`Handshakes of new clients that succeeded, by attack.`
      : say`Handshakes of new clients that succeeded: fewer than 99 % under ${bad}.`;
  },
  'flood-rate': (f) => {
    const last = f.part('flood-rate').points({ attack: 'syn-flood' }).at(-1);
    return (
      say`p99 of legitimate packets by rate of the flood; it reaches ${last?.told('p99Us')}.` ??
      say`p99 of legitimate packets by rate of the flood.`
    );
  },
  'one-hash': (f) =>
    oneHashCounts(f)
      ? say`p99 if all of an attacker’s flows share one NIC hash, by the largest group that is allowed.`
      : say`p99 without the attack alone, by the largest group that is allowed: no trial of one NIC hash counts.`,
  tables: (f) =>
    say`A lookup of colliding keys takes the burst table ${ourTable(f).change('nsPerFind')?.times} as long as one of random keys.` ??
    say`A lookup of random and of colliding keys.`,
};

/** How many of the attacks keep new clients out. */
function clients(f: Facts): string | undefined {
  const points = f.part('attacks').points({ policy: 'fixed' });
  const told = points.flatMap((p) => p.value('connectedPercent') ?? []);
  const shares = failing(f)
    .map((p) => [p.value('connectedPercent') ?? 0, p.told('connectedPercent')] as const)
    .sort(([a], [b]) => a - b)
    .map(([, share]) => String(share));
  const sameHash = at(f, 'attacks', { policy: 'fixed', attack: 'same-hash' });
  const unknown = sameHash.value('connectedPercent') === undefined;
  const kept = told.filter((share) => share < 99).length;
  return when(
    told.length > 0,
    kept === 0
      ? 'New clients connect under every attack.'
      : `Under ${kept} of ${told.length - 1} attacks only ${[...new Set([shares[0], shares.at(-1)])].join(' to ')} of new clients connect${unknown ? '; no trial of the attack on one NIC hash counts' : ''}.`,
  );
}

export const abstract: Say = (f) => {
  const change = ourTable(f).change('nsPerFind');
  return together(
    say`What do attacks cost the legitimate traffic of a core that runs Reframer, a header parser and a flow table? Floods, elephant flows, chosen hashes, fragments and crafted headers arrive at five times its rate.`,
    say`Without Reframer, whose hold would hide it, a SYN flood takes the 99th percentile of latency from ${p99(f, 'off', 'none')} to ${p99(f, 'off', 'syn-flood')}.`,
    established(f.part('attacks').points()),
    clients(f),
    say`Colliding keys take our flow table ${change?.times} as long as random ones.`,
    counted(f.counts.aims, 'aims of this project'),
    say`There is no published run to compare with; link, NIC and memory bus are not attacked.`,
  );
};
