// Captures behind net_pcap ports. The driver neither says which file is missing nor that the disk took
// no more: this side looks.
import { accessSync, closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

import type { Port } from './box.js';
import { deviceName } from './eal.js';
import { UsageError } from './errors.js';
import { formatCount } from './units.js';

interface CaptureFile {
  device: string;
  kind: 'rx_pcap' | 'tx_pcap';
  path: string;
}

function captureFiles(devices: readonly string[]): CaptureFile[] {
  return devices.flatMap((device) =>
    device
      .split(',')
      .slice(1)
      .flatMap((argument) => {
        const [key = '', path = ''] = [
          argument.slice(0, argument.indexOf('=')),
          argument.slice(argument.indexOf('=') + 1),
        ];
        return key === 'rx_pcap' || key === 'tx_pcap'
          ? [{ device: deviceName(device), kind: key, path }]
          : [];
      }),
  );
}

function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'no such file',
    EACCES: 'it may not be read',
    ENOTDIR: 'no such folder',
  };
  return (code === undefined ? undefined : words[code]) ?? (error as Error).message;
}

/** Before the ports are made. @throws UsageError that names the file */
export function checkCaptures(devices: readonly string[]): void {
  for (const { device, kind, path } of captureFiles(devices)) {
    if (kind === 'rx_pcap') {
      try {
        accessSync(path, constants.R_OK);
      } catch (error) {
        throw new UsageError(
          `${device}: rx_pcap=${path}: ${reason(error)}; name a capture that is there`,
        );
      }
      if (statSync(path).isDirectory())
        throw new UsageError(`${device}: rx_pcap=${path}: a folder, not a capture`);
    } else if (statSync(dirname(path), { throwIfNoEntry: false })?.isDirectory() !== true) {
      throw new UsageError(`${device}: tx_pcap=${path}: no folder ${dirname(path)}; make it first`);
    }
  }
}

export interface ShortFile {
  file: string;
  bytes: number;
  expected: number;
}

const fileHeader = 24;
const recordHeader = 16;

/**
 * Captures that ports write, watched from when they are open: opened at once, since whoever gives root up
 * may not be able to later.
 */
export class WrittenCaptures {
  private readonly files: { device: string; path: string; fd: number | undefined }[];

  constructor(devices: readonly string[]) {
    this.files = captureFiles(devices)
      .filter(({ kind }) => kind === 'tx_pcap')
      .map(({ device, path }) => {
        // Not into a pipe or device: those hold nothing to look at.
        if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true)
          return { device, path, fd: undefined };
        return { device, path, fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK) };
      });
  }

  /** Files with fewer bytes than their port took. A port with several queues has a file each: it is looked at as one. */
  short(ports: readonly Port[]): ShortFile[] {
    return ports.flatMap(({ port, sent, bytesSent }) => {
      const files = this.files.filter(({ device }) => device === port);
      if (files.length === 0 || files.some(({ fd }) => fd === undefined)) return [];
      const bytes = files.reduce(
        (sum, { fd }) => sum + (fd === undefined ? 0 : fstatSync(fd).size),
        0,
      );
      const expected = files.length * fileHeader + sent * recordHeader + bytesSent;
      return bytes < expected
        ? [{ file: files.map(({ path }) => path).join(', '), bytes, expected }]
        : [];
    });
  }

  close(): void {
    for (const { fd } of this.files) if (fd !== undefined) closeSync(fd);
  }
}

export const shortText = ({ file, bytes, expected }: ShortFile): string =>
  `${file}: ${formatCount(bytes)} bytes, but its port took ${formatCount(expected)}: the disk was full or failed, and the capture is cut; make room and run again`;
