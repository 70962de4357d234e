// Structs that a binding declares, against what a C compiler makes of the public header.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';

import { ffi } from '../../native/binding.js';
import { packageRoot } from '../../native/loader.js';

/** Sizes and offsets of every struct `<prefix>_<name>` of include/reframer/<header>.h; returns how many. */
export function expectLayouts(
  prefix: string,
  structs: Readonly<Record<string, ReturnType<typeof ffi.struct>>>,
  header = prefix,
): number {
  const folder = mkdtempSync(join(tmpdir(), 'reframer-layout-'));
  try {
    const declared = Object.entries(structs).flatMap(([name, type]) => {
      const members = Object.keys(ffi.type(type).members ?? {});
      return [
        { expression: `sizeof(struct ${prefix}_${name})`, value: ffi.sizeof(type) },
        ...members.map((member) => ({
          expression: `offsetof(struct ${prefix}_${name}, ${member})`,
          value: ffi.offsetof(type, member),
        })),
      ];
    });
    const checks = declared.map(({ expression }) => `printf("%zu\\n", (size_t)${expression});`);
    writeFileSync(
      join(folder, 'layout.c'),
      `#include <reframer/${header}.h>\n#include <stddef.h>\n#include <stdio.h>\nint main(void) { ${checks.join('\n')} return 0; }\n`,
    );
    execFileSync('cc', [
      '-I',
      join(packageRoot, 'native/include'),
      '-o',
      join(folder, 'layout'),
      join(folder, 'layout.c'),
    ]);
    const compiled = execFileSync(join(folder, 'layout'), { encoding: 'utf8' })
      .trim()
      .split('\n')
      .map(Number);
    expect(declared.map(({ expression, value }) => `${expression} = ${value}`)).toEqual(
      declared.map(({ expression }, i) => `${expression} = ${compiled[i]}`),
    );
    return declared.length;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
