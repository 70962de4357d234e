// Jobs refuse members of a specification by its names, frameLength or intervalMs; who typed the command
// knows --frame-length and --interval.
import type { Command } from 'commander';

const units: Readonly<Record<string, string>> = { Bps: 'bps', Ms: 'ms', Ns: 'ns', Us: 'µs' };

/** What a job said of a member, said of the option that gave it; any other text as it is. */
export function asOption(message: string, command: Command): string {
  const [, member, rest] = /^([a-z][A-Za-z]*)((?: is| must| has| does)\b.*)$/s.exec(message) ?? [];
  if (member === undefined || rest === undefined) return message;
  const [, name = member, suffix = ''] = /^(.+?)(Bps|Ms|Ns|Us)$/.exec(member) ?? [];
  const flagOf = (attribute: string): string | undefined =>
    command.options.find((option) => option.attributeName() === attribute)?.long ?? undefined;
  const whole = flagOf(member);
  if (whole !== undefined) return `${whole}${rest}`;
  const flag = flagOf(name);
  return flag === undefined ? message : `${flag}, in ${units[suffix]},${rest}`;
}

/** The command that these arguments call: `bench reframer`, not its options. */
export function calledBy(program: Command, args: readonly string[]): Command {
  let called = program;
  for (const arg of args) {
    const next = called.commands.find((command) => command.name() === arg);
    if (next === undefined) break;
    called = next;
  }
  return called;
}
