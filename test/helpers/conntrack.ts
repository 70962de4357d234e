// What the suites of the flow tracker's API share.
import { ConntrackError } from '../../conntrack/index.js';

/** Keys of kind ipv4 that differ in their first four bytes. */
export const keys = (...numbers: number[]): Uint8Array => {
  const bytes = new Uint8Array(16 * numbers.length);
  numbers.forEach((n, i) => new DataView(bytes.buffer).setUint32(16 * i, n));
  return bytes;
};

/** Code of the ConntrackError that an action throws; the text of any other error; undefined without one. */
export const codeOf = (action: () => unknown): string | undefined => {
  try {
    action();
  } catch (error) {
    return error instanceof ConntrackError ? error.code : String(error);
  }
  return undefined;
};
