// Real TCP through the box, once: whether the experiment works, not what it measures.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { parseWrk } from '../../experiments/cli/linux/web.js';
import { missingForTcp, type TcpTrial } from '../../experiments/cli/tcp-bench.js';
import { packageRoot } from '../../native/loader.js';
import { reframer, skipSuite } from '../helpers/cli.js';

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

const missing = [
  ...missingForTcp(),
  ...(existsSync(join(packageRoot, 'native/build/reframer-dpdk'))
    ? []
    : ['reframer-dpdk (needs libdpdk-dev)']),
];
if (missing.length > 0) {
  skipSuite(`real TCP through \`reframer run\` was not tested; missing: ${missing.join(', ')}`);
} else {
  test(
    'nginx and wrk talk through the box, with and without Reframer',
    { timeout: 120_000 },
    async () => {
      const outcome = await reframer([
        'bench',
        'tcp',
        '--rounds',
        '1',
        // Beside other tests the box has a tenth of a core: responses that come through it all the same.
        '--time',
        '2s',
        '--file',
        '2k',
        '--connections',
        '8',
        '--quiet',
        '--json',
      ]);
      expect(outcome.stderr).toBe('');
      expect(outcome.code).toBe(0);
      const { trials } = JSON.parse(outcome.stdout) as {
        trials: { plain: TcpTrial[]; reframer: TcpTrial[] };
      };
      for (const trial of [...trials.plain, ...trials.reframer]) {
        expect(trial.requestsPerSecond).toBeGreaterThan(0);
        // Two counters, read one after the other.
        expect(trial.packetsPerAggregate).toBeGreaterThan(0.9);
      }
    },
  );
}
