// What others wrote, or could have: runs packed by strangers. Nothing outside the run's folder is
// touched, nothing hangs, no terminal is spoken to.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { brotliDecompressSync } from 'node:zlib';
import { afterAll, describe, expect, test } from 'vitest';

import { cleanLine, cleanText, cleanValue } from '../experiments/core/clean.js';
import { OwnFolder } from '../experiments/core/files.js';
import { runFolders } from '../experiments/core/runs.js';
import { validateRecord } from '../experiments/core/schema.js';
import { tableCsv } from '../experiments/report/tables.js';
import { packageRoot } from '../native/loader.js';
import { oneLine, reframer, temporaryFolder } from './helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const journal = folder.file('reference.jsonl');
writeFileSync(
  journal,
  brotliDecompressSync(
    readFileSync(join(packageRoot, 'results/reference/robustness/journal.jsonl.br')),
  ),
);
type Json = Record<string, unknown>;

/** A run from somebody else: the reference run, changed. */
function foreignRun(name: string, change: (record: Json) => Json = (record) => record): string {
  const run = folder.file(name);
  mkdirSync(run);
  const lines = readFileSync(journal, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.stringify(change(JSON.parse(line) as Json)));
  writeFileSync(join(run, 'journal.jsonl'), `${lines.join('\n')}\n`);
  return run;
}

function victim(name: string): string {
  const path = folder.file(name);
  mkdirSync(path);
  writeFileSync(join(path, 'id_rsa'), 'secret');
  writeFileSync(join(path, 'old-figure.svg'), 'mine');
  return path;
}

const untouched = (path: string): void => {
  expect(readdirSync(path).sort()).toEqual(['id_rsa', 'old-figure.svg']);
  expect(readFileSync(join(path, 'id_rsa'), 'utf8')).toBe('secret');
};

