// Times and durations: nanoseconds, as bigint or as a number that holds them exactly.

/** Nanoseconds of any monotonic clock: `process.hrtime.bigint()`, or a virtual clock's number. */
export type Time = number | bigint;

/** Is it whole nanoseconds from 0, exact? The largest 64-bit value means "no time" below. */
export function isTime(time: unknown): time is Time {
  return typeof time === 'bigint'
    ? time >= 0n && time < 0xffff_ffff_ffff_ffffn
    : Number.isSafeInteger(time) && (time as number) >= 0;
}

/** What an error says of a time that is none. */
export const noTime = (name: string, time: unknown): string =>
  `${name} is ${String(time)}: whole nanoseconds from 0; beyond 2^53 pass a bigint`;

/** As a number; what a number does not hold exactly becomes infinite, which no range allows. */
export const asNumber = (time: Time): number => {
  const number = Number(time);
  return typeof time === 'number' || Number.isSafeInteger(number) ? number : Infinity;
};
