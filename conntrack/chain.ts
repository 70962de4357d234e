import type { StateSchema } from './schema.js';

/** What each function of a chain keeps of a flow: `{ counter: { packets: 'u64' }, nat: { port: 'u16' } }`. */
export type ChainSlices = Readonly<Record<string, StateSchema>>;

/** Names of what all functions of a chain keep: `counter.packets`. */
export type ChainNames<C extends ChainSlices> = {
  [F in keyof C & string]: `${F}.${keyof C[F] & string}`;
}[keyof C & string];

/** The state of a flow of such a chain: its members are called `counter.packets`. */
export type ChainState<C extends ChainSlices> = {
  readonly [N in ChainNames<C>]: N extends `${infer F}.${infer M}`
    ? F extends keyof C
      ? M extends keyof C[F]
        ? C[F][M]
        : never
      : never
    : never;
};

/**
 * The state of a tracker whose flows carry what all functions of a chain keep: one lookup serves them
 * all. Slices begin at multiples of eight bytes, as those of `conntrack_chain_add()` in C do.
 *
 * ```ts
 * const state = chainState({ counter: { packets: 'u64' }, nat: { port: 'u16', address: 'u32' } });
 * using tracker = new FlowTracker({ state });
 * tracker.add(keys, now, { 'counter.packets': 1 });
 * for (const flow of tracker.flows(now)) sliceOf(flow.values, 'nat').port;
 * ```
 */
export function chainState<const C extends ChainSlices>(slices: C): ChainState<C> {
  const members = Object.entries(slices).flatMap(([name, slice]) =>
    Object.entries(slice).map(([member, type]) => [`${name}.${member}`, type] as const),
  );
  // The names are those that the type spells out.
  return Object.fromEntries(members) as unknown as ChainState<C>;
}

/** Members of the values of a state that are of one function's slice, by their own names. */
export type SliceValues<V extends object, F extends string> = {
  [N in keyof V as N extends `${F}.${infer M}` ? M : never]: V[N];
};

/** The members of one function's slice. */
export function sliceOf<V extends object, F extends string>(values: V, name: F): SliceValues<V, F> {
  const prefix = `${name}.`;
  const own = Object.entries(values)
    .filter(([member]) => member.startsWith(prefix))
    .map(([member, value]) => [member.slice(prefix.length), value as unknown]);
  return Object.fromEntries(own) as SliceValues<V, F>;
}
