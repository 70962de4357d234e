// A bed is run to its end: two processes with a memif between them, two namespaces with a veth pair,
// testers of others. Counts of both sides agree, or say that they do not; the report says what carried
// them, and a run that was interrupted goes on.
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { missingPrograms, Spaces } from '../../experiments/cli/linux/spaces.js';
import { openRun } from '../../experiments/core/runs.js';
import { writeReport } from '../../experiments/report/write.js';
import { packageRoot } from '../../native/loader.js';
import { processors } from '../helpers/bed.js';
import { reframer, skipSuite, temporaryFolder } from '../helpers/cli.js';
import { feederWire } from './feeder-wire.js';
import { brief, expectSound, measure, samplesOf } from './measure.js';
import { pktgenPeer, trexPeer } from './peers.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const memif = (role: 'server' | 'client', socket: string): string =>
  `net_memif0,role=${role},id=0,socket=${socket},socket-abstract=no`;

function memifBed(name: string, tester: object = {}): object {
  const socket = folder.file(`${name}.sock`);
  return {
    linkGbps: 0.1,
    dut: { in: memif('server', socket), queues: 2 },
    tester: { tx: memif('client', socket), queues: 2, ...tester },
  };
}

if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk')) || processors < 2) {
  skipSuite('beds were not run: they need reframer-dpdk and two processors');
} else {
  describe('a bed over memif', () => {
    test('in-chain is interrupted, goes on, and ends with a report of that engine', async () => {
      const bed = memifBed('resumed');
      const cut = await measure(folder, brief('reframer'), bed, ['in-chain'], { stopAfter: 2 });
      expect(cut.complete).toBe(false);
      const before = samplesOf(cut.out);
      const whole = await measure(folder, brief('reframer'), bed, ['in-chain'], { out: cut.out });
      expect(whole.complete).toBe(true);
      const samples = samplesOf(whole.out);
      expect(samples.slice(0, before.length)).toEqual(before);
      expect(samples.length).toBeGreaterThan(before.length);
      expectSound(samples);
      for (const { record } of samples) expect(record.tester.outOfOrder).toBe(0);
      // A third time there is nothing left.
      expect(
        await measure(folder, brief('reframer'), bed, ['in-chain'], { out: cut.out }),
      ).toMatchObject({
        complete: true,
        reused: 2,
      });
      writeReport(openRun(whole.out), brief('reframer'));
      const report = readFileSync(join(whole.out, 'report.md'), 'utf8');
      expect(report).toContain('on a bed');
      expect(report).not.toMatch(/simulated|virtual clock/);
      expect(readFileSync(join(whole.out, 'points.csv'), 'utf8')).toContain('testbed');
      expect(existsSync(join(whole.out, 'figures', 'bed-in-chain.svg'))).toBe(true);
    });

    test('load, own-core and cores run, each with the queues it asks for', async () => {
      const { out, complete } = await measure(folder, brief('reframer'), memifBed('parts'), [
        'load',
        'own-core',
        'cores',
      ]);
      expect(complete).toBe(true);
      const samples = samplesOf(out);
      expectSound(samples);
      expect(new Set(samples.map(({ part }) => part))).toEqual(
        new Set(['load', 'own-core', 'cores']),
      );
      expect(new Set(samples.filter((s) => s.part === 'cores').map((s) => s.record.lanes))).toEqual(
        new Set([1, 2]),
      );
    });

    test('rsspp: latency, imbalance and autoscale run', async () => {
      const { out, complete } = await measure(folder, brief('rsspp'), memifBed('rsspp'), []);
      expect(complete).toBe(true);
      const samples = samplesOf(out);
      expectSound(samples);
      expect(new Set(samples.map(({ part }) => part))).toEqual(
        new Set(['latency', 'imbalance', 'autoscale']),
      );
      const moves = samples.map(({ record }) => Number(record.moves));
      expect(Math.max(...moves)).toBeGreaterThan(0);
    });

    test('the highest rate without loss is found by bisection, and counts only what was offered', async () => {
      // More than the two ends of this bed carry together on two processors: the tester stays behind.
      const bed = { ...memifBed('search'), linkGbps: 80 };
      const { out, complete } = await measure(folder, brief('reframer'), bed, ['zero-loss']);
      expect(complete).toBe(true);
      const fastest = samplesOf(out).filter(({ record }) => Number(record.askedBps) > 78e9);
      expect(fastest.length).toBeGreaterThan(0);
      for (const { record } of fastest) {
        expect(record.tester).toMatchObject({ reached: false });
        expect(record.notCarriedShare).toBeGreaterThan(0.1);
      }
      expect(readFileSync(join(out, 'journal.jsonl'), 'utf8')).toContain('"tester-behind"');
    });

    test.each([
      ['trex', trexPeer],
      ['pktgen', pktgenPeer],
    ] as const)('a part runs with %s as its tester', async (kind, peerOf) => {
      const socket = folder.file(`${kind}.sock`);
      const wire = feederWire(memif('client', socket));
      const peer = await peerOf(wire);
      try {
        const { out, complete } = await measure(
          folder,
          brief('reframer'),
          {
            linkGbps: 0.1,
            dut: { in: memif('server', socket), queues: 1 },
            tester: { kind, tx: '0', rx: '1', address: peer.address },
          },
          ['in-chain'],
        );
        expect(complete).toBe(true);
        expectSound(samplesOf(out));
        expect(peer.state()).toEqual({ sends: false, owned: 0 });
      } finally {
        await wire.close();
        await peer.close();
      }
    });
  });
}

