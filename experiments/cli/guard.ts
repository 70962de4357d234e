// What the box takes from the kernel, of which interface, and what it denies: `--claim`, `--deny`,
// `--deny-file`. Words of rules are read by the native side; see native/src/devices/guard_rules.hpp.
import { readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';

import { systemText } from '../core/errors.js';
import { xdpInterface } from './eal.js';
import { UsageError } from './errors.js';
import { talk } from './output.js';
import { formatCount } from './units.js';

export interface GuardOptions {
  claim: string[];
  deny: string[];
  denyFile?: string;
}

/** Of one interface, in the order of ports. */
export interface GuardRules {
  interface: string;
  deny: string[];
  claim: string[];
}

export interface GuardCounts {
  interface: string;
  deniedSource: number;
  deniedProtocol: number;
  deniedPort: number;
  claimed: number;
  passed: number;
}

const each = (rule: string, before: string[]): string[] => [...before, rule];

export function addGuardOptions(command: Command): Command {
  return command
    .option(
      '--claim <rule>',
      "af_xdp: take only such packets, the kernel keeps the rest: '[NETWORK] [tcp|udp|icmp]', of either end, or '[tcp|udp] port N[-M]'; may be given several times, without one everything is taken",
      each,
      [],
    )
    .option(
      '--deny <rule>',
      'af_xdp: drop such packets of IN before all else; a network is that of the source; may be given several times',
      each,
      [],
    )
    .option(
      '--deny-file <file>',
      'more of them, one a line, # begins a comment; read again when it changes, by the user that the box became: replace it by renaming',
    );
}

function fileRules(file: string): string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`--deny-file ${systemText(error, file)}`);
  }
  return text
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '');
}

/** @throws UsageError where no port has a guard, or the file cannot be read */
export function guardRules(
  options: GuardOptions,
  input: string,
  output: string,
): GuardRules[] | undefined {
  const { claim, deny, denyFile } = options;
  if (claim.length === 0 && deny.length === 0 && denyFile === undefined) return undefined;
  const inside = xdpInterface(input);
  if (inside === undefined)
    throw new UsageError(
      '--claim and --deny need --in af_xdp:INTERFACE: XDP decides what it takes',
    );
  const rules: GuardRules[] = [
    {
      interface: inside,
      deny: [...deny, ...(denyFile === undefined ? [] : fileRules(denyFile))],
      claim,
    },
  ];
  const outside = xdpInterface(output);
  if (outside !== undefined && outside !== inside && claim.length > 0)
    rules.push({ interface: outside, deny: [], claim });
  return rules;
}

/** Looks whether a file has changed since the last look. */
export class ChangedFile {
  private last: string;

  constructor(private readonly path: string) {
    this.last = this.stamp();
  }

  changed(): boolean {
    const now = this.stamp();
    const is = now !== this.last;
    this.last = now;
    return is;
  }

  private stamp(): string {
    try {
      const { ino, size, mtimeMs } = statSync(this.path);
      return `${ino} ${size} ${mtimeMs}`;
    } catch (error) {
      return String(error); // reading it will say so
    }
  }
}

export const guardLine = (counts: GuardCounts): string =>
  `${counts.interface}: claimed ${formatCount(counts.claimed)}, passed to the kernel ${formatCount(counts.passed)}, ` +
  `denied ${formatCount(counts.deniedSource)} by source, ${formatCount(counts.deniedProtocol)} by protocol, ${formatCount(counts.deniedPort)} by port`;

interface RulesReply {
  rules?: number;
  failed?: string;
}

/**
 * Puts the rules of a file in force when it has changed; words that are none leave the former ones.
 * @param file as it was before the rules in force were read: a change while the box started counts
 */
export function rulesReloader(
  session: { ask(command: object): Promise<RulesReply> },
  path: string,
  read: () => GuardRules[] | undefined,
  file: ChangedFile,
): () => Promise<void> {
  return async () => {
    if (!file.changed()) return;
    let failure: string | undefined;
    try {
      const { rules, failed } = await session.ask({ do: 'rules', guards: read() });
      if (rules !== undefined) return talk(`reframer: ${path}: ${rules} rules in force`);
      failure = failed;
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      failure = error.message;
    }
    talk(`reframer: ${path}: ${failure ?? 'no answer'}; the former rules stay`);
  };
}
