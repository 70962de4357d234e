// What the report says of each part of the experiment `robustness`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { listed, say, together, when } from '../story/say.js';

const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

/** Attacks that take the 99th percentile, less the hold, to more than twice that of no attack. */
function hurting(f: Facts): string[] {
  const calm = at(f, 'attacks', { policy: 'off', attack: 'none' }).value('p99Us');
  if (calm === undefined) return [];
  return f
    .part('attacks')
    .points({ policy: 'off' })
    .flatMap((p) => {
      const value = p.value('p99Us') ?? 0;
      return value > 2 * calm ? [`${String(p.params.attack)} (${String(p.told('p99Us'))})`] : [];
    });
}

const attacks: Story = {
  found: (f) => {
    const calm = at(f, 'attacks', { policy: 'off', attack: 'none' });
    const held = at(f, 'attacks', { policy: 'fixed', attack: 'none' });
    const points = f.part('attacks').points();
    const evicted = points.reduce((sum, p) => sum + (p.value('establishedEvicted') ?? 0), 0);
    const lost = points.reduce((sum, p) => sum + (p.value('establishedLost') ?? 0), 0);
    const failing = f
      .part('attacks')
      .points({ policy: 'fixed' })
      .flatMap((p) => {
        const share = p.value('connectedPercent');
        return share !== undefined && share < 99
          ? [`${String(p.params.attack)} (${String(p.told('connectedPercent'))})`]
          : [];
      });
    return together(
      say`Without attack and without Reframer p99 is ${calm.told('p99Us')}, with T = 64 µs ${held.told('p99Us')}, most of it the hold.`,
      say`Without Reframer these more than double it: ${listed(hurting(f))}.`,
      when(
        points.length > 0,
        when(
          evicted + lost === 0,
          'No established flow was evicted or lost.',
          `${evicted + lost} established flows were evicted or lost.`,
        ),
      ),
      say`Handshakes fail under ${listed(failing)}.`,
    );
  },
  figures: ['attack-own-p99', 'attack-connected'],
};

const rate: Story = {
  found: (f) => {
    const points = f.part('flood-rate').points({ attack: 'syn-flood' });
    const gone = points.find((p) => (p.value('legitimateDrops') ?? 0) > 0);
    const last = points.at(-1);
    return together(
      say`A flood of ${String(last?.params.times)} SYNs a legitimate packet takes p99 to ${last?.told('p99Us')}.`,
      when(gone === undefined && points.length > 0, 'Up to there no legitimate packet is lost.'),
      gone === undefined
        ? undefined
        : say`Legitimate packets are lost from ${String(gone.params.times)} SYNs a packet on.`,
    );
  },
  figures: ['flood-rate'],
};

const oneHash: Story = {
  found: (f) => {
    const point = (hash: string, maxBurst: number, attack: string): PointFacts =>
      at(f, 'one-hash', { hash, maxBurst, attack });
    return together(
      say`Flows of one NIC hash take p99 from ${point('nic', 128, 'none').told('p99Us')} to ${point('nic', 128, 'same-hash').told('p99Us')} with groups of up to 128 packets, and to ${point('nic', 16, 'same-hash').told('p99Us')} with 16.`,
      say`Grouped by a keyed hash of the header it is ${point('software', 128, 'same-hash').told('p99Us')}.`,
    );
  },
  figures: ['one-hash'],
};

const tables: Story = {
  found: (f) => {
    const worse = f
      .part('tables')
      .points({ keys: 'colliding' })
      .flatMap((p) => {
        const change = p.change('nsPerFind');
        return change !== undefined && change.ratio > 2
          ? [`${String(p.params.tracker)} (${change.times})`]
          : [];
      });
    const ours = at(f, 'tables', { tracker: 'burst-table', keys: 'colliding' });
    return together(
      say`A lookup of colliding keys takes ${ours.told('nsPerFind')} in the burst table, ${ours.change('nsPerFind')?.times} what random keys take.`,
      say`More than twice as slow become ${listed(worse)}.`,
    );
  },
  figures: ['tables'],
};

const long: Story = {
  found: (f) => {
    const flood = at(f, 'flood-10m', { attack: 'syn-flood' });
    const lost = (flood.value('establishedEvicted') ?? 0) + (flood.value('establishedLost') ?? 0);
    return together(
      say`Ten seconds of flood grow the process by ${flood.told('grownMiB')} and take p99 to ${flood.told('p99Us')}.`,
      when(
        flood.value('establishedEvicted') !== undefined,
        when(
          lost === 0,
          'Every established flow is still there.',
          `${lost} established flows are gone.`,
        ),
      ),
    );
  },
};

export const stories: Readonly<Record<string, Story>> = {
  attacks,
  'flood-rate': rate,
  'one-hash': oneHash,
  tables,
  'flood-10m': long,
};

export const captions: Readonly<Record<string, Say>> = {
  'attack-own-p99': () =>
    say`p99 of legitimate packets less their time in Reframer, by attack; panels: with T = 64 µs, and without.`,
  'attack-connected': () => say`Handshakes of new clients that succeeded, by attack.`,
  'flood-rate': () => say`p99 of legitimate packets by SYNs a legitimate packet.`,
  'one-hash': () =>
    say`p99 when all of an attacker’s flows share one NIC hash, by packets of a group at most.`,
  tables: () => say`A lookup with random and with colliding keys.`,
};

export const abstract: Say = (f) => {
  const aims = f.counts.aims;
  const all = Object.values(aims).reduce((sum, n) => sum + n, 0);
  const calm = at(f, 'attacks', { policy: 'off', attack: 'none' });
  const flood = at(f, 'attacks', { policy: 'off', attack: 'syn-flood' });
  const ours = at(f, 'tables', { tracker: 'burst-table', keys: 'colliding' }).change('nsPerFind');
  return together(
    say`What do attacks cost the packets that are none? Legitimate flows pass a core with Reframer, the whole header parser and a flow table while floods, elephants, chosen hashes, fragments and crafted headers come at five times their rate.`,
    say`A SYN flood takes the 99th percentile of latency from ${calm.told('p99Us')} to ${flood.told('p99Us')} without Reframer, whose hold hides the rest.`,
    say`Keys that collide in a public hash leave the burst table’s lookups at ${ours?.times} their cost.`,
    say`Of ${all} aims ${aims.reached ?? 0} are reached, ${aims.missed ?? 0} missed and ${aims.undecided ?? 0} undecided.`,
    say`An attack on the link, the card or the memory bus is not seen.`,
  );
};
