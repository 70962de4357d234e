// What hosts are told is quoted for any shell: sh is not bash, neither here nor as a login shell there.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { afterAll, afterEach, expect, test, vi } from 'vitest';

import { parseBed } from '../../experiments/testbed/bed.js';
import { hostOf } from '../../experiments/testbed/host.js';
import { openSession } from '../../experiments/testbed/session.js';
import { temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
afterEach(() => vi.unstubAllEnvs());

const odd = ['a b', "it's", '$HOME', 'back\\slash', '"', '*', ';', '', '-', 'ä', 'two\nlines'];

/** Takes a line of a shell as its last argument, as ssh does. */
function elsewhere(): ReturnType<typeof parseBed>['dut'] {
  const file = folder.file('elsewhere');
  writeFileSync(file, '#!/bin/sh\nexec sh -c "$1"\n');
  chmodSync(file, 0o755);
  const dut = { host: 'ssh:somebody@elsewhere', via: [file], in: 'net_null0' };
  return parseBed(JSON.stringify({ dut, tester: { tx: 'net_null0' } }), 'bed.json').dut;
}

const here = (port: string): ReturnType<typeof parseBed>['dut'] =>
  parseBed(JSON.stringify({ dut: { in: port }, tester: { tx: 'net_null0' } }), 'bed.json').dut;

test('words of a command come as they are', () => {
  const [command = '', ...args] = hostOf('dut', elsewhere()).command(['printf', '%s|', ...odd]);
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  expect(stdout).toBe(odd.map((word) => `${word}|`).join(''));
});

test('a file is copied into a folder of any name', async () => {
  const [from, to] = [folder.file('from'), folder.file("it's a $folder/copy")];
  writeFileSync(from, 'content');
  await hostOf('dut', elsewhere()).copy(from, to);
  expect(readFileSync(to, 'utf8')).toBe('content');
});

test('the socket of a memif goes where nobody has it bound, and stays where somebody has', async () => {
  const listening = (file: string): Promise<Server> =>
    new Promise((resolve) => {
      const server = createServer().listen(file, () => resolve(server));
    });
  const open = (file: string): Promise<unknown> => {
    const role = here(`net_memif0,role=server,id=0,socket=${file},socket-abstract=no`);
    const place = { role, host: hostOf('dut', role), environment: [], context: {} };
    return openSession({ ...place, program: '/bin/false' }, 'forward', {});
  };
  const bound = folder.file('bound.sock');
  const server = await listening(bound);
  await expect(open(bound)).rejects.toThrow(/^dut: /);
  expect(existsSync(bound)).toBe(true);
  // Node removes it at the end; a process that was killed does not.
  const left = folder.file('left.sock');
  spawnSync(process.execPath, [
    '-e',
    `require('node:net').createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  expect(existsSync(left)).toBe(true);
  await expect(open(left)).rejects.toThrow(/^dut: /);
  expect(existsSync(left)).toBe(false);
  await new Promise((resolve) => server.close(resolve));
});

test('a host that does not answer is given up, also where there is no ps', async () => {
  const file = folder.file('silent');
  writeFileSync(file, '#!/bin/sh\nexec /bin/sleep 600\n');
  chmodSync(file, 0o755);
  const silent = hostOf('dut', { ...elsewhere(), via: [file] });
  vi.stubEnv('PATH', folder.file('nothing'));
  await expect(silent.shell('true', 1)).rejects.toThrow(/no answer within 1 s$/);
});
