// Quantities as people type them.
import { describe, expect, test } from 'vitest';

import { firstCpus } from '../../experiments/cli/linux/cpumap.js';
import { parseKernel } from '../../experiments/cli/linux/kernels.js';
import {
  counted,
  formatFew,
  formatRate,
  parseCount,
  parseDuration,
  parseHold,
  parseLooks,
  parseMilliseconds,
  parseRate,
} from '../../experiments/cli/units.js';

describe('quantities', () => {
  test('with decimals are what they say, to the last digit', () => {
    for (let tenths = 1; tenths < 100; tenths++) {
      const text = `${Math.floor(tenths / 10)}.${tenths % 10}`;
      expect(parseCount(`${text}k`, '--n')).toBe(tenths * 100);
      expect(parseCount(`${text}M`, '--n')).toBe(tenths * 100_000);
      expect(parseRate(`${text}Gbps`, '--n')).toBe(tenths * 1e8);
      expect(parseDuration(`${text}us`, '--n')).toBe(tenths * 100);
    }
    expect(parseCount('1.5e3', '--n')).toBe(1500);
    expect(parseCount('1e6', '--n')).toBe(1_000_000);
    expect(parseCount('2e3k', '--n')).toBe(2_000_000);
    expect(parseDuration('0.5ns', '--n')).toBe(1);
    expect(parseDuration('0', '--n')).toBe(0);
    expect(parseDuration('1.1min', '--n')).toBe(66e9);
    expect(parseDuration('2 h', '--n')).toBe(7200e9);
  });

  test('have the units that a network knows', () => {
    expect(parseRate('40Gbit/s', '--n')).toBe(40e9);
    expect(parseRate('10 mbit/s', '--n')).toBe(10e6);
    expect(parseRate('native', '--n')).toBe('native');
  });

  test('are shown as they are read: small ones too, and one of a kind', () => {
    expect([0.06, 60.7, 999, 1500, 2.5e6, 7e9].map(formatRate)).toEqual([
      '0.06 bps',
      '60.7 bps',
      '999 bps',
      '1.5 kbps',
      '2.5 Mbps',
      '7 Gbps',
    ]);
    expect([0, 1e-9, 0.316, 5.5, 1234.4].map(formatFew)).toEqual([
      '0',
      'less than 0.001',
      '0.316',
      '5.5',
      '1,234',
    ]);
    expect(counted(1, 'packet')).toBe('1 packet');
    expect(counted(0, 'packet')).toBe('0 packets');
    expect(counted(2000, 'entry', 'entries')).toBe('2,000 entries');
  });

  test('that are none are refused with the option', () => {
    for (const text of [
      '',
      'x',
      '-1',
      '1.',
      '.5k',
      '0.5',
      '1e400',
      '4.0001k',
      '1constructor',
      '1/',
    ])
      expect(() => parseCount(text, '--n')).toThrow(/^--n: /);
    for (const text of ['', '1', '1m', '-1s', '1e400s', '1S', '1toString', 'Infinitys'])
      expect(() => parseDuration(text, '--n')).toThrow(/^--n: /);
    for (const text of ['0Gbps', '1e400bps', '40', '1Gbit', '5/s'])
      expect(() => parseRate(text, '--n')).toThrow(/^--n: /);
    expect(() => parseHold('1.1s', '--n')).toThrow(/longer than 1s/);
    expect(() => parseMilliseconds('0', '--n')).toThrow(/shorter than 1ms/);
    expect(() => parseLooks('9.9ms', '--n')).toThrow(/^--n: '9.9ms' is shorter than 10ms$/);
    expect(parseLooks('10ms', '--n')).toBe(10);
  });

  test('of CPUs become the masks that sysfs reads', () => {
    expect([1, 2, 32].map(firstCpus)).toEqual(['1', '3', 'ffffffff']);
    expect(firstCpus(33)).toBe('1,ffffffff');
    expect(firstCpus(64)).toBe('ffffffff,ffffffff');
    expect(firstCpus(100)).toBe('f,ffffffff,ffffffff,ffffffff');
  });

  test('a kernel is named by words of the list only', () => {
    for (const word of ['constructor', 'toString', 'hash8-valueOf'])
      expect(() => parseKernel(word)).toThrow(/^--kernels: /);
    expect(parseKernel('hash8-timer64')).toMatchObject({ queues: 8, flushNs: 64_000 });
  });
});
