// Dependencies point one way: results < experiments < rooms < native/binding.ts < C headers, and
// in native lab > dpdk > jobs > datapath, devices > nf > measure, traffic, reframer,
// rsspp, conntrack > packet, base, api.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

import { packageRoot } from '../native/loader.js';
import { planted } from '../native/test/place.mjs';

function sources(folder: string, extension: RegExp): string[] {
  const path = join(packageRoot, folder);
  try {
    statSync(path);
  } catch {
    return [];
  }
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .filter((name) => extension.test(name) && !/(^|\/)(build[^/]*|node_modules)\//.test(name))
    .map((name) => join(folder, name));
}

const read = (file: string): string => readFileSync(join(packageRoot, file), 'utf8');

const importsOf = (files: readonly string[]): { file: string; target: string }[] =>
  files.flatMap((file) =>
    [...read(file).matchAll(/(?:from|import\(?)\s*'([^']+)'/g)].map((match) => ({
      file,
      target: match[1] ?? '',
    })),
  );

/** Circles that a walk meets, each as the chain of its modules. */
function circles(targets: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, chain: readonly string[]): void => {
    const start = chain.indexOf(file);
    if (start >= 0) found.push([...chain.slice(start), file].join(' > '));
    if (start >= 0 || done.has(file)) return;
    for (const target of targets.get(file) ?? []) walk(target, [...chain, file]);
    done.add(file);
  };
  for (const file of targets.keys()) walk(file, []);
  return found;
}

describe('TypeScript', () => {
  const rooms = ['reframer', 'rsspp', 'conntrack', 'capture', 'balancer'];
  const files = [...rooms, 'native', 'experiments', 'results'].flatMap((folder) =>
    sources(folder, /\.ts$/),
  );
  const imports = importsOf(files);

  test('there are imports to check', () => expect(imports.length).toBeGreaterThan(20));

  test('only native/binding.ts imports koffi', () => {
    expect(
      imports.filter(({ target }) => /^koffi(\/|$)/.test(target)).map(({ file }) => file),
    ).toEqual(['native/binding.ts']);
  });

  test('nothing imports against the direction', () => {
    const layer = (path: string): number => {
      const top = path.split('/')[0] ?? '';
      if (top === 'native') return 0;
      if (rooms.includes(top)) return 1;
      return top === 'experiments' ? 2 : 3;
    };
    const against = imports
      .filter(({ target }) => target.startsWith('.'))
      .map(({ file, target }) => ({
        file,
        to: relative('.', normalize(join(dirname(file), target))),
      }))
      // The schema of results is data that the harness writes by.
      .filter(({ file, to }) => layer(to) > layer(file) && !to.startsWith('results/'));
    expect(against).toEqual([]);
  });

  test('no module imports itself through others, types included', () => {
    const targets = new Map<string, string[]>();
    const all = importsOf([...files, ...sources('test', /\.ts$/)]);
    for (const { file, target } of all.filter(({ target }) => target.startsWith('.')))
      targets.set(file, [
        ...(targets.get(file) ?? []),
        join(dirname(file), target).replace(/\.js$/, '.ts'),
      ]);
    expect(circles(targets)).toEqual([]);
  });

  test('a circle is named from end to end', () => {
    const targets = new Map([
      ['a.ts', ['b.ts', 'd.ts']],
      ['b.ts', ['c.ts', 'd.ts']],
      ['c.ts', ['b.ts']],
      ['d.ts', ['d.ts']],
    ]);
    expect(circles(targets)).toEqual(['b.ts > c.ts > b.ts', 'd.ts > d.ts']);
  });
});

describe('native', () => {
  // A room includes only rooms of lower layers.
  const layers: Readonly<Record<string, number>> = {
    api: 0,
    base: 0,
    packet: 0,
    reframer: 1,
    rsspp: 1,
    conntrack: 1,
    traffic: 1,
    measure: 1,
    capture: 2,
    nf: 2,
    datapath: 3,
    devices: 3,
    jobs: 4,
    dpdk: 5,
    lab: 6,
  };
  const files = sources('native/src', /\.(c|cpp|h|hpp)$/);
  const includes = files.flatMap((file) =>
    [...read(file).matchAll(/^\s*#\s*include\s*["<]([^">]+)[">]/gm)].map((match) => ({
      file,
      target: match[1] ?? '',
    })),
  );
  const room = (file: string): string => file.split('/')[2] ?? '';

  test('there are includes to check', () => expect(includes.length).toBeGreaterThan(50));

  test('every room has its place', () => {
    const rooms = readdirSync(join(packageRoot, 'native/src'), { withFileTypes: true });
    const unknown = rooms.filter(
      (entry) => entry.isDirectory() && layers[entry.name] === undefined,
    );
    expect(unknown.map((entry) => entry.name)).toEqual([]);
  });

  test('rooms include only what lies below them', () => {
    const against = includes.filter(({ file, target }) => {
      // The public headers, reframer/*.h, are everyone's.
      const to = target.endsWith('.h') ? '' : (target.split('/')[0] ?? '');
      const [from, below] = [layers[room(file)], layers[to]];
      if (from === undefined || below === undefined || room(file) === to) return false;
      return below >= from;
    });
    expect(against).toEqual([]);
  });

  test('docs/ARCHITECTURE.md draws these rooms, in this order', () => {
    const drawing = read('docs/ARCHITECTURE.md').split('```')[1] ?? '';
    const drawn = drawing.split('\n').flatMap((line) => {
      const layer = /^ (\d) (.*)$/.exec(line);
      const words = layer?.[2]?.split(/\s+/).filter((word) => word in layers) ?? [];
      return words.map((word) => [word, Number(layer?.[1])] as const);
    });
    expect(Object.fromEntries(drawn)).toEqual(layers);
    expect(drawn).toHaveLength(Object.keys(layers).length);
  });
});

describe('docs/ARCHITECTURE.md', () => {
  const ways = new Map(
    read('docs/ARCHITECTURE.md')
      .split(/^## /m)
      .map((section) => [section.split('\n', 1)[0] ?? '', section]),
  );
  const steps = (way: string): string[] =>
    [...(ways.get(way) ?? '').matchAll(/^\d+\. `([^`]+)`/gm)].map((match) => match[1] ?? '');

  test('names files that exist', () => {
    const named = [...read('docs/ARCHITECTURE.md').matchAll(/`([\w-]+(?:\/[\w.-]+)+)`/g)].map(
      (match) => match[1] ?? '',
    );
    expect(named.length).toBeGreaterThan(30);
    expect(named.filter((file) => !existsSync(join(packageRoot, file)))).toEqual([]);
  });

  test('has the four ways as lists', () => {
    for (const way of ['a packet', 'a bucket move', 'a flow look-up', 'an experiment'])
      expect(steps(`The way of ${way}`).length, way).toBeGreaterThan(3);
  });

  test('leads a packet from rx to tx through five files of at most 300 lines', () => {
    const files = steps('The way of a packet');
    expect(files).toHaveLength(5);
    const lines = (file: string): number => read(file).trimEnd().split('\n').length;
    expect(files.filter((file) => lines(file) > 300)).toEqual([]);
  });
});

test('each planted bug has its place in the sources, once', () => {
  const bugs = JSON.parse(read('native/test/mutations.json')) as {
    file: string;
    what: string;
    from: string;
    to: string;
  }[];
  const lost = bugs.filter(({ file, from, to }) => planted(read(file), from, to) === undefined);
  expect(bugs.length).toBeGreaterThan(20);
  expect(lost.map(({ file, what }) => `${file}: ${what}`)).toEqual([]);
});
