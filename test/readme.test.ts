// The README's commands and programs run as written: blocks after a `<!-- runnable -->` comment, in
// a project that has this package among its node_modules; `<!-- runnable: NAME -->` names the file.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { runProgram, temporaryFolder, type Outcome } from './helpers/cli.js';

interface Block {
  file: string | undefined;
  language: string;
  text: string;
}

const readme = readFileSync(join(packageRoot, 'README.md'), 'utf8');
const blocks: Block[] = [...readme.matchAll(/<!-- runnable(?:: (\S+))? -->\n```(\w+)\n([^]*?)\n```/g)].map((match) => ({
  file: match[1],
  language: match[2] ?? '',
  text: match[3] ?? '',
}));

const project = temporaryFolder();
afterAll(() => project.remove());

beforeAll(() => {
  mkdirSync(project.file('node_modules/.bin'), { recursive: true });
  writeFileSync(project.file('package.json'), '{"name":"project","private":true,"type":"module"}');
  symlinkSync(packageRoot, project.file('node_modules/reframer'));
  symlinkSync('../reframer/experiments/cli/reframer.mjs', project.file('node_modules/.bin/reframer'));
});

function run({ language, text, file }: Block): Promise<Outcome> {
  const cwd = project.path;
  if (file !== undefined) writeFileSync(project.file(file), text);
  if (language === 'sh') return runProgram('bash', ['-e', '-o', 'pipefail', '-c', text], { cwd });
  if (language === 'js') return runProgram(process.execPath, [file ?? ''], { cwd });
  const native = join(packageRoot, 'native');
  const library = join(native, 'build');
  const compile = `cc -Wall -Werror -I${native}/include ${file} -o program -L${library} -lreframer -Wl,-rpath,${library} && ./program`;
  return runProgram('bash', ['-c', compile], { cwd });
}

describe('README', () => {
  test('has commands, a JavaScript program and a C program', () => {
    expect(blocks.map((block) => block.language).sort()).toEqual(['c', 'js', 'sh']);
  });

  test.each(blocks.map((block) => [block.file ?? `${block.language} commands`, block] as const))('%s', { timeout: 120_000 }, async (_, block) => {
    const { code, stdout, stderr } = await run(block);
    // npm may have words of its own about the user's configuration.
    expect(stderr.replace(/^npm warn .*\n/gm, '')).toBe('');
    expect(code).toBe(0);
    expect(stdout).not.toBe('');
    if (block.language === 'js') expect(stdout).toBe('flow 1: 2 packets\nflow 2: 2 packets\n');
    if (block.language === 'c') expect(stdout).toBe('run of 2: a1 ...\nrun of 2: b1 ...\n');
  });

  test('names only files and commands that exist', () => {
    const links = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1] ?? '').filter((link) => !link.includes(':'));
    for (const link of links) expect(() => readFileSync(join(packageRoot, link)), link).not.toThrow();
    const scripts = (JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { scripts: Record<string, string> }).scripts;
    for (const [, name = ''] of readme.matchAll(/npm run ([\w:]+)/g)) expect(scripts).toHaveProperty([name]);
  });
});
