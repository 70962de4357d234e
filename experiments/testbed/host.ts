// Where a role of the bed runs: here, in a network namespace of this machine, or over ssh.
import { spawn } from 'node:child_process';
import { $ } from 'zx';

import { outputWithin } from '../core/child.js';
import { HarnessError } from '../core/errors.js';
import { shellWord } from '../core/shell.js';
import type { Role } from './bed.js';

export interface Host {
  name: string;
  /** Whether its files are ours. */
  local: boolean;
  /** The command that runs `words` there. */
  command: (words: readonly string[]) => string[];
  /** Runs a line of a shell there; its output. @throws HarnessError `no-host` */
  shell: (line: string, seconds?: number) => Promise<string>;
  /** Sends a file there. */
  copy: (file: string, to: string) => Promise<void>;
}

// A host that is there answers in much less.
const connectSeconds = 10;

const sshCommand = (target: string): string[] => {
  const [, destination = target, port] = /^(.*?)(?::(\d+))?$/.exec(target) ?? [];
  return [
    'ssh',
    '-o',
    'BatchMode=yes',
    '-o',
    `ConnectTimeout=${connectSeconds}`,
    '-o',
    // A host that dies takes its end of a trial with it, and we notice.
    'ServerAliveInterval=5',
    ...(port === undefined ? [] : ['-p', port]),
    destination,
  ];
};

function prefixOf({ host, via }: Role): { words: string[]; line: boolean; local: boolean } {
  if (host.startsWith('ssh:'))
    return {
      words: via.length > 0 ? [...via] : sshCommand(host.slice('ssh:'.length)),
      line: true,
      local: false,
    };
  if (host.startsWith('namespace:'))
    return {
      words: ['ip', 'netns', 'exec', host.slice('namespace:'.length)],
      line: false,
      local: true,
    };
  return { words: [], line: false, local: true };
}

const lastLine = (text: string): string => text.trim().split('\n').at(-1) ?? '';

export function hostOf(name: string, role: Role): Host {
  const { words: prefix, line, local } = prefixOf(role);
  // `exec`: the process there is the program itself, which ends when its input does.
  const command = (words: readonly string[]): string[] =>
    line ? [...prefix, `exec ${words.map(shellWord).join(' ')}`] : [...prefix, ...words];
  const shell = async (text: string, seconds = connectSeconds + 5): Promise<string> => {
    const words = line ? [...prefix, text] : [...prefix, 'sh', '-c', text];
    const { output, timedOut } = await outputWithin(
      $({ quiet: true, nothrow: true })`${words}`,
      seconds,
    );
    const { stdout, stderr, exitCode } = output;
    if (exitCode !== 0)
      throw new HarnessError(
        'no-host',
        `${name} (${role.host}): ${timedOut ? `no answer within ${seconds} s` : lastLine(stderr) || `exit code ${exitCode ?? String(output.signal)}`}`,
        1,
      );
    return stdout;
  };
  return {
    name,
    local,
    command,
    shell,
    copy: async (file, to) => {
      const target = [...prefix, ...(line ? [] : ['sh', '-c'])];
      const folder = to.slice(0, to.lastIndexOf('/'));
      const [unfinished, whole] = [shellWord(`${to}.part`), shellWord(to)];
      const store = `mkdir -p ${shellWord(folder)} && cat > ${unfinished} && chmod 755 ${unfinished} && mv ${unfinished} ${whole}`;
      const [first = '', ...rest] = [...target, store];
      const { createReadStream } = await import('node:fs');
      await new Promise<void>((resolve, reject) => {
        const child = spawn(first, rest, { stdio: ['pipe', 'ignore', 'pipe'] });
        let stderr = '';
        child.stderr.setEncoding('utf8').on('data', (part: string) => {
          stderr += part;
        });
        child.stdin.on('error', () => undefined);
        child.on('error', reject);
        child.on('close', (code) =>
          code === 0
            ? resolve()
            : reject(new HarnessError('no-copy', `${name} (${role.host}): ${lastLine(stderr)}`, 1)),
        );
        createReadStream(file)
          .on('error', (error) => {
            child.kill();
            reject(error);
          })
          .pipe(child.stdin);
      });
    },
  };
}
