// A load balancer in the hands of a caller who mixes things up.
import { expect, test } from 'vitest';

import { LoadBalancer, LoadBalancerError } from '../../balancer/index.js';

const service = '192.0.2.1';

const told = (action: () => unknown): [string, string?] | undefined => {
  try {
    action();
  } catch (error) {
    if (!(error instanceof LoadBalancerError)) throw error;
    return error.option === undefined ? [error.code] : [error.code, error.option];
  }
  return undefined;
};

test('options that are none, or no numbers, are refused by name', () => {
  for (const [option, value] of [
    ['polcy', 'least'],
    ['maxConnections', 100.5],
    ['maxConnections', Number.NaN],
    ['maxConnections', -1],
    ['openingNs', 1.5e9 + 0.5],
    ['establishedNs', -1],
    ['udpNs', Number.NaN],
    ['closingNs', -1n],
  ] as const)
    expect(told(() => new LoadBalancer({ service, [option]: value }))).toEqual([
      'bad-option',
      option,
    ]);
  using balancer = new LoadBalancer({ service });
  expect(told(() => balancer.add('10.0.0.1', { wieght: 3 } as object))).toEqual([
    'bad-option',
    'wieght',
  ]);
  expect(told(() => balancer.add('10.0.0.1', { weight: 1001 }))).toEqual(['bad-option', 'weight']);
  expect(told(() => balancer.setQuic({ rotaton: 3 } as object))).toEqual(['bad-option', 'rotaton']);
});

test('a service, an address or frames that are not there are told', () => {
  for (const odd of [undefined, null, 5, {}] as unknown as string[]) {
    expect(told(() => new LoadBalancer({ service: odd }))).toEqual(['bad-option', 'service']);
    using balancer = new LoadBalancer({ service });
    expect(told(() => balancer.add(odd))).toEqual(['bad-option', 'address']);
    expect(told(() => balancer.process(odd as unknown as Uint8Array[], 0))).toEqual(['bad-frame']);
  }
});

test('an id that is none means no server', () => {
  using balancer = new LoadBalancer({ service });
  const id = balancer.add('10.0.0.1');
  expect(id).toBe(0);
  for (const odd of [Number.NaN, 0.5, -1, 2 ** 32, undefined as unknown as number])
    for (const change of [
      (of: number) => balancer.drain(of),
      (of: number) => balancer.activate(of),
      (of: number) => balancer.remove(of),
      (of: number) => balancer.setWeight(of, 2),
      (of: number) => balancer.reportLoad(of, 1),
      (of: number) => balancer.direct(new Uint8Array(60), of),
    ])
      expect(told(() => change(odd))).toEqual(['no-server']);
  expect(balancer.servers()).toEqual([0]);
  expect(balancer.stats()).toMatchObject({ active: 1, draining: 0 });
});

test('frames that are none are refused before any is rewritten', () => {
  using balancer = new LoadBalancer({ service });
  balancer.add('10.0.0.1');
  balancer.process([new Uint8Array(60), new Uint8Array(60)], 0);
  const gap = new Array<Uint8Array>(2);
  gap[1] = new Uint8Array(60);
  for (const frames of [gap, [undefined], ['frame'], [new Uint16Array(30)]] as Uint8Array[][])
    expect(told(() => balancer.process(frames, 0))).toEqual(['bad-frame']);
  expect(told(() => balancer.direct('frame' as unknown as Uint8Array, 0))).toEqual(['bad-frame']);
  // Empty ones, and those whose memory went elsewhere, are for nobody.
  const gone = new Uint8Array(60);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  expect(balancer.process([new Uint8Array(0), gone], 0)).toHaveLength(2);
  expect(balancer.process([], 0)).toEqual([]);
});

test('cores and loads that are none are refused', () => {
  using balancer = new LoadBalancer({ service, policy: 'cross-rss' });
  const id = balancer.add('10.0.0.1');
  const key = new Uint8Array(40);
  for (const table of [
    [0, 65_536],
    [0, Number.NaN],
    [0, 1.5],
    [0, -1],
  ])
    expect(told(() => balancer.setCores(id, { key, table }))).toEqual(['bad-option', 'table']);
  expect(told(() => balancer.setCores(id, { key, table: [] }))).toEqual(['bad-option', 'table']);
  for (const cores of [2.5, 2 ** 32 + 2])
    expect(told(() => balancer.setCores(id, { key, table: [0, 1], cores }))).toEqual([
      'bad-option',
      'cores',
    ]);
  balancer.setCores(id, { key, table: [0, 1] });
  for (const loads of [
    [0, Number.NaN],
    [-1, 0],
    [0, Infinity],
    [0, 1e39],
  ])
    expect(told(() => balancer.reportCores(id, loads))).toEqual(['bad-option', 'loads']);
  balancer.reportCores(id, [0.5, 0]);
});