describe('a report writes into its run alone', { timeout: 120_000 }, () => {
  test('figures that are a link elsewhere: refused, nothing there is removed or written', async () => {
    const run = foreignRun('linked-figures');
    const mine = victim('victim');
    symlinkSync(mine, join(run, 'figures'));
    oneLine(await reframer(['report', run]), /figures: a link/);
    untouched(mine);
    expect(readdirSync(run).sort()).toEqual(['figures', 'journal.jsonl']);
  });

  test('report.md that is a link: replaced, what it led to stays; of figures only old ones go', async () => {
    const run = foreignRun('linked-report');
    const bashrc = folder.file('bashrc');
    writeFileSync(bashrc, 'mine');
    symlinkSync(bashrc, join(run, 'report.md'));
    mkdirSync(join(run, 'figures'));
    mkdirSync(join(run, 'figures/folder.svg'));
    for (const name of ['old.svg', 'notes.txt', 'id_rsa', 'Old.png'])
      writeFileSync(join(run, 'figures', name), 'x');
    const { code, stderr } = await reframer(['report', run]);
    expect([code, stderr]).toEqual([0, '']);
    expect(readFileSync(bashrc, 'utf8')).toBe('mine');
    expect(lstatSync(join(run, 'report.md')).isFile()).toBe(true);
    const figures = readdirSync(join(run, 'figures'));
    expect(figures).toEqual(
      expect.arrayContaining(['folder.svg', 'notes.txt', 'id_rsa', 'Old.png']),
    );
    expect(figures).not.toContain('old.svg');
    expect(readdirSync(run).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('--keep into a folder with links: refused, nothing is made where they lead', async () => {
    const run = foreignRun('keeps');
    const dangling = folder.file('keep-dangling');
    mkdirSync(dangling);
    symlinkSync(folder.file('made'), join(dangling, 'journal.jsonl'));
    oneLine(await reframer(['report', run, '--keep', dangling]), /holds a run already/);
    expect(existsSync(folder.file('made'))).toBe(false);
    const linked = folder.file('keep-linked');
    mkdirSync(linked);
    const mine = victim('keep-victim');
    symlinkSync(mine, join(linked, 'figures'));
    oneLine(await reframer(['report', run, '--keep', linked]), /figures: a link/);
    untouched(mine);
  });

  test('a folder that is exchanged for a link while it is written: the writes stay in the old one', () => {
    const path = folder.file('exchanged');
    const open = OwnFolder.open(path);
    spawnSync('mv', [path, `${path}-moved`]);
    const mine = victim('exchange-victim');
    symlinkSync(mine, path);
    open.write('report.md', 'text');
    open.remove(() => true);
    open.close();
    untouched(mine);
  });
});

describe('journals that are none', { timeout: 60_000 }, () => {
  const cases: { what: string; make: (run: string) => void; words: RegExp }[] = [
    {
      what: 'a pipe',
      make: (run) => {
        spawnSync('mkfifo', [join(run, 'journal.jsonl')]);
      },
      words: /journal\.jsonl: neither file nor folder/,
    },
    {
      what: 'a link',
      make: (run) => symlinkSync(journal, join(run, 'journal.jsonl')),
      words: /journal\.jsonl: a link/,
    },
    {
      what: 'a folder',
      make: (run) => mkdirSync(join(run, 'journal.jsonl')),
      words: /journal\.jsonl: a folder/,
    },
    {
      what: 'a file of 3 GiB',
      make: (run) => {
        copyFileSync(journal, join(run, 'journal.jsonl'));
        truncateSync(join(run, 'journal.jsonl'), 3 * 2 ** 30);
      },
      words: /at most 268435456 are read \(256 MiB\)/,
    },
    {
      what: 'a line of 20 MiB',
      make: (run) => writeFileSync(join(run, 'journal.jsonl'), `"${'x'.repeat(20 * 2 ** 20)}"\n`),
      words: /line 1: \d+ bytes; at most 16777216 are read/,
    },
    {
      what: 'a context nested 5,000 deep',
      make: (run) =>
        writeFileSync(
          join(run, 'journal.jsonl'),
          `{"type":"context","session":1,"context":${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}}\n`,
        ),
      words: /line 1: nested deeper than 64/,
    },
    {
      what: 'no text',
      make: (run) =>
        writeFileSync(join(run, 'journal.jsonl'), Buffer.from([0xff, 0xfe, 0x00, 0x0a])),
      words: /line 1/,
    },
  ];
  test.each(cases)('$what: one line, no hang', async ({ what, make, words }) => {
    const run = folder.file(what.replaceAll(/\W/g, '-'));
    mkdirSync(run);
    make(run);
    oneLine(await reframer(['report', run]), words);
    oneLine(await reframer(['compare', run, run]), words);
  });

  test('superseded.json that is a pipe, a link or nested: one line, no hang', async () => {
    for (const [name, make] of [
      [
        'pipe',
        (file: string) => {
          spawnSync('mkfifo', [file]);
        },
      ],
      ['link', (file: string) => symlinkSync('/etc/hostname', file)],
      ['deep', (file: string) => writeFileSync(file, '['.repeat(5000) + ']'.repeat(5000))],
    ] as const) {
      const run = foreignRun(`superseded-${name}`);
      make(join(run, 'superseded.json'));
      oneLine(
        await reframer(['report', run]),
        /superseded\.json: (neither file nor folder|a link|nested deeper than 64)/,
      );
    }
  });

  test('a link that leads nowhere beside the runs is no run', () => {
    const root = folder.file('root');
    mkdirSync(join(root, 'runs/real'), { recursive: true });
    copyFileSync(journal, join(root, 'runs/real/journal.jsonl'));
    symlinkSync(folder.file('nothing'), join(root, 'runs/dangling'));
    writeFileSync(join(root, 'runs/file'), '');
    expect(runFolders(root)).toEqual([join(root, 'runs/real')]);
  });

  test.each(['constructor', '__proto__', 'toString', 'hasOwnProperty', 'none'])(
    '%s is no type of record',
    (type) => {
      expect(() => validateRecord(JSON.parse(`{"type":"${type}"}`))).toThrow(/unknown record type/);
    },
  );
  test('what every object inherits is no field of a record', () => {
    expect(() =>
      validateRecord(
        JSON.parse(
          '{"type":"done","point":"a","reason":"once","warmups":0,"samples":0,"constructor":1}',
        ),
      ),
    ).toThrow(/constructor is not known/);
  });
});

// A name of a capture, a contender, a warning, as somebody may choose it.
const evil =
  '=HYPERLINK("x")\u001b[31m\u009b1m<!--<img src=x onerror=alert(1)></script>](x)`|\u202e\nrm -rf\r';

describe('words of others', { timeout: 120_000 }, () => {
  test('a forged journal speaks to no terminal, page, picture or spreadsheet', async () => {
    const point = 'b21310d72ca84ce0';
    const run = foreignRun('forged', (record) => {
      if (record['type'] === 'warning') return { ...record, name: evil, seen: evil, remedy: evil };
      if (record['type'] === 'context')
        return { ...record, context: { ...(record['context'] as Json), [evil]: { [evil]: evil } } };
      if (
        record['type'] === 'point' &&
        record['id'] !== point &&
        (record['params'] as Json)['attack'] === 'elephant'
      )
        return { ...record, params: { ...(record['params'] as Json), attack: evil } };
      return record;
    });
    const { code, stdout, stderr } = await reframer(['report', run]);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toContain('report.html');
    const texts = [
      ...readdirSync(run),
      ...readdirSync(join(run, 'figures')).map((name) => `figures/${name}`),
    ].filter((name) => /\.(md|html|csv|svg|json)$/.test(name) && name !== 'journal.jsonl');
    expect(texts.some((name) => name.endsWith('.svg'))).toBe(true);
    for (const name of texts) {
      const text = readFileSync(join(run, name), 'utf8');
      // eslint-disable-next-line no-control-regex
      expect([name, /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202e]/.test(text)]).toEqual([
        name,
        false,
      ]);
      if (name.endsWith('.csv')) expect(text).not.toMatch(/(^|,)"?[=@]/m);
      if (name.endsWith('.md')) expect(text).not.toMatch(/<img|<!--|(?<!\\)\]\(x\)/);
      if (name.endsWith('.svg')) expect(text).not.toMatch(/<img|<!--/);
    }
    const html = readFileSync(join(run, 'report.html'), 'utf8');
    expect(html).not.toMatch(/<img|<!--/);
    expect(html).toMatch(/<svg [^>]*data-y=/);
    const compared = await reframer(['compare', run, run]);
    expect(compared.stdout + compared.stderr).not.toMatch(
      // eslint-disable-next-line no-control-regex
      /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/,
    );
  });

  test('names of files reach the terminal by their numbers', async () => {
    for (const args of [
      ['analyze', folder.file('no\u001b[31m.pcap')],
      ['exp', 'reframer', '--trace', folder.file('no\u001b]0;x\u0007.pcap')],
      ['\u001b[31m'],
      ['report', '\u001b[31m'],
    ]) {
      const { stderr, stdout, code } = await reframer(args);
      expect(code).not.toBe(0);
      expect(stderr).toContain('\\x1b');
      expect(stdout + stderr).not.toContain('\u001b');
    }
  });

  test('cleaned text holds nothing that a terminal obeys or XML refuses, and is cleaned once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const clean = cleanLine(text);
        expect(clean).not.toMatch(
          // eslint-disable-next-line no-control-regex
          /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufffe\uffff]/,
        );
        expect(clean.isWellFormed()).toBe(true);
        expect(cleanLine(clean)).toBe(clean);
        expect(cleanText(clean)).toBe(clean);
      }),
    );
    expect(cleanText('a\nb\tµs − ≤ 漢 😀')).toBe('a\nb\tµs − ≤ 漢 😀');
  });

  test('a value keeps its shape, and sets no prototype', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);

        fc.pre(
          !/\\u00|\\[nrtbf]|[\u007f-\u009f\u061c\u200e-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|\\ud/.test(
            text,
          ),
        );
        expect(JSON.stringify(cleanValue(JSON.parse(text)))).toBe(text);
      }),
    );
    const value = cleanValue(JSON.parse('{"__proto__":{"a\\u001b":1},"b":"\\n"}')) as Json;
    expect(Object.keys(value)).toEqual(['__proto__', 'b']);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  });

  test('cells that a spreadsheet would run are text, numbers stay numbers', () => {
    const cells = [
      '=1+1',
      '+cmd|x',
      '-2+3+cmd|x',
      '@sum',
      '-5',
      '+60.1 % (+59.0 % to +61.3 %)',
      '-',
      '1e-9',
      '-1.5e-7',
      '<0.001',
    ];
    const csv = tableCsv({
      title: '',
      columns: ['a'],
      numeric: [false],
      rows: cells.map((cell) => [cell]),
    });
    expect(csv.trim().split('\n').slice(1)).toEqual([
      "'=1+1",
      "'+cmd|x",
      "'-2+3+cmd|x",
      "'@sum",
      '-5',
      '+60.1 % (+59.0 % to +61.3 %)',
      '-',
      '1e-9',
      '-1.5e-7',
      '<0.001',
    ]);
  });
});
