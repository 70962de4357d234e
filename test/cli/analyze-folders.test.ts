// `analyze` of folders and of many files: one process, and what is damaged is told apart.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';

import { reframer, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
mkdirSync(folder.file('all/deep'), { recursive: true });
mkdirSync(folder.file('empty'));
const sound = pcap([{ bytes: frame(), timeNs: 1n }]);
for (let i = 0; i < 200; i++)
  writeFileSync(folder.file(`all/${String(i).padStart(3, '0')}.pcap`), sound);
writeFileSync(folder.file('all/050.pcap'), sound.subarray(0, 30));
writeFileSync(folder.file('all/deep/last.pcap'), sound);
writeFileSync(folder.file('all/notes.txt'), 'no capture');

test('a folder is its captures, in the order of their names', { timeout: 120_000 }, async () => {
  const { stdout, code } = await reframer(['analyze', folder.file('all'), '--json', '--quiet']);
  expect(code).toBe(1);
  const { files, errors } = JSON.parse(stdout) as {
    files: { file: string; packets: number }[];
    errors: { file: string; code: string }[];
  };
  expect(files).toHaveLength(200);
  expect(files.map(({ file }) => file)).toEqual(files.map(({ file }) => file).sort());
  expect(files.at(-1)?.file).toBe(folder.file('all/deep/last.pcap'));
  expect(files.every(({ packets }) => packets === 1)).toBe(true);
  expect(errors).toMatchObject([{ file: folder.file('all/050.pcap'), code: 'capture-damaged' }]);
});

test('links in a folder are the captures that they lead to', async () => {
  const links = folder.file('links');
  mkdirSync(links);
  symlinkSync('../all/000.pcap', `${links}/a.pcap`);
  symlinkSync('../nowhere.pcap', `${links}/gone.pcap`);
  symlinkSync('../all', `${links}/folder.pcap`);
  const { stdout, code } = await reframer(['analyze', links, '--json', '--quiet']);
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    files: [{ file: `${links}/a.pcap`, packets: 1 }],
    errors: [{ file: `${links}/gone.pcap` }],
  });
});

test('a folder without captures is told', async () => {
  const { stderr, code } = await reframer(['analyze', folder.file('empty'), '--quiet']);
  expect(code).toBe(1);
  expect(stderr).toContain('a folder without captures');
});
