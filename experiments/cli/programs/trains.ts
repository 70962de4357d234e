// Trains as a capture: of 10,000 flows 200 send at a time, 24 packets each. Most of a day's packets
// come in trains; the campus profile draws each flow's gaps by themselves, and has less of them.
import { writeCapture } from '../../../capture/index.js';
import { seededRandom } from '../../core/random.js';

const flows = 10_000;
const atATime = 200;
const trainPackets = 24;
const frameBytes = 60;

function frameOf(flow: number): Uint8Array {
  const frame = new Uint8Array(frameBytes);
  const view = new DataView(frame.buffer);
  const random = seededRandom(flow + 1);
  const word = (): number => Math.floor(random() * 2 ** 32);
  view.setUint8(0, 2);
  view.setUint8(6, 2);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, frameBytes - 14);
  view.setUint8(22, 64);
  view.setUint8(23, 6);
  // Addresses of hosts, not of groups: switches treat those apart.
  view.setUint32(26, 0x0a000000 | (word() & 0xffffff));
  view.setUint32(30, 0x0b000000 | (word() & 0xffffff));
  view.setUint32(34, word());
  view.setUint8(46, 0x50);
  view.setUint8(47, 0x10);
  return frame;
}

/** Writes `packets` frames of 60 bytes to `file`. */
export async function writeTrains(file: string, packets: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const trains = Array.from({ length: atATime }, () => ({ flow: 0, left: 0 }));
  const frames = new Map<number, Uint8Array>();
  const writer = writeCapture(file);
  for (let i = 0; i < packets; i++) {
    const train = trains[Math.floor(random() * atATime)] ?? { flow: 0, left: 1 };
    if (train.left === 0) {
      train.flow = Math.floor(random() * flows);
      train.left = trainPackets;
    }
    train.left--;
    const data = frames.get(train.flow) ?? frameOf(train.flow);
    frames.set(train.flow, data);
    writer.write({ data }, i * 100);
  }
  await writer.close();
}
