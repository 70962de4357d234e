/**
 * Options of EAL for a program on one virtual device: no PCI, no huge pages, nothing that a process
 * beside it would share.
 */
export const ealOf = (name: string, device: string): string[] => [
  '--no-pci',
  '--no-huge',
  '-m',
  '256',
  '--no-shconf',
  '--no-telemetry',
  '--log-level=error',
  `--file-prefix=reframer-${name}-${process.pid}`,
  `--vdev=${device}`,
  '--',
];
