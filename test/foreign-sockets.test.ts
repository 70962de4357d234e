// What others say over sockets, or could: requests to the metrics page, telemetry that is none. Nothing
// hangs, no terminal is spoken to.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';

import { serveMetrics } from '../experiments/cli/metrics.js';
import { packageRoot } from '../native/loader.js';
import { oneLine, reframer, skipSuite, temporaryFolder } from './helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

describe('the metrics page', () => {
  async function say(port: number, bytes: string | Buffer): Promise<string> {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    socket.on('error', () => undefined);
    socket.end(bytes);
    await new Promise((resolve) => socket.on('close', resolve));
    return answer;
  }
  const get = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`;

  test('no request ends it', { timeout: 60_000 }, async () => {
    let fails = false;
    const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, () => {
      if (fails) throw new Error('no page');
      return 'a 1\n';
    });
    const port = Number(new URL(server.url).port);
    try {
      for (const path of [
        '//',
        'http://[',
        'http://',
        '/\\',
        '/%',
        '*',
        '/metrics/',
        `/${'x'.repeat(200_000)}`,
        'http://x/metrics',
      ])
        await say(port, get(path));
      for (const bytes of [
        '\r\n\r\n',
        Buffer.from([0x16, 3, 1, 2, 0]),
        'CONNECT a:1 HTTP/1.1\r\n\r\n',
        'GET /metrics HTTP/9.9\r\n\r\n',
        get('/metrics').replace('GET', 'POST'),
      ])
        await say(port, bytes);
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 60 }), async (path) => {
          await say(port, get(path));
        }),
        { numRuns: 100 },
      );
      expect(await say(port, get('/metrics'))).toMatch(/^HTTP\/1\.1 200 [^]*\r\na 1\n/);
      expect(await say(port, get('/metrics?x=//'))).toMatch(/^HTTP\/1\.1 200 /);
      expect(await say(port, get('//'))).toMatch(/^HTTP\/1\.1 404 /);
      fails = true;
      expect(await say(port, get('/metrics'))).toMatch(/^HTTP\/1\.1 400 /);
      fails = false;
      expect(await say(port, get('/metrics'))).toMatch(/^HTTP\/1\.1 200 /);
    } finally {
      server.close();
    }
  });
});

// A program with a telemetry socket: Node has no SOCK_SEQPACKET.
const program = `
import json, os, socket, sys
path, kind = sys.argv[1], sys.argv[2]
server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
server.bind(path)
server.listen(1)
print('ready', flush=True)
client, _ = server.accept()
if kind == 'silent':
    client.recv(10)
    sys.exit()
odd = json.loads(sys.argv[3])
client.send(json.dumps({'version': 'DPDK \\x1b[31m', 'pid': 'x', 'max_output_len': 1}).encode())
while True:
    command = client.recv(1000)
    if not command:
        break
    client.send(json.dumps(odd).encode())
`;

if (
  spawnSync('python3', ['-c', '1']).status !== 0 ||
  !existsSync(join(packageRoot, 'native/build/reframer-lab'))
) {
  skipSuite('`top` beside odd telemetry was not tested: needs python3 and the native build');
} else {
  describe('telemetry of others', { timeout: 60_000 }, () => {
    async function top(
      kind: string,
      odd: unknown,
    ): Promise<{ stderr: string; stdout: string; code: number | null }> {
      const socket = folder.file(`telemetry-${Math.random()}`);
      const child = spawn('python3', ['-c', program, socket, kind, JSON.stringify(odd)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      try {
        await new Promise((resolve) => child.stdout.once('data', resolve));
        return await reframer(['top', '--socket', socket, '--once']);
      } finally {
        child.kill();
      }
    }

    test('one that says nothing is left after five seconds', async () => {
      const start = Date.now();
      oneLine(await top('silent', null), /does not answer within 5 s/);
      expect(Date.now() - start).toBeLessThan(20_000);
    });

    test.each([
      [null],
      [7],
      ['text'],
      [[1, 2]],
      [{ a: null }],
      [{ a: [null, {}, [], 'x\u001b[31m', 3] }],
      [{ a: { name: {}, port: 'x', loads_permille: 'x', owners: {} } }],
    ])('an answer %j is no reason to fail', async (odd) => {
      const { code, stdout, stderr } = await top('odd', odd);
      expect(stderr).toBe('');
      expect(code).toBe(0);
      expect(stdout).not.toContain('\u001b');
    });
  });

  test('top takes no path for a file prefix', async () => {
    const { code, stderr } = await reframer(['top', '--file-prefix', '../../tmp/x']);
    expect(code).toBe(2);
    expect(stderr).toContain('--file-prefix');
  });

  const root = process.getuid?.() === 0 && !existsSync('/var/run/dpdk/reframer-foreign');
  if (!root) skipSuite('sockets of other users were not tested: needs root');
  test.skipIf(!root)('a socket that another user put into /tmp/dpdk is left alone', async () => {
    const path = '/tmp/dpdk/reframer-foreign';
    const made = !existsSync('/tmp/dpdk');
    spawnSync('mkdir', ['-p', path]);
    try {
      writeFileSync(join(path, 'dpdk_telemetry.v2'), '');
      spawnSync('chown', ['-R', '65534', path]);
      const { code, stderr } = await reframer(['top', '--file-prefix', 'reframer-foreign']);
      expect(code).toBe(3);
      expect(stderr).toContain("is another user's and was left alone");
    } finally {
      spawnSync('rm', ['-r', path]);
      if (made) spawnSync('rmdir', ['/tmp/dpdk']);
    }
  });
}
