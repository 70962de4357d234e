// Flows of fragments, however many datagrams are under way at a time and whichever fragment comes first.
import { writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';

import { reframerJson, temporaryFolder } from '../helpers/cli.js';
import { frame, pcap } from '../helpers/frames.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const analyzed = async (
  nbDatagrams: number,
  parts: readonly number[],
): Promise<{ flows: number; slf: number }> => {
  const frames = parts.flatMap((part, round) =>
    Array.from({ length: nbDatagrams }, (_, i) => ({
      bytes: frame({
        sourcePort: 1000 + i,
        payload: 72,
        fragment: { id: i, offset: part * 80, more: part < 2 },
      }),
      timeNs: 1_000_000_000n + BigInt(round * nbDatagrams + i) * 1000n,
    })),
  );
  const file = folder.file('fragments.pcap');
  writeFileSync(file, pcap(frames));
  const { files } = await reframerJson<{ files: { flows: number; slf: number }[] }>([
    'analyze',
    file,
  ]);
  return files[0] ?? { flows: 0, slf: 0 };
};

test.each([10, 300, 5000])('%i datagrams of as many flows at once', async (nbDatagrams) => {
  for (const parts of [
    [0, 1, 2],
    [2, 1, 0],
    [1, 0, 2],
  ])
    expect(await analyzed(nbDatagrams, parts)).toMatchObject({ flows: nbDatagrams, slf: 1 });
});
