// The trial over DPDK ports against the one on the virtual NIC: with the same arrivals and a fixed
// cost of a packet, both engines must release, change and drop the same packets in the same order.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { expandPart } from '../../experiments/core/points.js';
import { dpdkPorts } from '../../experiments/reframer/dpdk-ports.js';
import { packageRoot } from '../../native/loader.js';
import { reframer, skipSuite, temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const build = join(packageRoot, 'native/build');
const capture = folder.file('in.pcap');

interface Checks {
  in: number;
  out: number;
  nfDropped: number;
  ringDropped: number;
  passed: boolean;
}

interface TrialRecord {
  checks: Checks & { ordered: boolean; orderChecked: number };
  throughputPps: number;
  slfOut: number | null;
  latencyNs: { p50: number; p99: number };
  ports?: { in: string; out: string; nicHash: boolean | null };
}

interface Answer {
  code: number;
  records: Record<string, unknown>[];
}

function run(program: string, job: string, spec: object): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const child = execFile(join(build, program), [job], (error, stdout) => {
      if (error && typeof error.code !== 'number') return reject(new Error(error.message));
      const records = stdout
        .trim()
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>);
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, records });
    });
    child.stdin?.end(JSON.stringify(spec));
  });
}

async function trial(program: string, spec: object): Promise<TrialRecord> {
  const { code, records } = await run(program, 'trial', spec);
  expect(records.at(-1), JSON.stringify(records)).not.toHaveProperty('error');
  expect(code).toBe(0);
  return records[0] as unknown as TrialRecord;
}

/** The frames of a pcap file as both engines write it: little-endian, a header of 16 bytes each. */
function framesOf(file: string): string[] {
  const bytes = readFileSync(file);
  const out: string[] = [];
  for (let at = 24; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 8);
    out.push(bytes.toString('latin1', at + 16, at + 16 + length));
    at += 16 + length;
  }
  return out;
}

