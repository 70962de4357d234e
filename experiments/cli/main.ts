// The command line. Each file in commands/ adds its command by exporting `register(program)`.
import { readdirSync } from 'node:fs';
import { constants } from 'node:os';
import { Command, CommanderError } from 'commander';

import { packageVersion } from '../../native/loader.js';
import { cleanText } from '../core/clean.js';
import { describeError, exitCodes } from './errors.js';
import { stopLabs } from './lab.js';
import { asOption, calledBy } from './option-names.js';
import { printJson, talk } from './output.js';

interface CommandModule {
  register(program: Command): void;
}

/** A subcommand that several files add to, such as `bench`. */
export function group(program: Command, name: string, description: string): Command {
  const found = program.commands.find((command) => command.name() === name);
  if (found !== undefined) return found;
  return program.command(name).description(description).helpCommand(false);
}

/** `reframer bench`, which each of its commands adds itself to. */
export const benchGroup = (program: Command): Command =>
  group(program, 'bench', 'costs of the parts, beside the physical bound measured in the same run');

/**
 * Loads the file of the command that was asked for, NAME.js, or its parts, NAME-*.js; without one,
 * all of them, as --help wants. Figures and reports alone take longer to load than `analyze` to run.
 */
async function loadCommands(program: Command, name: string | undefined): Promise<void> {
  const folder = new URL('./commands/', import.meta.url);
  const files = readdirSync(folder).filter((file) => /^[a-z-]+\.(js|ts)$/.test(file));
  const asked = files.filter(
    (file) => name !== undefined && (file.startsWith(`${name}.`) || file.startsWith(`${name}-`)),
  );
  for (const file of (asked.length > 0 ? asked : files).sort()) {
    const module = (await import(new URL(file, folder).href)) as CommandModule;
    module.register(program);
  }
}

export async function buildProgram(name?: string): Promise<Command> {
  const program = new Command('reframer')
    .description('Cache locality for packet processing: measure it, gain it, rerun the papers.')
    .version(packageVersion)
    .showHelpAfterError('(--help lists what there is)')
    .enablePositionalOptions();
  await loadCommands(program, name);
  // What it throws instead of ending the process; commands made above inherit nothing, so each is told.
  const tell = (command: Command): void => {
    command.exitOverride();
    command.configureOutput({ writeErr: (text) => process.stderr.write(cleanText(text)) });
    command.showHelpAfterError(
      `(see \`${command.name() === 'reframer' ? '' : 'reframer '}${command.name()} --help\`)`,
    );
    command.commands.forEach(tell);
  };
  tell(program);
  return program;
}

/** @returns the exit code */
export async function run(args: readonly string[]): Promise<number> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // The reader of a pipe left (`| head`), or the terminal is gone: nothing more to say to it. What is
    // known by now stays known: a regression is one, however much of it was read.
    if (error.code === 'EPIPE') process.exit();
    if (error.code === 'EIO') return;
    talk(`reframer: cannot write to standard output: ${error.message}`);
    stopLabs();
    process.exit(exitCodes.failed);
  });
  // Nobody is left to be told; what runs goes on.
  process.stderr.on('error', () => undefined);
  // A terminal that is closed ends what it started, too; without an `exit` nothing would be tidied up.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => {
      stopLabs();
      talk(`\nstopped by ${signal}`);
      process.exit(128 + constants.signals[signal]);
    });
  }
  const program = await buildProgram(args[0]);
  try {
    if (args.length === 0) {
      program.outputHelp();
      return exitCodes.ok;
    }
    await program.parseAsync([...args], { from: 'user' });
    return typeof process.exitCode === 'number' ? process.exitCode : exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const described = describeError(error);
    if (described === undefined) throw error;
    const { record, exitCode } = described;
    if (exitCode === exitCodes.usage)
      record.message = asOption(record.message, calledBy(program, args));
    talk(`reframer: ${record.message}`);
    if (args.includes('--json')) printJson({ error: record });
    return exitCode;
  }
}
