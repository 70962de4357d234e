// What the report says of each part of the experiment `balancer`.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import type { Telling } from '../story/attach.js';
import { readPublished } from '../core/published.js';
import { say, together, when } from '../story/say.js';

const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

const times = (more: number | undefined, less: number | undefined): string | undefined =>
  more === undefined || less === undefined || less === 0 ? undefined : (more / less).toFixed(1);

const sum = (points: readonly PointFacts[], metric: string): number | undefined =>
  points.length === 0
    ? undefined
    : points.reduce((total, point) => total + (point.value(metric) ?? 0), 0);

/** Cycles of a whole path over those of the one by the NIC's hash, at the highest load. */
function publishedRatio(contender: string): string | undefined {
  const { rows } = readPublished('balancer-cost.csv');
  const cycles = (of: string): number | undefined => {
    const row = rows.find((each) => each['contender'] === of);
    return row === undefined ? undefined : Number(row['atMostLoadCycles']);
  };
  return times(cycles(contender), cycles('hash RSS'));
}

const cost: Story = {
  found: (f) => {
    const of = (contender: string, connections = 1_000_000): PointFacts =>
      at(f, 'cost', { contender, connections, slf: 1 });
    const cookie = of('cookie');
    const ratio = (contender: string, connections?: number): string | undefined =>
      times(
        of(contender, connections).value('nsPerPacket'),
        of('cookie', connections).value('nsPerPacket'),
      );
    return together(
      say`With a million connections a packet by cookie costs ${cookie.told('nsPerPacket')}, ${times(cookie.value('nsPerPacket'), of('rss-hash').value('nsPerPacket'))} times one by the hash that the NIC computed (${of('rss-hash').told('nsPerPacket')}).`,
      say`The balancer’s own hashing takes ${of('keyed-hash').told('nsPerPacket')}, its flow table ${of('tracker').told('nsPerPacket')}.`,
      say`By rte_hash, a key at a time, it costs ${ratio('rte-hash')} times as much as by cookie, and ${ratio('rte-hash-bulk')} times where the keys of a burst are looked up at once.`,
      say`With four million connections it is ${ratio('rte-hash', 4_000_000)} and ${ratio('rte-hash-bulk', 4_000_000)} times.`,
    );
  },
  figures: ['cost'],
};

const placement: Story = {
  found: (f) => {
    const of = (frames: string, contender: string): PointFacts =>
      at(f, 'placement', { frames, contender });
    const ratio = (frames: string): string | undefined =>
      times(of(frames, 'cookie').value('nsPerPacket'), of(frames, 'rss-hash').value('nsPerPacket'));
    return together(
      'The echo lies across the first two cache lines of an IPv4 frame that begins with a line, the addresses in the first.',
      say`Where frames begin 56 bytes behind a line, as they do with a mempool of that private size, one line has both: a packet by cookie then costs ${of('IPv4, one line', 'cookie').told('nsPerPacket')}, ${ratio('IPv4, one line')} times one by the NIC's hash, instead of ${of('IPv4, two lines', 'cookie').told('nsPerPacket')}, ${ratio('IPv4, two lines')} times.`,
      say`Over IPv6 both need two lines, and the cookie costs ${of('IPv6, two lines', 'cookie').told('nsPerPacket')}, ${ratio('IPv6, two lines')} times the hash.`,
      say`With what a program does around it, descriptors to buffers, the Ethernet header, buffers to descriptors, it is ${of('IPv4, in a program', 'cookie').told('nsPerPacket')} against ${of('IPv4, in a program', 'rss-hash').told('nsPerPacket')}, ${ratio('IPv4, in a program')} times; published for a path through FastClick: ${publishedRatio('Cheetah stateless')} times by cookie, ${publishedRatio('hash CRC')} by CRC and ${publishedRatio('stateful cuckoo table')} by a cuckoo table.`,
    );
  },
};

const changes: Story = {
  found: (f) => {
    const broken = (contender: string): string | undefined =>
      at(f, 'changes', { contender }).bare('broken');
    return together(
      say`By cookie ${broken('cookie')} connections break, by flow table ${broken('tracker')}.`,
      say`Maglev’s table breaks ${broken('maglev')}, a ring ${broken('ring')}, a hash modulo servers ${broken('hash')}.`,
    );
  },
  figures: ['changes'],
};

