import fc from 'fast-check';

/** One variable replays every suite; printed by fast-check with the counterexample otherwise. */
const given = process.env['REFRAMER_SEED'];

export const seed: number = given === undefined ? Date.now() & 0x7fffffff : Number(given);

fc.configureGlobal({ seed });
