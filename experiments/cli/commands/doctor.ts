// `reframer doctor`: what this machine has, what it lacks, and what each missing thing would bring.
import type { Command } from 'commander';

import { examine, type Finding } from '../doctor.js';
import { examinePort } from '../doctor-port.js';
import { exitCodes } from '../errors.js';
import { print, printJson, renderTable } from '../output.js';

export function register(program: Command): void {
  program
    .command('doctor')
    .description('what was found on this machine, and what each missing thing would bring')
    .option('--port <address>', 'what this NIC lacks before DPDK can take it: 0000:3b:00.0')
    .option('--json', 'print {"findings":[...]}')
    .action(async (options: { json?: boolean; port?: string }) => {
      if (options.port !== undefined) return printPort(options.port, options.json === true);
      const findings = await examine();
      if (options.json === true) return printJson({ ready: isReady(findings), findings });
      print(render(findings));
    });
}

const isReady = (findings: readonly Finding[]): boolean =>
  findings.every((f) => f.found || f.need !== 'build');

/** Exit code 3 where something is missing: a script may ask before it starts a run. */
function printPort(port: string, json: boolean): void {
  const findings = examinePort(port);
  const ready = findings.every((f) => f.found);
  process.exitCode = ready ? exitCodes.ok : exitCodes.notSupported;
  if (json) return printJson({ ready, findings });
  print(
    render(findings, {
      ready: `DPDK can take ${port}: npx reframer run --hugepages --in ${port} --out ${port}`,
      lacking: `DPDK cannot take ${port} yet, or not well.`,
    }),
  );
}

const wholeMachine = {
  ready: 'Everything that is needed is here.',
  lacking: 'The native core cannot be built before what is needed is installed.',
};

function render(findings: readonly Finding[], words = wholeMachine): string {
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
  const ready = words === wholeMachine ? isReady(findings) : lacking.length === 0;
  const verdict = ready ? words.ready : words.lacking;
  return [table, '', verdict, ...(notes.length > 0 ? ['', ...notes] : [])].join('\n');
}
