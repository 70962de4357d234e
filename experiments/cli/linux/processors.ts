// Which two processors a measurement of the kernel has: those that the suite gives its trials, unless named.
import { allowedCpus, usableCpus } from '../../core/context.js';
import { CliError, exitCodes, UsageError } from '../errors.js';
import { parseCount } from '../units.js';

export type TwoProcessors = readonly [number, number];

/**
 * The second is no thread of the first one's core, where there is another.
 * @param named as "0,1"; @throws UsageError; CliError where there are not two
 */
export function twoProcessors(named: string | undefined): TwoProcessors {
  const words = (named ?? usableCpus() ?? '').split(',').filter((word) => word.trim() !== '');
  const [first, second, ...more] = words.map((word) => parseCount(word.trim(), '--cpus'));
  if (first !== undefined && second !== undefined && first !== second && more.length === 0)
    return [first, second];
  if (named !== undefined) throw new UsageError('--cpus: two different processors, as 0,1');
  throw new CliError(
    'not-supported',
    'this measurement needs two processors, and taskset (Debian package util-linux)',
    exitCodes.notSupported,
  );
}

/** A third one for a box between the two; where there is none, the second's. */
export const thirdProcessor = ([first, second]: TwoProcessors): number =>
  allowedCpus().find((cpu) => cpu !== first && cpu !== second) ?? second;
