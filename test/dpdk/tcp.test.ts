// Real TCP through the box, once: whether the experiment works, not what it measures.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { missingForTcp, type TcpOptions, type TcpTrial } from '../../experiments/cli/linux/tcp.js';
import { tcpRows, tcpTexts, type TcpRow } from '../../experiments/cli/linux/tcp-report.js';
import { parseWrk } from '../../experiments/cli/linux/web.js';
import { packageRoot } from '../../native/loader.js';
import { reframer, reframerJson, skipSuite } from '../helpers/cli.js';

test('what wrk prints is read with its units, and nothing answered is an error', () => {
  const text =
    'Running 1s test\n  Latency Distribution\n     50%    1.50ms\n     75%    2.00ms\n     90%  900.00us\n     99%    0.02s \n  100 requests in 1.00s, 1MB read\n  Socket errors: connect 1, read 2, write 0, timeout 3\nRequests/sec:    99.50\n';
  expect(parseWrk(text)).toEqual({
    requestsPerSecond: 99.5,
    medianUs: 1500,
    p99Us: 20_000,
    socketErrors: 6,
  });
  expect(() => parseWrk('Requests/sec: 0.00')).toThrow('no request was answered');
});

const mode = (
  senders: TcpTrial['senders'],
  contender: string,
  delayNs: number,
  ns: number,
): TcpTrial => ({
  senders,
  contender,
  waits: contender === 'off' ? 'none' : 'box',
  delayNs,
  goodputMbps: 1e6 / ns,
  completion: [{ bytes: 10_000, medianUs: 100 * ns, p99Us: 300 * ns }],
  receiverNs: ns,
  receiverPercent: 50,
  framesPerMerged: contender === 'off' ? 1 : 3,
  framesPerSecond: 5e4,
  windowPackets: delayNs / 2e4,
  ...(contender === 'off' ? {} : { slfIn: 1, slfOut: 3 }),
  boxNs: 2000,
  boxMissed: 0,
  retransmitted: 1,
  socketErrors: 0,
});

test('rows compare with the box that only forwards, trial beside trial', () => {
  // The machine becomes half as fast from the first round to the second, whatever the box does.
  const rows = tcpRows([
    mode('many', 'off', 0, 1000),
    mode('many', '1ms', 1e6, 800),
    mode('many', 'off', 0, 2000),
    mode('many', '1ms', 1e6, 1600),
    mode('windows', 'off', 0, 500),
  ]);
  expect(rows.map((row) => [row.senders, row.contender, row.trials])).toEqual([
    ['many', 'off', 2],
    ['many', '1ms', 2],
    ['windows', 'off', 1],
  ]);
  const [off, held, whole] = rows;
  expect(off?.receiverSavedPercent).toBeCloseTo(0, 9);
  expect(held?.receiverSavedPercent).toBeCloseTo(20, 9);
  expect(held?.goodputPercent).toBeCloseTo(25, 9);
  expect(held?.completion[0]?.medianPercent).toBeCloseTo(-20, 9);
  expect(held?.retransmitted).toBe(2);
  expect(held?.windowPackets).toBe(50);
  expect(whole?.receiverSavedPercent).toBeCloseTo(0, 9);
});

test('what is said of the best setting fits its sign, and the timer beside it is of the same T', () => {
  const options = { connections: 64, files: [10_000], queues: 4 } as unknown as TcpOptions;
  const timer = (delayNs: number, ns: number): TcpTrial => ({
    ...mode('many', `timer ${delayNs}`, delayNs, ns),
    waits: 'kernel',
  });
  const told = (ns: number): string =>
    tcpTexts(
      tcpRows([
        mode('many', 'off', 0, 1000),
        timer(64e3, 900),
        timer(1e6, 500),
        mode('many', '64us', 64e3, ns),
      ]),
      options,
    ).join('\n');
  expect(told(800)).toContain("64us saves most of the receiver's time a frame, 20 %");
  expect(told(800)).toContain('of as long changes it by -10 %');
  expect(told(1100)).toContain(
    "no setting of the box saves the receiver's time; 64us adds least, 10 %",
  );
});

test('wrong options are refused before anything is made', async () => {
  for (const [option, value] of [
    ['--cpus', '0'],
    ['--offered', 'native'],
    ['--driver', 'net_null'],
    ['--files', '1,2,3,4,5'],
    ['--hash', '17'],
  ] as const) {
    const outcome = await reframer(['bench', 'tcp', '--connections', '4', option, value]);
    expect(outcome.code, `${option} ${value}`).toBe(2);
    expect(outcome.stderr).toContain(option);
  }
});

const missing = [
  ...missingForTcp(),
  ...(existsSync(join(packageRoot, 'native/build/reframer-dpdk'))
    ? []
    : ['reframer-dpdk (needs libdpdk-dev)']),
];
if (missing.length > 0)
  skipSuite(`real TCP through \`reframer run\` was not tested; missing: ${missing.join(', ')}`);

test.skipIf(missing.length > 0)(
  'many senders and whole windows come through the box, with and without Reframer',
  { timeout: 120_000 },
  async () => {
    const { rows, trials } = await reframerJson<{ rows: TcpRow[]; trials: TcpTrial[] }>([
      ...['bench', 'tcp', '--rounds', '1', '--time', '1s', '--files', '2k,20k', '--quiet'],
      // Beside other tests the box has a tenth of a core.
      ...['--connections', '8', '--offered', '20Mbps', '--delays', '2ms', '--adaptive', '0ns'],
    ]);
    expect(rows.map((row) => `${row.senders} ${row.contender}`)).toEqual([
      ...['many off', 'many timer 2ms', 'many 2ms', 'windows off', 'windows 2ms'],
    ]);
    for (const trial of trials) {
      expect(trial.goodputMbps).toBeGreaterThan(0);
      expect(trial.completion.map(({ bytes }) => bytes)).toEqual([2000, 20_000]);
      for (const { medianUs } of trial.completion) expect(medianUs).toBeGreaterThan(0);
      // Two counters, read one after the other.
      expect(trial.framesPerMerged).toBeGreaterThan(0.9);
      expect(trial.boxNs).toBeGreaterThan(0);
    }
    const slf = (senders: string): number =>
      rows.find((row) => row.senders === senders && row.slfIn > 0)?.slfIn ?? Number.NaN;
    // A segment at a time, and not.
    expect(slf('many')).toBeLessThan(slf('windows'));
    const spaces = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' }).stdout;
    expect(spaces).not.toMatch(/^reframer-tcp-/m);
  },
);
