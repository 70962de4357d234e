// What set-up does about the native build, with tools that only say what they were asked for: libraries
// that come later, tests that cannot be built yet, Ctrl-C while a tool still writes.
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, temporaryFolder, type Outcome } from './helpers/cli.js';

const tools = {
  'c++': '',
  'pkg-config': '/bin/grep -qx "$2" "$F/modules" && echo 1.0',
  ninja: 'echo ninja >> "$F/log"; : > "$2/reframer-lab"',
  meson: `echo "meson $*" >> "$F/log"
if [ -e "$F/slow" ]; then
  trap ': > "$F/told"; while [ ! -e "$F/go" ]; do /bin/sleep 0.05; done; : > "$F/done"; exit 1' INT TERM HUP
  : > "$F/started"
  while :; do /bin/sleep 0.05; done
fi
[ "$1" = setup ] || exit 0
/bin/mkdir -p "$2/meson-private" "$2/meson-info"
: > "$2/build.ninja"; : > "$2/meson-private/coredata.dat"
echo '"name": "in_place", "value": true' > "$2/meson-info/intro-buildoptions.json"
echo "{\\"directories\\":{\\"source\\":\\"$3\\"}}" > "$2/meson-info/meson-info.json"`,
};
const needed = ['libpcap', 'zlib', 'liblzma', 'libzstd', 'nlohmann_json'];

let machine = temporaryFolder();
const package_ = (name: string): string => machine.file(`a project/node_modules/reframer/${name}`);
const header = (name: string): void => {
  const file = machine.file(`include/${name}`);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '');
};
const modules = (...names: readonly string[]): void =>
  writeFileSync(machine.file('modules'), [...needed, ...names, ''].join('\n'));

beforeEach(() => {
  machine = temporaryFolder();
  mkdirSync(machine.file('bin'));
  mkdirSync(package_('native'), { recursive: true });
  for (const name of ['setup.mjs', 'setup', 'meson.build'])
    cpSync(join(packageRoot, 'native', name), package_(`native/${name}`), { recursive: true });
  writeFileSync(package_('package.json'), '{"name":"reframer","version":"0.0.0"}');
  const requirements = package_('native/setup/requirements.mjs');
  const text = readFileSync(requirements, 'utf8');
  const folders = "['/usr/include', '/usr/local/include']";
  expect(text).toContain(folders);
  writeFileSync(requirements, text.replace(folders, JSON.stringify([machine.file('include')])));
  for (const [name, script] of Object.entries(tools)) {
    writeFileSync(machine.file(`bin/${name}`), `#!/bin/sh\n${script}\n`);
    chmodSync(machine.file(`bin/${name}`), 0o755);
  }
  symlinkSync(process.execPath, machine.file('bin/node'));
  header('tsl/robin_map.h');
  header('tsl/hopscotch_map.h');
  modules();
});
afterEach(() => machine.remove());

const setUp = (
  args: readonly string[] = [],
  started?: (kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Outcome> =>
  runProgram(process.execPath, [package_('native/setup.mjs'), ...args], {
    env: { PATH: machine.file('bin'), F: machine.path },
    ...(started === undefined ? {} : { started }),
  });
const log = (): string => readFileSync(machine.file('log'), 'utf8');
const times = (what: RegExp): number => log().match(what)?.length ?? 0;

test('a library that came after the build is built with', async () => {
  expect(await setUp()).toMatchObject({ code: 0 });
  expect(await setUp()).toEqual({ code: 0, stdout: '', stderr: '' });
  expect(times(/meson setup/g)).toBe(1);
  modules('libdpdk');
  const { code, stderr } = await setUp();
  expect([code, stderr]).toEqual([0, expect.stringContaining('found since the last build: DPDK')]);
  expect([times(/meson setup/g), times(/ninja/g)]).toEqual([2, 2]);
  expect(await setUp()).toEqual({ code: 0, stdout: '', stderr: '' });
});

test('tests that could not be built are built once they can be', async () => {
  expect(await setUp(['--tests'])).toMatchObject({ code: 0 });
  expect(log()).toContain('-Dtests=false');
  header('doctest/doctest.h');
  expect(await setUp(['--tests'])).toMatchObject({ code: 0 });
  expect(log()).toContain('-Dtests=true');
});

test('a set-up that is stopped ends behind its command, and gives the lock back then', async () => {
  const lock = package_('native/.setup.lock');
  const appeared = async (name: string): Promise<void> => {
    while (!existsSync(machine.file(name))) await setTimeout(20);
  };
  writeFileSync(machine.file('slow'), '');
  let stop: (signal: NodeJS.Signals) => void = () => undefined;
  const first = setUp([], (kill) => (stop = kill));
  await appeared('started');
  stop('SIGINT');
  await appeared('told');
  writeFileSync(machine.file('go'), '');
  const { code, stderr } = await first;
  expect([code, stderr]).toEqual([130, expect.stringContaining('stopped; run it again')]);
  expect([existsSync(machine.file('done')), existsSync(lock)]).toEqual([true, false]);
});
