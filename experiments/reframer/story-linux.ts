// What the report says of an unmodified Linux kernel behind Reframer, and of what a box in front costs.
import type { Facts, PointFacts, Say, Story } from '../core/story.js';
import { listed, say, together, when } from '../story/say.js';

const saved = 'kernelSaved';
const cost = 'kernelNs';

const at = (f: Facts, part: string, params: PointFacts['params']): PointFacts =>
  f.part(part).at(params);

/** "24 % less", "3 % more": of what is saved. */
const less = (value: number | undefined): string | undefined =>
  value === undefined
    ? undefined
    : `${Math.abs(value).toFixed(0)} % ${value < 0 ? 'more' : 'less'}`;

/** For the abstract of a run that has a kernel behind Reframer and no chain. */
export function behindLinux(f: Facts): string | undefined {
  const point = (contender: string): PointFacts =>
    at(f, 'linux', { function: 'firewall', flows: 256, contender });
  const [held, rows] = [point('64us'), point('rows of 16')];
  const own = at(f, 'linux-kernels', { function: 'firewall', flows: 256, contender: '64us' });
  return together(
    say`This run has an unmodified Linux kernel behind it. With connection tracking a segment costs its core ${point('interleaved').told(cost)} when the segments of 256 connections take turns, ${held.told(cost)} in the order of T = 64 µs (${less(held.value(saved))}) and ${rows.told(cost)} in rows of 16.`,
    say`That is ${less(own.value('overBest'))} than with the best of the kernel’s own settings.`,
  );
}

const linux: Story = {
  found: (f) => {
    const of = (fn: string, contender: string): PointFacts =>
      at(f, 'linux', { function: fn, flows: 256, contender });
    const held = of('firewall', '64us');
    const rows = of('firewall', 'rows of 16');
    /** The same three figures of another function, in the same order. */
    const also = (fn: string): string | undefined => {
      const [plain, here, most] = [of(fn, 'interleaved'), of(fn, '64us'), of(fn, 'rows of 16')];
      return say`${plain.bare(cost)}, ${here.bare(cost)} (${less(here.value(saved))}) and ${most.told(cost)} (${less(most.value(saved))})`;
    };
    return together(
      say`A kernel core that filters with connection tracking takes ${of('firewall', 'interleaved').told(cost)} a segment when the segments of 256 connections take turns, ${held.told(cost)} (${less(held.value(saved))}) in the order of T = 64 µs at 70 Gbps, and ${rows.told(cost)} (${less(rows.value(saved))}) in rows of 16.`,
      say`For routing alone it is ${also('forward')}.`,
      say`For bridging it is ${also('bridge')}.`,
      say`The reason is the kernel’s own merging (GRO): ${held.bare('segmentsPerMerged')} segments go through it as one packet.`,
      say`The order was formed beforehand, for ${held.bare('windowPackets')} packets in T; what forming it costs is not in these figures.`,
    );
  },
  figures: ['linux-saved'],
};

const kernels: Story = {
  found: (f) => {
    const flows = [16, 64, 256, 1024] as const;
    const of = (count: number, contender: string): PointFacts =>
      at(f, 'linux-kernels', { function: 'firewall', flows: count, contender });
    /** The cheapest of what the kernel does without Reframer. */
    const cheapest = (count: number): PointFacts | undefined =>
      f
        .part('linux-kernels')
        .points({ function: 'firewall', flows: count })
        .filter(({ params }) => !String(params.contender).startsWith('64us'))
        .sort((a, b) => (a.value(cost) ?? Infinity) - (b.value(cost) ?? Infinity))[0];
    const own = (count: number): string | undefined => {
      const best = cheapest(count);
      return best === undefined
        ? undefined
        : say`“${String(best.params.contender)}” with ${count} (${best.bare('segmentsPerMerged')} segments merged)`;
    };
    const each = (tell: (count: number) => string | undefined): string | undefined =>
      listed(flows.flatMap((count) => tell(count) ?? []));
    return together(
      say`Against the cheapest of the kernel’s own settings in the same trial, T = 64 µs before the kernel as it comes costs ${each((n) => say`${less(of(n, '64us').value('overBest'))} with ${n} connections`)}.`,
      say`Of its own the cheapest is ${each(own)}.`,
      say`Before all of its means together, T = 64 µs costs ${each((n) => say`${of(n, '64us, hash, 4 queues, timer').told(cost)} with ${n}`)}.`,
      say`A kernel that waits keeps no more than its buckets and one poll of 64 packets hold.`,
    );
  },
  figures: ['linux-kernels'],
};

