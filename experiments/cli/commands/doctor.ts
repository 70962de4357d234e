// `reframer doctor`: what this machine has, what it lacks, and what each missing thing would bring.
import type { Command } from 'commander';

import { examine, type Finding } from '../doctor.js';
import { print, printJson, renderTable } from '../output.js';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('what was found on this machine, and what each missing thing would bring')
    .option('--json', 'print {"findings":[...]}')
    .action(async (options: { json?: boolean }) => {
      const findings = await examine();
      if (options.json === true) return printJson({ ready: isReady(findings), findings });
      print(render(findings));
    });
}

const isReady = (findings: readonly Finding[]): boolean =>
  findings.every((f) => f.found || f.need !== 'build');

function render(findings: readonly Finding[]): string {
  const rows = findings.map((f) => [f.found ? 'found' : 'missing', f.name, f.detail ?? '']);
  const table = renderTable(
    [
      { title: '', align: 'left' },
      { title: '', align: 'left' },
      { title: '', align: 'left' },
    ],
    rows,
  ).trimStart();
  const lacking = findings.filter((f) => !f.found);
  const notes = lacking.map(
    (f) => `${f.name} would bring: ${f.brings}${f.get === undefined ? '' : `\n  ${f.get}`}`,
  );
  const verdict = isReady(findings)
    ? 'Everything that is needed is here.'
    : 'The native core cannot be built before what is needed is installed.';
  return [table, '', verdict, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}
