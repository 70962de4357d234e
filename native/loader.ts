// Where the native parts are: the library that the bindings load and the program that runs jobs.
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { ReframerError } from './error.js';

/** The native part is absent or does not fit. `attempts` lists every place that was looked at. */
export class NativeError extends ReframerError {
  declare readonly code: 'native-missing' | 'native-version' | 'native-broken';

  constructor(
    code: 'native-missing' | 'native-version' | 'native-broken',
    message: string,
    readonly attempts: readonly string[] = [],
  ) {
    super(code, message);
    this.name = 'NativeError';
  }
}

/** The package's folder: the same from sources and from dist/. */
export const packageRoot: string = (() => {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'native', 'meson.build'))) return folder;
    if (folder === dirname(folder))
      throw new NativeError(
        'native-missing',
        'the package is incomplete: native/meson.build is not there',
      );
  }
})();

export const packageVersion: string = (() => {
  const manifest: unknown = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8'));
  return String((manifest as { version?: unknown }).version);
})();

export interface NativeFile {
  /** Environment variable that names the file and wins over everything else. */
  variable: string;
  file: string;
  /** The platform package brings it too. */
  prebuilt?: boolean;
}

export const library: NativeFile = {
  variable: 'REFRAMER_LIBRARY',
  file: 'libreframer.so',
  prebuilt: true,
};
export const captureLibrary: NativeFile = {
  variable: 'REFRAMER_CAPTURE_LIBRARY',
  file: 'libreframer_capture.so',
  prebuilt: true,
};
export const labProgram: NativeFile = { variable: 'REFRAMER_LAB', file: 'reframer-lab' };
/** Only where DPDK was found at build time. */
export const dpdkProgram: NativeFile = { variable: 'REFRAMER_DPDK', file: 'reframer-dpdk' };

export const platformPackage = `@reframer/${process.platform}-${process.arch}`;

/**
 * Order: the environment variable (alone, when it is set: a wrong one should not be hidden by a
 * fallback), the build folder, the platform package.
 */
export function locate(what: NativeFile): string {
  const attempts: string[] = [];
  const named = process.env[what.variable];
  if (named !== undefined && named !== '') {
    if (existsSync(named)) return named;
    attempts.push(`${what.variable}=${named}: no such file`);
    throw missing(what, attempts, `correct or unset ${what.variable}`);
  }
  const built = join(packageRoot, 'native', 'build', what.file);
  if (existsSync(built)) return built;
  attempts.push(`${built}: no such file`);
  try {
    const manifest = createRequire(import.meta.url).resolve(`${platformPackage}/package.json`);
    const packaged = join(dirname(manifest), what.file);
    if (existsSync(packaged)) return packaged;
    attempts.push(`${packaged}: no such file`);
  } catch {
    attempts.push(`${platformPackage}: not installed`);
  }
  const install = what.prebuilt === true ? `install ${platformPackage}@${packageVersion}, or ` : '';
  throw missing(what, attempts, `${install}build it with \`npx reframer setup\``);
}

function missing(what: NativeFile, attempts: readonly string[], nextStep: string): NativeError {
  const list = attempts.map((attempt) => `  ${attempt}`).join('\n');
  return new NativeError(
    'native-missing',
    `${what.file} was not found:\n${list}\n${nextStep}`,
    attempts,
  );
}
