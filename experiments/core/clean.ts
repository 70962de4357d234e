// Text that others wrote: file names, journals, telemetry. What a terminal obeys, what no XML may hold
// and what turns the order of reading round is shown by its number instead.

// C0 but for tab and newline, DEL, C1, line and paragraph separators, marks and overrides of direction,
// and what is no character; a lone surrogate too.
const unprintable =
  // eslint-disable-next-line no-control-regex
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const unprintableOrBreak = new RegExp(`[\\t\\n]|${unprintable.source}`, 'g');

const shown = (char: string): string => {
  const code = char.charCodeAt(0);
  return code < 0x100
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`;
};

/** Several lines stay several lines. */
export const cleanText = (text: string): string => text.replace(unprintable, shown);

/** For a cell, a name, a label: one line. */
export const cleanLine = (text: string): string =>
  text.replace(unprintableOrBreak, (char) => (char === '\n' || char === '\t' ? ' ' : shown(char)));

/** Values nested deeper than this are nobody's data. */
export const deepest = 64;

/** @returns the value with every string and name in it on one clean line. @throws RangeError: nested too deep */
export function cleanValue(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return cleanLine(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= deepest) throw new RangeError(`nested deeper than ${deepest}`);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++)
      (value as unknown[])[i] = cleanValue(value[i], depth + 1);
    return value as unknown[];
  }
  const members = value as Record<string, unknown>;
  for (const [name, member] of Object.entries(members)) {
    const cleaned = cleanValue(member, depth + 1);
    const clean = cleanLine(name);
    if (clean !== name) delete members[name];
    // A name like __proto__ stays a member, and sets nothing.
    if (cleaned !== member || clean !== name)
      Object.defineProperty(members, clean, {
        value: cleaned,
        writable: true,
        enumerable: true,
        configurable: true,
      });
  }
  return members;
}