/** Between what a box takes and what is saved behind it: how many kernels in a row pay for it. */
function price(f: Facts): string | undefined {
  const points = f.part('linux-window').points({ order: 'box in the path' });
  const beforehand = f.part('linux-window').points({ order: 'formed beforehand' });
  const last = points.at(-1);
  const [box, plain] = [last?.value('boxNs'), beforehand.at(-1)];
  const [ns, share] = [plain?.value(cost), plain?.value(saved)];
  if (box === undefined || ns === undefined || share === undefined) return undefined;
  // What it would cost without: ns = whole - saved.
  const savedNs = ns / (1 - share / 100) - ns;
  const pays = box < savedNs;
  return together(
    say`The price: the box’s core takes ${last?.told('boxNs')} a packet, so one core carries ${(1e3 / box).toFixed(2)} million a second, and it pays for itself from that saving a packet behind it.`,
    when(
      pays,
      say`Merging saves ${savedNs.toFixed(0)} ns: it pays with one kernel core behind it.`,
      savedNs > 0
        ? say`Merging saves ${savedNs.toFixed(0)} ns a kernel: it pays where ${Math.ceil(box / savedNs)} kernels in a row stand behind it, or where packets come to it at the price of a NIC’s driver.`
        : say`Merging saved nothing here: it does not pay.`,
    ),
    say`On cores of its own in front of a chain, fed by the virtual interface instead of AF_PACKET, it takes ${at(f, 'own-cores', { contender: '64us, 8 in front' }).told('frontNs')} a packet.`,
  );
}

const window: Story = {
  found: (f) => {
    const merged = (order: string): string | undefined =>
      listed(
        f
          .part('linux-window')
          .points({ order })
          .flatMap((p) => {
            const value = p.bare('segmentsPerMerged');
            return value === undefined ? [] : [`${value} of ${String(p.params.window)}`];
          }),
      );
    const live = f
      .part('linux-window')
      .points({ order: 'box in the path' })
      .flatMap((p) => p.value(saved) ?? []);
    return together(
      say`What counts is how many packets pass in T. Formed beforehand the kernel merges ${merged('formed beforehand')}, behind a box in the path ${merged('box in the path')}.`,
      say`Told to wait for that T itself, with the same hash in each packet, it merges ${merged('timer of T')} where it is always behind, and ${merged('box that forwards, timer of T')} at the pace of the box.`,
      when(
        live.length > 0 && Math.max(...live) <= 0,
        say`Live the kernel’s core saves nothing: at this pace it sleeps between packets, and a group that leaves the box wakes it as one packet did.`,
        say`Live the kernel’s core takes ${listed(live.flatMap((v) => less(v) ?? []))}; at this pace it sleeps between packets, and waking up is in every figure.`,
      ),
      price(f),
    );
  },
  figures: ['linux-window'],
};

const tcp: Story = {
  found: (f) => {
    const tell = (hash: string, words: string): string | undefined => {
      const point = (contender: string): PointFacts =>
        at(f, 'tcp', { connections: 64, hash, contender });
      /** Of a time that somebody waits: the receiver's, and the completion of 10 kB. */
      const changed = (contender: string): string | undefined => {
        const p = point(contender);
        return say`${signed(negative(p.value(saved)))} and ${signed(p.value('completionChange'))}`;
      };
      return together(
        say`${words} the receiver of 64 paced connections takes ${point('off').told('receiverNs')} a frame behind a box that only forwards, and responses of 10 kB take ${point('off').told('completion')}.`,
        say`A box that holds for T = 64 µs changes these by ${changed('64us')}, the receiver’s own timer of 64 µs by ${changed('timer of 64 µs')}.`,
        say`For 1 ms it is ${changed('1ms')} with the box, ${changed('timer of 1 ms')} with the timer.`,
        say`The adaptive policy, which may hold for 1 ms, changes them by ${changed('adaptive, up to 1 ms')}.`,
      );
    };
    const frames = at(f, 'tcp', { connections: 64, hash: 'stored', contender: '1ms' });
    return together(
      tell('stored', 'With a hash in each packet, as from a NIC,'),
      tell('none', 'Without a hash'),
      say`In T = 1 ms ${frames.bare('windowPackets')} frames pass here, where a wire of 70 Gbps brings thousands. Published on a testbed, at a T that is not: completion 11 % shorter, throughput 20 % more.`,
    );
  },
  figures: ['tcp-receiver'],
  table: {
    caption: 'Receivers of 64 connections with a NIC’s hash, by who lets segments wait.',
    where: { hash: 'stored' },
    names: { contender: 'who waits' },
    metrics: {
      receiverNs: 'receiver per frame',
      segmentsPerMerged: 'merged',
      completion: '10 kB take',
      goodput: 'goodput',
      resent: 'sent again',
    },
  },
};

const negative = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : -value;

/** "+3 %", "-11 %". */
function signed(value: number | undefined): string | undefined {
  if (value === undefined) return undefined;
  return `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(0)} %`;
}

export const linuxStories: Readonly<Record<string, Story>> = {
  linux,
  'linux-kernels': kernels,
  'linux-window': window,
  tcp,
};

export const linuxCaptions: Readonly<Record<string, Say>> = {
  'linux-saved': () =>
    say`Time of a kernel core that is always behind, saved by the order of its segments.`,
  'linux-kernels': () =>
    say`Time of a kernel core a segment, by the kernel’s own settings and by Reframer in front.`,
  'tcp-receiver': () =>
    say`Time of a receiver’s kernel and programs a frame, by who lets segments of 64 connections wait.`,
  'tcp-completion': () =>
    say`Median completion of responses of 10 kB, by who lets segments of 64 connections wait.`,
  'linux-window': () =>
    say`Segments that the kernel merges, by packets that pass in T: beforehand, live, and each by its own timer of the same T.`,
};
