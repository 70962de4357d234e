// What the tools may do to a machine: no shell reads input, nothing listens that was not asked to, what
// they are made of can be listed and looked up.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { serveMetrics } from '../experiments/cli/metrics.js';
import { packageRoot } from '../native/loader.js';
import { runProgram, temporaryFolder } from './helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

function* sources(path: string): Generator<string> {
  for (const entry of readdirSync(join(packageRoot, path), { withFileTypes: true })) {
    const name = `${path}/${entry.name}`;
    if (entry.isDirectory() && !entry.name.startsWith('build')) yield* sources(name);
    else if (/\.(ts|mts|mjs|cpp|hpp|c|h)$/.test(entry.name)) yield name;
  }
}

describe('no shell is built from input', () => {
  // `zx` quotes every argument that it puts into a command; test/faults.test.ts tries it.
  const shells =
    /\bexecSync\(|\bexec\(|shell:\s*true|\bstd::system\(|(?<![\w.:])system\(|\bpopen\(|\$\.raw/;

  test('in no source file', () => {
    const files = [
      'experiments',
      'native/src',
      'native/setup',
      'native/fuzz',
      'native/packaging',
      'reframer',
      'rsspp',
      'conntrack',
    ].flatMap((path) => [...sources(path)]);
    expect(files.length).toBeGreaterThan(200);
    // RegExp.prototype.exec is no program, also where its line begins with the dot.
    const found = files.filter((file) =>
      readFileSync(join(packageRoot, file), 'utf8')
        .split('\n')
        .some((line) =>
          shells.test(line.replaceAll(/(^\s*|[\w\])/])\.exec\(/g, '').replace(/\/\/.*$/, '')),
        ),
    );
    expect(found).toEqual([]);
  });
});

describe('what listens', () => {
  test('metrics are served on the address that was asked for, and on no other', async () => {
    const server = await serveMetrics({ host: '127.0.0.1', port: 0 }, () => 'page\n');
    try {
      expect(server.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
      const port = Number(new URL(server.url).port).toString(16).toUpperCase().padStart(4, '0');
      const listening = readFileSync('/proc/net/tcp', 'utf8')
        .split('\n')
        .filter((line) => line.includes(`:${port} `) && / 0A /.test(line))
        .map((line) => line.trim().split(/\s+/)[1]);
      expect(listening).toEqual([`0100007F:${port}`]);
    } finally {
      server.close();
    }
  });
});

/** `npm run audit` beside an npm that gives this answer. */
async function audit(
  name: string,
  answer: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const bin = folder.file(name);
  mkdirSync(bin);
  writeFileSync(join(bin, 'answer'), answer);
  writeFileSync(join(bin, 'npm'), `#!/bin/sh\ncat "${join(bin, 'answer')}"\n`);
  chmodSync(join(bin, 'npm'), 0o755);
  symlinkSync('/bin/cat', join(bin, 'cat'));
  return runProgram(process.execPath, [join(packageRoot, 'native/setup/audit.mjs')], {
    env: { PATH: bin },
  });
}

describe('what it is made of', () => {
  test('the audit tells flaws, none, and that nothing was checked apart', async () => {
    const flaw = { name: 'left-pad', severity: 'high', range: '<2', fixAvailable: true };
    const [some, none, refused, garbage] = await Promise.all([
      audit('some', JSON.stringify({ vulnerabilities: { 'left-pad': flaw } })),
      audit('none', JSON.stringify({ vulnerabilities: {}, metadata: {} })),
      audit(
        'refused',
        JSON.stringify({
          error: {
            code: 'ENOAUDIT',
            summary: 'Your configured registry does not support audit requests.',
          },
        }),
      ),
      audit('garbage', '<html>'),
    ]);
    expect(some).toMatchObject({
      code: 1,
      stdout: 'high     left-pad <2, mended in a later version\n',
    });
    expect(none).toMatchObject({ code: 0, stdout: 'no known flaw in the dependencies\n' });
    for (const outcome of [refused, garbage]) {
      expect(outcome.code).toBe(3);
      expect(outcome.stdout).toBe('');
      expect(outcome.stderr).toContain('nothing was checked');
    }
  });

  test('the bill of materials names every run-time dependency', async () => {
    const { code, stdout } = await runProgram('npm', ['run', '--silent', 'sbom']);
    expect(code).toBe(0);
    const { bomFormat, components } = JSON.parse(stdout) as {
      bomFormat: string;
      components: { name: string; version: string; group?: string }[];
    };
    expect(bomFormat).toBe('CycloneDX');
    const { dependencies } = JSON.parse(
      readFileSync(join(packageRoot, 'package.json'), 'utf8'),
    ) as { dependencies: Record<string, string> };
    const named = components.map((c) => (c.group === undefined ? c.name : `${c.group}/${c.name}`));
    for (const name of Object.keys(dependencies)) expect(named).toContain(name);
  });

  test('the nightly run has all that takes too long for every change', () => {
    const script = readFileSync(join(packageRoot, '.ci/nightly'), 'utf8');
    const { scripts } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    for (const name of ['audit', 'sbom', 'test:sanitize', 'fuzz', 'mutate']) {
      expect(scripts).toHaveProperty([name]);
      expect(script).toContain(`npm run --silent ${name}`);
    }
  });
});
