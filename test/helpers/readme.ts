// Blocks of a README after a `<!-- runnable -->` comment run as written, in a project that has this
// package among its node_modules; `<!-- runnable: NAME -->` names the file that a program is saved in.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { packageRoot } from '../../native/loader.js';
import { runProgram, temporaryFolder, type Outcome } from './cli.js';

export interface Block {
  file: string | undefined;
  language: string;
  text: string;
}

export function runnableBlocks(text: string): Block[] {
  return [...text.matchAll(/<!-- runnable(?:: (\S+))? -->\n```(\w+)\n([^]*?)\n```/g)].map(
    (match) => ({
      file: match[1],
      language: match[2] ?? '',
      text: match[3] ?? '',
    }),
  );
}

/** A project of a user of this package. */
export function userProject(): {
  path: string;
  run: (block: Block) => Promise<Outcome>;
  remove: () => void;
} {
  const project = temporaryFolder();
  mkdirSync(project.file('node_modules/.bin'), { recursive: true });
  writeFileSync(project.file('package.json'), '{"name":"project","private":true,"type":"module"}');
  symlinkSync(packageRoot, project.file('node_modules/reframer'));
  symlinkSync(
    '../reframer/experiments/cli/reframer.mjs',
    project.file('node_modules/.bin/reframer'),
  );
  const run = ({ language, text, file }: Block): Promise<Outcome> => {
    const cwd = project.path;
    if (file !== undefined) writeFileSync(project.file(file), text);
    if (language === 'sh') return runProgram('bash', ['-e', '-o', 'pipefail', '-c', text], { cwd });
    if (language === 'js') return runProgram(process.execPath, [file ?? ''], { cwd });
    const native = join(packageRoot, 'native');
    const library = join(native, 'build');
    const compile = `cc -Wall -Werror -I${native}/include ${file} -o program -L${library} -lreframer -Wl,-rpath,${library} && ./program`;
    return runProgram('bash', ['-c', compile], { cwd });
  };
  return { path: project.path, run, remove: project.remove };
}

export const readPackageFile = (path: string): string =>
  readFileSync(join(packageRoot, path), 'utf8');
