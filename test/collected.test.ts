// An object with a native side that nobody closed is collected, and its native side freed.
import { afterAll, expect, test } from 'vitest';

import { LoadBalancer } from '../balancer/index.js';
import { openCapture, writeCapture } from '../capture/index.js';
import { FlowTracker, SharedFlowTracker } from '../conntrack/index.js';
import { Reframer } from '../reframer/index.js';
import { Balancer } from '../rsspp/index.js';
import { temporaryFolder } from './helpers/cli.js';
import { collectUntil, isCollected } from './helpers/collector.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const kinds: Record<string, () => object> = {
  Reframer: () => new Reframer(),
  FlowTracker: () => new FlowTracker(),
  'FlowTracker that reports': () => new FlowTracker({ onRemoved: () => undefined }),
  SharedFlowTracker: () => new SharedFlowTracker(),
  LoadBalancer: () => new LoadBalancer({ service: '192.0.2.1' }),
  Balancer: () => new Balancer({ cores: 4 }),
  Capture: () => openCapture('/dev/null'),
  CaptureWriter: () => writeCapture(folder.file('never.pcap')),
};
test.each(Object.keys(kinds))('%s', async (kind) => {
  expect(await isCollected(kinds[kind] ?? Object)).toBe(true);
});

test('what feeds a capture stops when the capture is collected', async () => {
  // A pcap of a packet at a time, from a source that is never at its end.
  const header = Buffer.alloc(24);
  const packet = Buffer.alloc(16 + 60, 1);
  packet.writeUInt32LE(60, 8);
  packet.writeUInt32LE(60, 12);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(1, 20);
  let asked = 0;
  let told = false;
  let more: (result: IteratorResult<Uint8Array>) => void = () => undefined;
  const source = {
    [Symbol.asyncIterator]: () => ({
      next: () =>
        asked++ === 0
          ? Promise.resolve({ done: false as const, value: Buffer.concat([header, packet]) })
          : new Promise<IteratorResult<Uint8Array>>((resolve) => (more = resolve)),
      return: () => {
        told = true;
        return Promise.resolve({ done: true as const, value: undefined });
      },
    }),
  };
  const readOne = async (): Promise<number> => {
    const first = await openCapture(source, { burst: 1 })[Symbol.asyncIterator]().next();
    return first.value?.count ?? 0;
  };
  expect(await readOne()).toBe(1);
  // The read ahead ends with this one, which nobody asks for.
  more({ done: false, value: packet });
  expect(await collectUntil(() => told)).toBe(true);
});
