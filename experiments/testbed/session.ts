// A native job of the bed, on whichever host, that is talked to line by line.
import { SessionError, NativeSession } from '../../native/session.js';
import { HarnessError } from '../core/errors.js';
import { shellWord } from '../core/shell.js';
import type { JsonObject } from '../core/types.js';
import type { Place } from './probe.js';

interface Reply extends JsonObject {
  ready?: JsonObject;
  error?: { code: string; message: string };
  failed?: string;
}

export interface Session {
  place: Place;
  ready: JsonObject;
  native: NativeSession<Reply>;
  /** Once its process is gone. */
  close: () => Promise<void>;
}

/**
 * The file of a memif's socket outlives a process that was killed, and DPDK takes it for one in use. Where
 * nobody has it bound, it is rubbish.
 */
async function clearSockets({ host, role }: Place): Promise<void> {
  for (const port of role.ports) {
    const file = /^net_memif.*,socket=([^,]+)/.exec(port)?.[1];
    if (file === undefined || !port.includes('role=server') || !port.includes('socket-abstract=no'))
      continue;
    await host.shell(
      `test -S ${shellWord(file)} && ! grep -qF ${shellWord(` ${file}`)} /proc/net/unix && rm -f ${shellWord(file)}; true`,
    );
  }
}

/** What DPDK says is of its own options; the bed's file has ports. */
function inTermsOfTheBed(message: string, { role }: Place): string {
  if (message.includes('EAL does not come up'))
    return message.replace(/; its options.*/, `: is there a device ${role.ports.join(' and ')}?`);
  if (/does not start.*not permitted/.test(message))
    return `${message}: is its other end up, under the same name?`;
  return message.replace(
    /; --eal makes or allows one.*/,
    '; is it bound to a driver of DPDK there?',
  );
}

const exitCodes: Readonly<Record<string, number>> = { 'bad-spec': 2, 'not-supported': 3 };

/** @throws HarnessError with what the job said in place of being ready */
export async function openSession(
  place: Place,
  job: string,
  spec: JsonObject,
  signal?: AbortSignal,
): Promise<Session> {
  const { host, program, environment } = place;
  await clearSockets(place);
  let native: NativeSession<Reply>;
  try {
    native = await NativeSession.run<Reply>(
      host.command([...environment, program, job, '-']),
      spec,
      signal,
    );
  } catch (error) {
    throw new HarnessError('bed', `${host.name}: ${(error as Error).message}`);
  }
  const { ready, error } = native.first;
  if (ready === undefined) {
    await native.close();
    const code = error?.code ?? 'bed';
    throw new HarnessError(
      code,
      `${host.name}: ${inTermsOfTheBed(error?.message ?? 'it did not get ready', place)}`,
      exitCodes[code] ?? 1,
    );
  }
  return { place, ready, native, close: () => native.close() };
}

/** @throws HarnessError where the job refuses, or has died */
export async function ask<T extends JsonObject>(session: Session, command: JsonObject): Promise<T> {
  try {
    const reply = await session.native.ask(command);
    const refused = reply.failed ?? reply.error?.message;
    if (refused === undefined) return reply as unknown as T;
    throw new HarnessError('bed', `${session.place.host.name}: ${refused}`);
  } catch (error) {
    if (!(error instanceof SessionError)) throw error;
    throw new HarnessError(
      'bed-died',
      `${session.place.host.name}: its process ended while it was asked to ${JSON.stringify(command.do)}`,
    );
  }
}
