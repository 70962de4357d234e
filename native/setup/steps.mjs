// The steps of set-up, each with the question "is it done?" that `reframer` asks before every
// command. Nothing here may import a package: it runs before they are installed.
import { existsSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

import { fingerprint, isCurrent } from './stamp.mjs';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

/** Installed as somebody's dependency: npm brought the packages and dist/, only native/ is ours to build. */
export const isInstalled =
  dirname(root).endsWith(`${sep}node_modules`) || !existsSync(join(root, 'tsconfig.json'));

export const buildFolder = join(root, 'native', 'build');
export const logFile = join(root, 'native', 'setup.log');
export const lockFile = join(root, 'native', '.setup.lock');
/** What the last native build went without. */
export const lackedFile = join(buildFolder, '.reframer-lacked');
export const triedFile = join(root, 'native', '.setup-tried');

const stamps = {
  packages: join(root, 'node_modules', '.reframer-stamp'),
  typescript: join(root, 'dist', '.reframer-stamp'),
  native: join(buildFolder, '.reframer-stamp'),
};

const anyFile = () => true;
const isTypescript = (path) => path.endsWith('.ts') || path.endsWith('.json');
const isNative = (path) => !/\.(ts|mjs|log|md)$/.test(path);

const inRoot = (...names) => names.map((name) => join(root, name));

const fingerprints = {
  packages: () => fingerprint(inRoot('package-lock.json'), anyFile),
  typescript: () =>
    fingerprint(
      inRoot(
        'tsconfig.json',
        'package-lock.json',
        'index.ts',
        'reframer',
        'rsspp',
        'conntrack',
        'balancer',
        'capture',
        'experiments',
        'native',
        'results',
      ),
      isTypescript,
    ),
  native: () => fingerprint(inRoot('native', 'package.json'), isNative),
};

/** What makes a step worth running: its fingerprint now, whether that is the one of its last good run. */
export function state(step) {
  const value = fingerprints[step]();
  return { value, file: stamps[step], current: isCurrent(stamps[step], value) };
}

/** True when no step has anything to do: the price of asking is a few hundred stat calls. */
export function isSetUp({ native = true } = {}) {
  const built =
    !native || (existsSync(join(buildFolder, 'reframer-lab')) && state('native').current);
  if (isInstalled) return built;
  return built && state('packages').current && state('typescript').current;
}
