// The commands on captures of hand-set bytes: exact figures, exact files.
import { writeFileSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { reframer, reframerJson, runProgram, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap, readPcap, type CapturedFrame } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const start = 1_700_000_000n * 1_000_000_000n;
const flows: Readonly<Record<string, number>> = { A: 1, B: 2, C: 3 };

/** One letter a packet, a microsecond apart. */
function capture(order: string, stepNs = 1000n): CapturedFrame[] {
  return [...order].map((flow, i) => ({
    // The payload tells packets of one flow apart.
    bytes: frame({ source: flows[flow] ?? 9, payload: 18 + i }),
    timeNs: start + BigInt(i) * stepNs,
  }));
}

const ababaac = capture('ABABAAC');
const small = folder.file('small.pcap');

beforeAll(() => {
  writeFileSync(small, pcap(ababaac));
});

interface Analyzed {
  files: {
    file: string;
    packets: number;
    flows: number;
    slf: number;
    durationSeconds: number;
    reuse: Record<string, number>;
  }[];
}

interface Reordered {
  packetsIn: number;
  packetsOut: number;
  slfIn: number;
  slfOut: number;
  holdMaxUs: number;
  holdP50Us: number;
  flowsReordered: number;
}

describe('analyze', () => {
  test('counts what is there', async () => {
    const { files } = await reframerJson<Analyzed>(['analyze', small]);
    expect(files).toHaveLength(1);
    const [found] = files;
    expect(found).toMatchObject({ file: small, packets: 7, flows: 3 });
    expect(found?.slf).toBeCloseTo(7 / 6, 9);
    expect(found?.durationSeconds).toBeCloseTo(6e-6, 12);
    expect(Object.values(found?.reuse ?? {}).map((share) => Math.round(share * 7))).toEqual([
      1, 4, 4, 4,
    ]);
  });

  test('says it in plain words', async () => {
    const { code, stdout } = await reframer(['analyze', small, small]);
    expect(code).toBe(0);
    expect(stdout.match(/7 packets of 3 flows/g)).toHaveLength(2);
    expect(stdout).toMatch(/64 µs/);
  });

  test('one damaged file of two: the sound one is reported, exit code 1, byte offset named', async () => {
    const cut = folder.file('cut.pcap');
    const whole = pcap(ababaac);
    writeFileSync(cut, whole.subarray(0, whole.length - 5));
    const { code, stdout, stderr } = await reframer(['analyze', small, cut, '--json']);
    expect(code).toBe(1);
    const result = JSON.parse(stdout) as Analyzed & {
      errors: { file: string; code: string; offset: number }[];
    };
    expect(result.files.map((f) => f.packets)).toEqual([7]);
    expect(result.errors).toMatchObject([{ file: cut }]);
    // The record that is cut begins after the header and six whole records.
    const offset = 24 + ababaac.slice(0, 6).reduce((sum, f) => sum + 16 + f.bytes.length, 0);
    expect(result.errors[0]?.offset).toBeGreaterThanOrEqual(offset);
    expect(result.errors[0]?.offset).toBeLessThanOrEqual(whole.length);
    expect(stderr).toContain(String(result.errors[0]?.offset));
    const kept = await reframer(['analyze', cut, '--keep-going', '--json']);
    expect((JSON.parse(kept.stdout) as Analyzed).files[0]?.packets).toBe(6);
  });
});

describe('reorder', () => {
  test('groups flows, keeps bytes, stamps departures', async () => {
    const out = folder.file('out.pcap');
    const result = await reframerJson<Reordered>(['reorder', small, out, '--delay', '64us']);
    expect(result).toMatchObject({ packetsIn: 7, packetsOut: 7, flowsReordered: 0 });
    expect(result.slfIn).toBeCloseTo(7 / 6, 9);
    expect(result.slfOut).toBeCloseTo(7 / 3, 9);
    expect(result.holdMaxUs).toBeGreaterThanOrEqual(64);
    expect(result.holdMaxUs).toBeLessThan(66);
    const written = readPcap(readFileSync(out));
    expect(written.linkType).toBe(1);
    const order = [0, 2, 4, 5, 1, 3, 6];
    expect(written.frames.map((f) => Buffer.from(f.bytes).toString('hex'))).toEqual(
      order.map((i) => Buffer.from(ababaac[i]?.bytes ?? []).toString('hex')),
    );
    const stamps = written.frames.map((f) => f.timeNs - start);
    expect(stamps).toEqual([...stamps].sort((x, y) => Number(x - y)));
    expect(stamps[0]).toBeGreaterThanOrEqual(64_000n);
    expect(stamps.at(-1)).toBeLessThan(72_000n);
  });

  test('one RX burst is grouped by itself; other keys group otherwise', async () => {
    const out = folder.file('burst.pcap');
    const burst = await reframerJson<Reordered>(['reorder', small, out, '--policy', 'burst']);
    expect(burst).toMatchObject({ packetsOut: 7, flowsReordered: 0 });
    expect(burst.slfOut).toBeCloseTo(7 / 3, 9);
    expect(burst.holdMaxUs).toBeLessThanOrEqual(64);
    const far = await reframerJson<Reordered>([
      'reorder',
      small,
      out,
      '--policy',
      'burst',
      '--delay',
      '1ns',
    ]);
    expect(far.slfOut).toBeCloseTo(7 / 6, 9);
    // All flows go to one destination: one group.
    const destination = await reframerJson<Reordered>([
      'reorder',
      small,
      out,
      '--key',
      'destination',
    ]);
    expect(readPcap(readFileSync(out)).frames.map((f) => f.bytes.length)).toEqual(
      ababaac.map((f) => f.bytes.length),
    );
    expect(destination.packetsOut).toBe(7);
  });

  test('a rate replaces the timing of the capture', async () => {
    const slow = folder.file('slow.pcap');
    writeFileSync(slow, pcap(capture('ABABAAC', 1_000_000n)));
    const out = folder.file('fast.pcap');
    const native = await reframerJson<Reordered>(['reorder', slow, out]);
    expect(native.slfOut).toBeCloseTo(7 / 6, 9);
    const fast = await reframerJson<Reordered>(['reorder', slow, out, '--rate', '40Gbps']);
    expect(fast.slfOut).toBeCloseTo(7 / 3, 9);
  });
});

describe('generate', () => {
  test.each(['campus', 'clients', 'uniform'])(
    '%s: the same seed gives the same file',
    async (profile) => {
      const files = ['1', '1', '2'].map((seed, i) => ({
        seed,
        path: folder.file(`${profile}-${i}.pcap`),
      }));
      for (const { seed, path } of files) {
        const limits = profile === 'campus' ? [] : ['--flows', '50'];
        const { code, stderr } = await reframer([
          'generate',
          path,
          '--profile',
          profile,
          '--packets',
          '2k',
          '--seed',
          seed,
          ...limits,
        ]);
        expect(stderr).toBe('');
        expect(code).toBe(0);
      }
      const [first, again, other] = files.map(({ path }) => readFileSync(path));
      expect(first?.equals(again ?? Buffer.alloc(0))).toBe(true);
      expect(first?.equals(other ?? Buffer.alloc(0))).toBe(false);
      const { files: analyzed } = await reframerJson<Analyzed>(['analyze', files[0]?.path ?? '']);
      expect(analyzed[0]?.packets).toBe(2000);
      if (profile !== 'campus') expect(analyzed[0]?.flows).toBe(50);
    },
  );

  test('campus with --flows: said, not refused and not silently ignored', async () => {
    const { code, stderr } = await reframer([
      'generate',
      folder.file('f.pcap'),
      '--profile',
      'campus',
      '--packets',
      '100',
      '--flows',
      '7',
      '--seed',
      '3',
    ]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/--flows changes nothing/);
  });

  test('clients: SLF is the interleave factor', async () => {
    const path = folder.file('interleave.pcap');
    await reframer([
      'generate',
      path,
      '--profile',
      'clients',
      '--flows',
      '100',
      '--packets',
      '8k',
      '--interleave',
      '8',
    ]);
    const { files } = await reframerJson<Analyzed>(['analyze', path]);
    expect(files[0]?.slf).toBeCloseTo(8, 6);
  });
});

describe('talk and data', () => {
  test('--help, --version, no arguments', async () => {
    expect((await reframer(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
    const bare = await reframer([]);
    expect(bare.code).toBe(0);
    for (const name of ['analyze', 'reorder', 'generate', 'bench', 'doctor', 'setup'])
      expect(bare.stdout).toContain(name);
  });

  test('doctor reports what is there as one document', async () => {
    const { ready, findings } = await reframerJson<{
      ready: boolean;
      findings: { name: string; found: boolean; brings: string }[];
    }>(['doctor']);
    expect(ready).toBe(true);
    const names = findings.map((finding) => finding.name);
    for (const name of [
      'Node',
      'Meson',
      'libpcap',
      'DPDK',
      'huge pages',
      'tshark',
      'Chromium',
      'fonts',
      'cores',
      'frequency governor',
      'steady clock',
      'native build',
    ]) {
      expect(names).toContain(name);
    }
    expect(findings.every((finding) => finding.brings.length > 0)).toBe(true);
    const lines = (await reframer(['doctor'])).stdout.split('\n');
    for (const { name, found, brings } of findings) {
      const state = found ? 'found' : 'missing';
      expect(
        lines.some(
          (line) => line.startsWith(state) && line.slice(state.length).trim().startsWith(name),
        ),
        name,
      ).toBe(true);
      expect(
        lines.some((line) => line === `${name} would bring: ${brings}`),
        name,
      ).toBe(!found);
    }
  });

  test('Ctrl-C ends the child and says so', async () => {
    const big = folder.file('big.pcap');
    const outcome = await reframer(
      ['generate', big, '--packets', '100M', '--profile', 'uniform', '--snaplen', '64', '--quiet'],
      {
        started: (kill) => setTimeout(() => kill('SIGINT'), 1500),
      },
    );
    expect(outcome.code).toBe(130);
    expect(outcome.stderr).toContain('SIGINT');
    const { stdout } = await runProgram('pgrep', ['-f', big]);
    expect(stdout).toBe('');
  });

  test('a reader that leaves is no error', async () => {
    const { code, stderr } = await runProgram('bash', [
      '-o',
      'pipefail',
      '-c',
      `node experiments/cli/reframer.mjs --help | head -1`,
    ]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
  });
});
