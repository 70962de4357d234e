// The package in an empty project: with its platform package it runs without a compiler; without, it
// says what to do.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot, platformPackage } from '../native/loader.js';
import { runProgram, skipSuite, temporaryFolder } from './helpers/cli.js';

const manifest = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
};
const project = temporaryFolder();
afterAll(() => project.remove());

const program = `
import { Reframer } from 'reframer/reframer';
import { writeCapture, openCapture } from 'reframer';
const writer = writeCapture('out.pcap');
writer.write({ data: new Uint8Array(60) });
await writer.close();
for await (const burst of openCapture('out.pcap')) if (burst.count !== 1) throw new Error('lost');
const reframer = new Reframer({ delayNs: 1000 });
reframer.push([1, 2, 1].map((flow) => ({ hash: flow, data: new Uint8Array(60) })), 0);
console.log(reframer.poll(1000).runs.map((run) => run.count).join(' '));
`;

async function unpack(tarball: string, name: string): Promise<void> {
  const target = project.file(`node_modules/${name}`);
  mkdirSync(target, { recursive: true });
  const { code, stderr } = await runProgram('tar', [
    '-xzf',
    tarball,
    '--strip-components=1',
    '-C',
    target,
  ]);
  expect(stderr).toBe('');
  expect(code).toBe(0);
}

if (process.platform !== 'linux' || process.arch !== 'x64')
  skipSuite('the platform package was not tested: it is for Linux on x86-64');

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
  'an empty project',
  { timeout: 60_000 },
  () => {
    beforeAll(async () => {
      writeFileSync(
        project.file('package.json'),
        '{"name":"project","private":true,"type":"module"}',
      );
      writeFileSync(project.file('main.mjs'), program);
      const { stdout, code } = await runProgram('npm', [
        'pack',
        '--ignore-scripts',
        '--silent',
        '--pack-destination',
        project.path,
      ]);
      expect(code).toBe(0);
      await unpack(project.file(stdout.trim()), 'reframer');
      // As npm would put them; the suite does not ask a registry.
      for (const name of ['koffi', '@koromix'])
        symlinkSync(join(packageRoot, 'node_modules', name), project.file(`node_modules/${name}`));
    }, 60_000);

    const run = (): ReturnType<typeof runProgram> =>
      runProgram(process.execPath, ['main.mjs'], {
        cwd: project.path,
        env: { REFRAMER_LIBRARY: '' },
      });

    test('without a native part: an error with a code, every place looked at, and the next step', async () => {
      const { code, stderr } = await run();
      expect(code).toBe(1);
      expect(stderr).toContain("code: 'native-missing'");
      expect(stderr).toContain(`${platformPackage}: not installed`);
      expect(stderr).toContain('npx reframer setup');
    });

    test('the command line says in a line what to install, and runs with that', async () => {
      const command = project.file('node_modules/reframer/experiments/cli/reframer.mjs');
      const ask = (...words: string[]): ReturnType<typeof runProgram> =>
        runProgram(process.execPath, [command, ...words], { cwd: project.path });
      const peers = Object.entries(manifest.peerDependencies);
      let packages: string[] = [];
      for (const words of [['--help'], ['list'], ['analyze', 'out.pcap']]) {
        const { code, stdout, stderr } = await ask(...words);
        const [, named = ''] =
          /^reframer: the command line needs .*; run `npm install (.+)`\n$/.exec(stderr) ?? [];
        packages = named.split(' ');
        expect(packages, stderr).toHaveLength(peers.length);
        expect([stdout, code]).toEqual(['', 3]);
      }
      const asked = packages.map((word) => /^(.+)@([\d.]+)$/.exec(word)?.slice(1) ?? []);
      // Of each the newest of its major version, which is in the peer's range.
      expect(asked.map(([name]) => name)).toEqual(peers.map(([name]) => name));
      asked.forEach(([, version = '?'], i) =>
        expect(`${peers[i]?.[1]}.`.startsWith(`^${version}.`)).toBe(true),
      );
      // As npm would put them, with what they need themselves.
      for (const entry of readdirSync(join(packageRoot, 'node_modules')))
        if (!existsSync(project.file(`node_modules/${entry}`)) && !entry.startsWith('.'))
          symlinkSync(
            join(packageRoot, 'node_modules', entry),
            project.file(`node_modules/${entry}`),
          );
      const { code, stdout, stderr } = await ask('--help');
      expect([stderr, code]).toEqual(['', 0]);
      expect(stdout).toContain('analyze');
    });

    // What files hold, as npm tells of a package; folders and disk blocks depend on where they lie.
    test('the package, koffi and the prebuilt libraries take less than 10 MB', async () => {
      const { stdout } = await runProgram('du', [
        '-sLb',
        project.file('node_modules/reframer'),
        join(packageRoot, 'native/build/libreframer.so'),
        join(packageRoot, 'native/build/libreframer_capture.so'),
        project.file('node_modules/koffi'),
        join(packageRoot, 'node_modules/@koromix/koffi-linux-x64'),
      ]);
      const sizes = stdout
        .trim()
        .split('\n')
        .map((line) => Number(line.split('\t')[0]));
      expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(10_000_000);
    });

    test('the package of the command line names what the package has as peers', async () => {
      const made = await runProgram(process.execPath, [
        join(packageRoot, 'native/packaging/cli.mjs'),
        project.path,
      ]);
      expect(made.code, made.stderr).toBe(0);
      const { stdout } = await runProgram('tar', [
        '-xzOf',
        made.stdout.trim(),
        'package/package.json',
      ]);
      const { peerDependencies, version, dependencies } = manifest;
      expect(Object.keys(dependencies)).toEqual(['koffi']);
      expect(JSON.parse(stdout)).toMatchObject({
        name: '@reframer/cli',
        dependencies: { reframer: version, ...peerDependencies },
      });
    });

    test('with the platform package: imports and runs', async () => {
      const packed = await runProgram(process.execPath, [
        join(packageRoot, 'native/packaging/platform.mjs'),
        project.path,
        '--library',
        join(packageRoot, 'native/build/libreframer.so'),
      ]);
      expect(packed.code, packed.stderr).toBe(0);
      await unpack(packed.stdout.trim(), platformPackage);
      const { code, stdout, stderr } = await run();
      expect(stderr).toBe('');
      expect(stdout).toBe('2 1\n');
      expect(code).toBe(0);
    });
  },
);
