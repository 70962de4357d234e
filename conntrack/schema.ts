import { ConntrackError } from './errors.js';

/** A number in a state: unsigned, signed or floating point, of so many bits. */
export type StateType = 'u8' | 'u16' | 'u32' | 'u64' | 'i32' | 'i64' | 'f64';

/** What a flow's state is made of: `{ packets: 'u64', bytes: 'u64' }`. At most 512 bytes. */
export type StateSchema = Readonly<Record<string, StateType>>;

/** The numbers of one state: bigint where they have 64 bits, else number. */
export type StateValues<S extends StateSchema> = {
  -readonly [K in keyof S]: S[K] extends 'u64' | 'i64' ? bigint : number;
};

/** Names of the members that `add` can add to. */
export type CounterOf<S extends StateSchema> = {
  [K in keyof S]: S[K] extends 'u32' | 'u64' ? K : never;
}[keyof S];

const types: Readonly<Record<StateType, number>> = {
  u8: 1,
  u16: 2,
  u32: 4,
  u64: 8,
  i32: 4,
  i64: 8,
  f64: 8,
};

/** Where a number is in a state. @internal */
export interface StateMember {
  type: StateType;
  offset: number;
  bytes: number;
}

const mostBytes = 512;

/** Members in the order given, each at a multiple of its size. @internal */
export class StateLayout {
  readonly bytes: number;
  readonly #members: ReadonlyMap<string, StateMember>;

  constructor(schema: StateSchema) {
    const members = new Map<string, StateMember>();
    let at = 0;
    let slice = '';
    for (const [name, type] of Object.entries(schema)) {
      // Of a chain each function's slice begins anew (chain.ts).
      const of = name.slice(0, name.indexOf('.') + 1);
      if (of !== slice) at = Math.ceil(at / 8) * 8;
      slice = of;
      const bytes = (types as Partial<Record<string, number>>)[type];
      if (bytes === undefined)
        throw new ConntrackError(
          'bad-option',
          `state.${name} is '${type}', must be one of ${Object.keys(types).join(', ')}`,
          'state',
        );
      const offset = Math.ceil(at / bytes) * bytes;
      members.set(name, { type, offset, bytes });
      at = offset + bytes;
    }
    this.bytes = Math.max(8, Math.ceil(at / 8) * 8);
    if (this.bytes > mostBytes)
      throw new ConntrackError(
        'bad-option',
        `state takes ${this.bytes} bytes, at most ${mostBytes} are possible`,
        'state',
      );
    this.#members = members;
  }

  member(name: string): StateMember {
    const found = this.#members.get(name);
    if (found !== undefined) return found;
    throw new ConntrackError(
      'bad-option',
      `there is no '${name}' in the state; there are ${[...this.#members.keys()].join(', ')}`,
      name,
    );
  }

  values(view: DataView, at: number): Record<string, number | bigint> {
    const values: Record<string, number | bigint> = {};
    for (const [name, member] of this.#members) values[name] = readMember(view, at, member);
    return values;
  }
}

// States are native memory: little endian, as every machine that this runs on.
/** @internal */
export function readMember(
  view: DataView,
  at: number,
  { type, offset }: StateMember,
): number | bigint {
  const place = at + offset;
  switch (type) {
    case 'u8':
      return view.getUint8(place);
    case 'u16':
      return view.getUint16(place, true);
    case 'u32':
      return view.getUint32(place, true);
    case 'u64':
      return view.getBigUint64(place, true);
    case 'i32':
      return view.getInt32(place, true);
    case 'i64':
      return view.getBigInt64(place, true);
    case 'f64':
      return view.getFloat64(place, true);
  }
}

/** @internal */
export function writeMember(
  view: DataView,
  at: number,
  { type, offset }: StateMember,
  value: number | bigint,
): void {
  const place = at + offset;
  switch (type) {
    case 'u8':
      return view.setUint8(place, Number(value));
    case 'u16':
      return view.setUint16(place, Number(value), true);
    case 'u32':
      return view.setUint32(place, Number(value), true);
    case 'u64':
      return view.setBigUint64(place, BigInt(value), true);
    case 'i32':
      return view.setInt32(place, Number(value), true);
    case 'i64':
      return view.setBigInt64(place, BigInt(value), true);
    case 'f64':
      return view.setFloat64(place, Number(value), true);
  }
}
