// Set-up: quick when done, plain about what is missing.
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, temporaryFolder } from './helpers/cli.js';

const setup = join(packageRoot, 'native', 'setup.mjs');

describe('set-up in this clone', () => {
  test('has nothing to do and says nothing', async () => {
    const { isSetUp } = (await import(join(packageRoot, 'native/setup/steps.mjs'))) as {
      isSetUp(): boolean;
    };
    expect(isSetUp(), 'sources changed since set-up; run `npm run setup`').toBe(true);
    const { code, stdout, stderr } = await runProgram(process.execPath, [setup]);
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('an unknown option is a usage error', async () => {
    const { code, stderr } = await runProgram(process.execPath, [setup, '--fast']);
    expect(code).toBe(2);
    expect(stderr).toContain('--fast');
  });
});

describe('set-up on a bare machine', () => {
  // A copy as a consumer has it, and a PATH with Node and nothing else.
  const machine = temporaryFolder();
  afterAll(() => machine.remove());
  beforeAll(() => {
    const folder = machine.file('project/node_modules/reframer');
    mkdirSync(join(folder, 'native'), { recursive: true });
    mkdirSync(machine.file('bin'));
    cpSync(setup, join(folder, 'native/setup.mjs'));
    cpSync(join(packageRoot, 'native/setup'), join(folder, 'native/setup'), { recursive: true });
    writeFileSync(join(folder, 'package.json'), '{"name":"reframer","version":"0.0.0"}');
    symlinkSync(process.execPath, machine.file('bin/node'));
  });
  const bare = (args: readonly string[]) =>
    runProgram(
      process.execPath,
      [machine.file('project/node_modules/reframer/native/setup.mjs'), ...args],
      { env: { PATH: machine.file('bin') } },
    );

  test('what is needed, what it is for and how to get it; exit code 3', async () => {
    const { code, stderr } = await bare([]);
    expect(code).toBe(3);
    for (const word of ['Meson', 'Ninja', 'libpcap: reads captures', 'meson ninja-build'])
      expect(stderr).toContain(word);
    expect(stderr).not.toContain('TypeScript');
  });

  test('set-up installs what comparisons need, says how large it is, and removes nothing for it', async () => {
    const { requirements } = (await import(join(packageRoot, 'native/setup/requirements.mjs'))) as {
      requirements: { name: string; need: string; size?: string; brings: string }[];
    };
    for (const peer of requirements.filter((r) => r.need === 'peer'))
      expect([peer.name, peer.size, peer.brings]).toEqual([
        peer.name,
        expect.stringMatching(/^\d+ MiB$/),
        expect.stringContaining('as a contender'),
      ]);
    const text = readFileSync(setup, 'utf8');
    expect(text).toMatch(/needs = \['build', 'feature', 'peer'/);
    expect(text).toContain("'--no-remove'");
  });

  test('programs that only tests run are named with what they are for, and set-up does without', async () => {
    const { requirements } = (await import(join(packageRoot, 'native/setup/requirements.mjs'))) as {
      requirements: { need: string; program?: string[]; debian: string; optional?: boolean }[];
    };
    const programs = requirements.filter((r) => r.need === 'test' && r.program !== undefined);
    expect(programs.every((r) => r.optional)).toBe(true);
    for (const name of [
      'ethtool',
      'iproute2',
      'nftables',
      'nginx-light',
      'wrk',
      'tshark',
      'dpdk-dev',
    ])
      expect(programs.map((r) => r.debian)).toContain(name);
  });

  test('--check reports and changes nothing', async () => {
    const { code, stdout } = await bare(['--check']);
    expect(code).toBe(0);
    const { setUp, requirements } = JSON.parse(stdout) as {
      setUp: boolean;
      requirements: { name: string; need: string; found: boolean; get: string }[];
    };
    expect(setUp).toBe(false);
    expect(requirements.find((r) => r.name === 'Meson')).toMatchObject({
      found: false,
      get: expect.stringContaining('meson') as string,
    });
    // Other people's tables are part of a comparison: set-up names them, and what gets them.
    const peers = requirements.filter((r) => r.need === 'peer');
    expect(peers.map((r) => r.name).sort()).toEqual([
      'Abseil',
      'Boost 1.81',
      'Concurrency Kit',
      'libcuckoo',
      'liburcu',
      'oneTBB',
    ]);
    for (const peer of peers)
      expect(peer.get).toMatch(/lib(absl|boost1\.81|ck|cuckoo|urcu|tbb)-dev/);
  });
});