if (!existsSync(join(build, 'reframer-dpdk'))) {
  skipSuite(
    'reframer-dpdk was not built (libdpdk-dev is missing): trials over DPDK were not tested',
  );
} else {
  describe('trials over DPDK', { timeout: 60_000 }, () => {
    beforeAll(async () => {
      expect(
        (
          await reframer([
            'generate',
            capture,
            '--packets',
            '4000',
            '--rate',
            '20Gbps',
            '--seed',
            '5',
            '--quiet',
          ])
        ).code,
      ).toBe(0);
    });

    // Some 3,500 packets; 0.7 of what the core can do, and then 1.4, where the ring is never empty.
    const common = {
      form: 'run',
      chain: 'paper',
      rules: 200,
      denyShare: 0.1,
      tableFlows: 0,
      queues: 1,
      ringDepth: 1024,
      releaseMax: 64,
      learnNs: 0,
      warmupNs: 0,
      seed: 11,
      source: { file: capture, timing: 'rate' },
    };
    const cases = {
      off: { policy: 'off', offeredBps: 40e9, durationNs: 700_000, serviceNs: 150 },
      'burst, overload': { policy: 'burst', offeredBps: 40e9, durationNs: 300_000, serviceNs: 300 },
      'T = 20 us': {
        policy: 'fixed',
        delayNs: 20_000,
        offeredBps: 40e9,
        durationNs: 700_000,
        serviceNs: 150,
      },
      'T = 100 us, early release': {
        policy: 'fixed',
        delayNs: 100_000,
        early: ['fin', 'rst', 'psh'],
        offeredBps: 40e9,
        durationNs: 700_000,
        serviceNs: 150,
      },
      // Without hashes, the stage reads headers some packets late where no policy needs them, and the DPDK library reads them itself.
      'T = 64 us, symmetric, per packet': {
        policy: 'fixed',
        bypass: ['syn'],
        key: 'symmetric',
        form: 'packet',
        chain: 'modern',
        offeredBps: 40e9,
        durationNs: 700_000,
        serviceNs: 150,
      },
    };

    test.each(Object.entries(cases))(
      'both engines release the same packets in the same order: %s',
      async (name, own) => {
        const file = (what: string): string =>
          folder.file(`${Object.keys(cases).indexOf(name)}-${what}.pcap`);
        const spec = { ...common, ...own };
        const [virtual, pcap, ring] = await Promise.all([
          trial('reframer-lab', {
            ...spec,
            dma: 'dram',
            dump: { file: file('virtual'), packets: 100_000 },
          }),
          trial('reframer-dpdk', {
            ...spec,
            port: { in: `net_pcap0,rx_pcap=${capture},tx_pcap=${file('pcap')}`, clock: 'logical' },
          }),
          trial('reframer-dpdk', {
            ...spec,
            port: {
              in: 'net_ring0',
              feed: 'net_ring0',
              out: `net_pcap0,rx_pcap=${capture},tx_pcap=${file('ring')}`,
              clock: 'logical',
            },
          }),
        ]);
        const expected = framesOf(file('virtual'));
        expect(expected.length).toBeGreaterThan(1000);
        expect(expected.length).toBe(virtual.checks.out);
        expect(virtual.checks.nfDropped).toBeGreaterThan(0);
        for (const [what, record] of [
          ['pcap', pcap],
          ['ring', ring],
        ] as const) {
          const frames = framesOf(file(what));
          expect(frames.length, what).toBe(expected.length);
          expect(
            frames.findIndex((frame, i) => frame !== expected[i]),
            what,
          ).toBe(-1);
          for (const key of ['in', 'out', 'nfDropped', 'ringDropped'] as const)
            expect(record.checks[key], key).toBe(virtual.checks[key]);
          expect(record.latencyNs).toMatchObject({
            p50: virtual.latencyNs.p50,
            p99: virtual.latencyNs.p99,
          });
          expect(record.throughputPps).toBeCloseTo(virtual.throughputPps, 0);
        }
        // The order is that of release, not of arrival.
        if (own.policy === 'fixed') expect(pcap.slfOut).toBeGreaterThan(1.2);
      },
    );

    test('in real time: a ring that is fed by the clock, with its hash, and a capture to its end', async () => {
      const [ring, file] = await Promise.all([
        trial('reframer-dpdk', {
          policy: 'fixed',
          delayNs: 64_000,
          chain: 'modern',
          form: 'run',
          queues: 8,
          tableFlows: 0,
          learnNs: 1_000_000,
          warmupNs: 1_000_000,
          durationNs: 20_000_000,
          offeredBps: 4e9,
          port: { in: 'net_ring0', feed: 'net_ring0', out: 'net_null0' },
        }),
        trial('reframer-dpdk', {
          policy: 'adaptive',
          delayNs: 64_000,
          chain: 'modern',
          queues: 1,
          tableFlows: 0,
          warmupNs: 0,
          durationNs: 3_000_000_000,
          port: { in: `net_pcap0,rx_pcap=${capture}`, out: 'net_null0' },
        }),
      ]);
      expect(ring.checks).toMatchObject({ passed: true, ordered: true });
      expect(ring.checks.orderChecked).toBeGreaterThan(0);
      expect(ring.ports).toMatchObject({ in: 'net_ring', out: 'net_null', nicHash: true });
      expect(file.checks).toMatchObject({ passed: true, in: 4000 });
      expect(file.ports).toMatchObject({ in: 'net_pcap', nicHash: false });
    });

    // A network of its own, gone with the process.
    // The kernel keeps silent there.
    const inOwnNetwork =
      'for i in all default; do echo 1 > /proc/sys/net/ipv6/conf/$i/disable_ipv6; done; ip link add va type veth peer name vb && ip link set va up && ip link set vb up && exec "$0" "$@"';
    const mayIsolate =
      spawnSync('unshare', ['-n', 'sh', '-c', 'ip link add va type veth peer name vb']).status ===
      0;
    if (!mayIsolate)
      skipSuite('trials over af_packet and af_xdp were not tested: needs root and ip');
    test.skipIf(!mayIsolate).each(['af_packet', 'af_xdp'])(
      '%s on a veth pair (needs root and ip)',
      async (kind) => {
        const spec = {
          policy: 'fixed',
          delayNs: 64_000,
          chain: 'modern',
          form: 'run',
          queues: 8,
          tableFlows: 0,
          learnNs: 0,
          warmupNs: 1_000_000,
          durationNs: 30_000_000,
          offeredBps: 1e9,
          port: { in: `net_${kind}0,iface=va`, feed: `net_${kind}1,iface=vb`, out: 'net_null0' },
        };
        const { stdout } = spawnSync(
          'unshare',
          ['-n', 'sh', '-c', inOwnNetwork, join(build, 'reframer-dpdk'), 'trial'],
          { input: JSON.stringify(spec), encoding: 'utf8' },
        );
        const record = JSON.parse(stdout.split('\n')[0] ?? '') as TrialRecord;
        expect(record.checks).toMatchObject({ passed: true, ordered: true, foreign: 0 });
        expect(record.checks.out).toBeGreaterThan(20);
        expect(record.ports).toMatchObject({
          in: `net_${kind}`,
          feed: `net_${kind}`,
          out: 'net_null',
        });
      },
    );

    test('the experiment asks for what the program understands', async () => {
      const part = dpdkPorts(
        { profile: 'quick', seed: 1, traces: [{ name: 'in', file: capture, sha256: '' }] },
        { durationNs: 1e6, warmupNs: 1e6, learnNs: 1e6 },
      );
      const points = expandPart(part, {
        experiment: 'reframer',
        seed: 1,
        binary: '',
        traces: [],
      }).flatMap((setting) => setting.points.map(({ params }) => params));
      expect(new Set(points.map(({ port }) => port))).toHaveProperty('size', 4);
      for (const params of points.filter(
        ({ contender, form }) => contender === '64us' && form === 'run',
      )) {
        expect(
          await run('reframer-dpdk', 'trial', { ...part.spec(params), checkOnly: true }),
        ).toEqual({ code: 0, records: [{ accepted: true }] });
      }
    });

    test('a specification that cannot be met says so', async () => {
      const refused = async (spec: object): Promise<string> => {
        const { code, records } = await run('reframer-dpdk', 'trial', spec);
        expect(code).toBe(2);
        return (records[0] as { error: { message: string } }).error.message;
      };
      expect(await refused({})).toContain('port is missing');
      expect(await refused({ port: {} })).toContain('port.in is missing');
      expect(await refused({ port: { in: 'net_null0' }, dma: 'llc' })).toContain(
        'dma belongs to the virtual NIC',
      );
      expect(await refused({ port: { in: 'net_null0' }, serviceNs: 5 })).toContain(
        "goes with clock 'logical' only",
      );
      expect(await refused({ port: { in: 'net_null0', clock: 'logical' } })).toContain(
        "must be given with clock 'logical'",
      );
      expect(
        await refused({
          port: { in: 'net_null0', clock: 'logical' },
          serviceNs: 5,
          policy: 'adaptive',
        }),
      ).toContain('adaptive measures');
    });
  });
}
