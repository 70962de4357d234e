/**
 * Captures in bursts: from a file, a pipe or a stream to packets, keys and hashes, and back to a file.
 *
 * ```ts
 * for await (const burst of openCapture('campus.pcap.gz')) {
 *   const flows = tracker.findOrInsert(burst.keys(), burst.timeNs);
 * }
 * ```
 *
 * @module
 */
export {
  CaptureBurst,
  type CapturedPacket,
  type HashKey,
  type HashOptions,
  type KeyOptions,
} from './burst.js';
export { CaptureError, NativeError, ReframerError, type CaptureErrorCode } from './errors.js';
export { Capture, openCapture, type CaptureOptions } from './reader.js';
export { CaptureWriter, writeCapture, type PacketToWrite } from './writer.js';
