import { HarnessError } from '../core/errors.js';

/** "host:port" of a tester's remote interface. */
export function addressOf(text: string): { host: string; port: number } {
  const [, host, port] = /^(.+):(\d+)$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65535)
    throw new HarnessError('bad-bed', `tester.address is '${text}'; write HOST:PORT`, 2);
  return { host, port: Number(port) };
}
