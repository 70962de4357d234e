// Figures of the READMEs and of docs/RELIABILITY.md, from the reference runs: npm run docs:figures
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { filled, readmeText, withFigures } = await import(
  join(root, 'dist', 'experiments', 'report', 'readme.js')
);
for (const file of withFigures) {
  const before = readmeText(file);
  const after = filled(before, file);
  if (after === before) continue;
  writeFileSync(join(root, file), after);
  process.stdout.write(`${file}\n`);
}