const policies: Story = {
  found: (f) => {
    const p99 = (contender: string): string | undefined =>
      at(f, 'policies', { contender, work: 'bimodal', load: 0.8 }).told('p99Ms');
    return together(
      say`At 80 % load with bimodal work p99 is ${p99('power-of-two')} by power of two, ${p99('least')} on the least loaded server, ${p99('round-robin')} in turn and ${p99('hash')} by hash.`,
      say`Where nothing is booked between two reports all connections flock to the server that was least loaded: ${p99('least unbooked')}.`,
    );
  },
  figures: ['policies'],
};

const cores: Story = {
  found: (f) => {
    const of = (contender: string, keys = 'own'): PointFacts =>
      at(f, 'cores', { contender, load: 0.5, servers: 'static RSS', keys });
    const withRsspp = (contender: string): PointFacts =>
      at(f, 'cores', { contender, load: 0.9, servers: 'RSS++', keys: 'own' });
    const best = (keys: string): number | undefined => {
      const others = ['hash', 'round-robin', 'power-of-two', 'least'].map((p) => of(p, keys));
      const values = others.flatMap((point) => point.value('coreVariance') ?? []);
      return values.length > 0 ? Math.min(...values) : undefined;
    };
    const ours = of('cross-rss');
    return together(
      say`At half the load the variance of utilisation over cores is ${ours.told('coreVariance')} by CrossRSS, and ${times(best('own'), ours.value('coreVariance'))} times that by the best of the other policies.`,
      say`Unbooked it is ${of('cross-rss unbooked').told('coreVariance')}.`,
      say`Where all servers have one RSS key it is ${of('cross-rss', 'same').told('coreVariance')}, and ${times(best('same'), of('cross-rss', 'same').value('coreVariance'))} times that by the best other: a flow's core on one server then tells its core on every other.`,
      say`Where each server runs RSS++, too, the two work against one another: at 90 % load ${withRsspp('cross-rss').told('dropPercent')} of packets are dropped by CrossRSS, ${withRsspp('least').told('dropPercent')} by the least loaded server.`,
    );
  },
  figures: ['cores', 'drops'],
};

const real: Story = {
  found: (f) => {
    const points = f.part('real').points();
    const broken = sum(points, 'broken');
    const changed = sum(points, 'changes');
    return together(
      say`${sum(points, 'bodies')} downloads and ${sum(points, 'requests')} requests of wrk went through ${changed} changes of the pool, iperf3 through all of them.`,
      when(
        broken !== undefined,
        when(broken === 0, 'None broke, and every body was whole.', say`${broken} broke.`),
      ),
    );
  },
};

const transport: Story = {
  found: (f) => {
    const point = at(f, 'transport', {});
    return together(
      say`A server that receives takes ${point.told('balancedReceiverRttMs')} for the round-trip time through the balancer, by the timestamps that come back, and ${point.told('directReceiverRttMs')} past it.`,
      when(
        point.value('optionsOff') === 0,
        'Window scale, SACK and ECN are the same, though SYN cookies kept them in timestamps.',
      ),
    );
  },
};

const loss: Story = {
  found: (f) => {
    const undone = (contender: string): string | undefined =>
      at(f, 'loss', { contender }).bare('undone');
    return say`Where losses are real the server takes ${undone('direct')} window cuts back by timestamps without a balancer, ${undone('balanced')} through this one, and ${undone('blurred')} where the low eight bits of echoes are lost.`;
  },
};

const quic: Story = {
  found: (f) => {
    const point = (contender: string): PointFacts => at(f, 'quic', { contender });
    return together(
      say`Of ${point('plain').bare('transfers')} transfers whose ports change under way ${point('plain').bare('broken')} break with plain and ${point('encrypted').bare('broken')} with encrypted connection ids.`,
      say`By addresses and ports alone ${point('none').bare('broken')} do.`,
    );
  },
};

const abstract: Say = (f) => {
  const cookie = at(f, 'cost', { contender: 'cookie', connections: 1_000_000, slf: 1 });
  return together(
    'A load balancer that writes a connection’s server into the timestamps that its client echoes keeps no state for it, and may choose servers by any policy.',
    say`A packet costs ${cookie.told('nsPerPacket')}.`,
    say`${at(f, 'changes', { contender: 'cookie' }).bare('broken')} connections break while a pool goes from 24 to 30 to 22 servers.`,
  );
};

export const balancerTelling: Telling = {
  abstract,
  stories: { cost, placement, changes, policies, cores, real, transport, loss, quic },
  captions: {},
};
