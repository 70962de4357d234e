// The file of a bed: what is refused, and what becomes of its ports.
import { expect, test } from 'vitest';

import { ealOf, parseBed } from '../../experiments/testbed/bed.js';

test.each([
  ['{', /Expected property name|JSON/],
  ['[]', /must be an object with dut and tester/],
  [{ tester: { tx: 'a' } }, /: dut is missing$/],
  [{ dut: { in: 'a' } }, /: tester is missing$/],
  [{ dut: {}, tester: { tx: 'a' } }, /: dut\.in is missing$/],
  [{ dut: { in: 'a', queues: 0 }, tester: { tx: 'a' } }, /dut\.queues must be a whole number/],
  [{ dut: { in: 'a', qeues: 2 }, tester: { tx: 'a' } }, /dut\.qeues is not known here/],
  [{ dut: { in: 'a', host: 'dut' }, tester: { tx: 'a' } }, /dut\.host is 'dut'; write local/],
  [{ dut: { in: 'a' }, tester: { tx: 'a', kind: 'ixia' } }, /tester\.kind is 'ixia'/],
  [{ dut: { in: 'a' }, tester: { tx: 'a', kind: 'tcpreplay' } }, /capture is missing/],
])('a bed file %j is refused by its member', (bed, words) => {
  expect(() => parseBed(typeof bed === 'string' ? bed : JSON.stringify(bed), 'bed.json')).toThrow(
    words,
  );
});

test('ports of a bed become options of EAL', () => {
  const { dut, tester } = parseBed(
    JSON.stringify({ dut: { in: '0000:3b:00.0' }, tester: { tx: 'af_packet:veth0' } }),
    'bed.json',
  );
  expect([dut.hugepages, tester.hugepages]).toEqual([true, false]);
  expect(ealOf(dut).join(' ')).toContain('-a 0000:3b:00.0');
  expect(ealOf(tester)).toContain('--vdev=net_af_packet0,iface=veth0,qpairs=1,framecnt=4096');
  // A queue is a socket, and one that nobody polls would lose its share.
  expect(ealOf({ ...tester, queues: 2 }).join(' ')).toContain('qpairs=2');
  expect([tester.tx, tester.rx]).toEqual(['net_af_packet0', 'net_af_packet0']);
});
