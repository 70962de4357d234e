// Every function that TypeScript calls, against what the public headers declare: result, number of
// parameters, and the type of each.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import { balancerFunctions } from '../native/binding-balancer.js';
import { captureFunctions } from '../native/binding-capture.js';
import { sharedFunctions } from '../native/binding-conntrack-shared.js';
import { conntrackFunctions } from '../native/binding-conntrack.js';
import { reframerFunctions } from '../native/binding-reframer.js';
import { rssppFunctions } from '../native/binding-rsspp.js';
import { prototypes } from '../native/binding.js';
import { packageRoot } from '../native/loader.js';

interface Signature {
  result: string;
  parameters: string[];
}

const include = join(packageRoot, 'native/include/reframer');

/** Types as both sides write them: no names, structs by their tag, arrays and callbacks as pointers. */
function typeOf(declaration: string, named: boolean): string {
  const text = declaration
    .replace(/\b(_Out_|_Inout_|struct)\b/g, '')
    .replace(/\benum \w+/g, 'int')
    .replace(/\[\w*\]/g, '*')
    .replace(/\*/g, ' * ')
    .replace(/\s+/g, ' ')
    .trim();
  const words = text.split(' ');
  // An array's star stands behind the name.
  if (named) {
    const at = words.findLastIndex((word) => /^\w+$/.test(word));
    if (at > 0) words.splice(at, 1);
  }
  return words.join(' ').replace(/^(\w+_fn)( \*)?$/, '$1 *');
}

function signature(prototype: string): [name: string, signature: Signature] | undefined {
  const match = /^(.*?)\b(\w+)\s*\(([^]*)\)$/.exec(prototype.replace(/\s+/g, ' ').trim());
  if (match === null) return undefined;
  const [, result = '', name = '', list = ''] = match;
  const parameters = list.trim() === 'void' || list.trim() === '' ? [] : list.split(',');
  return [
    name,
    {
      result: typeOf(result, false),
      parameters: parameters.map((parameter) => typeOf(parameter, true)),
    },
  ];
}

const declared = new Map(
  readdirSync(include, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.h'))
    .flatMap((file) =>
      readFileSync(join(include, file), 'utf8')
        .replace(/\/\*[^]*?\*\//g, '')
        .replace(/^#.*$/gm, '')
        .replace(/^static inline [^]*?^\}/gm, '')
        .replace(/^(enum|struct) \w+ \{[^]*?^\};/gm, '')
        .split(';')
        .map((text) => text.replace(/extern "C" \{/g, ''))
        .filter((text) => /\b(reframer|conntrack|rsspp|balancer)_\w+\s*\(/.test(text))
        .map(signature)
        .filter((found) => found !== undefined),
    ),
);

/** May a caller who says `bound` call what is declared as `real`? */
function fits(bound: string, real: string): boolean {
  const pointer = (type: string): boolean => type.endsWith('*');
  if (bound === real) return true;
  // Columns and opaque handles go as void pointers; what the library only reads may be const here.
  if (!pointer(bound) || !pointer(real)) return false;
  const plain = bound.replace(/\bconst /, '');
  return plain === 'void *' || plain === real.replace(/\bconst /g, '');
}

test('a wrong signature is seen', () => {
  const [, real] = signature('int f(const struct a *x, uint32_t n, uint8_t key[16])') ?? [];
  expect(real).toEqual({ result: 'int', parameters: ['const a *', 'uint32_t', 'uint8_t *'] });
  expect(fits('const a *', 'const a *')).toBe(true);
  expect(fits('void *', 'uint8_t *')).toBe(true);
  expect(fits('uint64_t', 'uint32_t')).toBe(false);
  expect(fits('b *', 'const a *')).toBe(false);
  expect(fits('uint32_t', 'const a *')).toBe(false);
});

test('every function that TypeScript calls is called as its header declares it', () => {
  balancerFunctions();
  reframerFunctions();
  rssppFunctions();
  conntrackFunctions();
  sharedFunctions();
  captureFunctions();
  expect(declared.size).toBeGreaterThan(90);
  expect(prototypes.length).toBeGreaterThan(60);
  const wrong = prototypes.flatMap((prototype) => {
    const [name = '', bound] = signature(prototype) ?? [];
    const real = declared.get(name);
    if (bound === undefined || real === undefined) return [`${prototype}: no header declares it`];
    const right =
      bound.parameters.length === real.parameters.length &&
      fits(bound.result, real.result) &&
      bound.parameters.every((parameter, i) => fits(parameter, real.parameters[i] ?? ''));
    return right ? [] : [{ bound: prototype, real }];
  });
  expect(wrong).toEqual([]);
});