const missing = missingPrograms({ ip: 'iproute2', ethtool: 'ethtool' });
if (!existsSync(join(packageRoot, 'native/build/reframer-dpdk')) || missing.length > 0) {
  skipSuite(`a bed of namespaces was not run: needs reframer-dpdk, ${missing.join(', ')}`);
} else {
  describe('a bed of two namespaces', () => {
    const withSpaces = async (
      work: (names: { dut: string; tester: string }) => Promise<void>,
    ): Promise<void> => {
      const spaces = new Spaces('reframer-bed-', ['dut', 'tester']);
      try {
        for (const place of ['dut', 'tester'] as const)
          // Its own announcements would be packets that nobody sent.
          spaces.in(
            place,
            ...['sysctl', '-qw', 'net.ipv6.conf.all.disable_ipv6=1'],
            'net.ipv6.conf.default.disable_ipv6=1',
          );
        spaces.link('dut', 'veth-dut', 'tester', 'veth-tester');
        await work({ dut: spaces.name('dut'), tester: spaces.name('tester') });
      } finally {
        spaces.close();
      }
    };

    test('af_packet over a veth pair: every packet is accounted for', () =>
      withSpaces(async ({ dut, tester }) => {
        const { out, complete } = await measure(
          folder,
          brief('reframer'),
          {
            linkGbps: 0.02,
            dut: { host: `namespace:${dut}`, in: 'af_packet:veth-dut', queues: 2 },
            tester: { host: `namespace:${tester}`, tx: 'af_packet:veth-tester', queues: 2 },
          },
          ['in-chain'],
        );
        expect(complete).toBe(true);
        expectSound(samplesOf(out));
      }));

    const noReplay = missingPrograms({ tcpreplay: 'tcpreplay' });
    if (noReplay.length > 0) skipSuite(`tcpreplay was not run: needs ${noReplay.join(', ')}`);
    test.skipIf(noReplay.length > 0)('tcpreplay: a capture goes through the device', () =>
      withSpaces(async ({ dut, tester }) => {
        mkdirSync(folder.file('captures'), { recursive: true });
        const capture = join(folder.file('captures'), 'campus.pcap');
        const made = await reframer(['generate', capture, '--packets', '2000', '--quiet']);
        expect(made.code).toBe(0);
        const { out, complete } = await measure(
          folder,
          brief('reframer'),
          {
            linkGbps: 0.02,
            dut: { host: `namespace:${dut}`, in: 'af_packet:veth-dut' },
            tester: { host: `namespace:${tester}`, kind: 'tcpreplay', tx: 'veth-tester', capture },
          },
          ['in-chain'],
        );
        expect(complete).toBe(true);
        expectSound(samplesOf(out));
      }),
    );
  });
}
