// The structs that the binding declares, against what a C compiler makes of the header.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { ffi } from '../../native/binding.js';
import { structs } from '../../native/binding-reframer.js';
import { packageRoot } from '../../native/loader.js';

test('struct layouts equal those of the C header', () => {
  const folder = mkdtempSync(join(tmpdir(), 'reframer-layout-'));
  try {
    const declared = Object.entries(structs).flatMap(([name, type]) => {
      const members = Object.keys(ffi.type(type).members ?? {});
      return [
        { expression: `sizeof(struct reframer_${name})`, value: ffi.sizeof(type) },
        ...members.map((member) => ({ expression: `offsetof(struct reframer_${name}, ${member})`, value: ffi.offsetof(type, member) })),
      ];
    });
    expect(declared.length).toBeGreaterThan(60);
    const checks = declared.map(({ expression }) => `printf("%zu\\n", (size_t)${expression});`);
    writeFileSync(join(folder, 'layout.c'), `#include <reframer/reframer.h>\n#include <stdio.h>\nint main(void) { ${checks.join('\n')} return 0; }\n`);
    execFileSync('cc', ['-I', join(packageRoot, 'native/include'), '-o', join(folder, 'layout'), join(folder, 'layout.c')]);
    const compiled = execFileSync(join(folder, 'layout'), { encoding: 'utf8' }).trim().split('\n').map(Number);
    expect(declared.map(({ expression, value }) => `${expression} = ${value}`)).toEqual(
      declared.map(({ expression }, i) => `${expression} = ${compiled[i]}`),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
