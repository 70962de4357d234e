// Options of DPDK's EAL: what the user gave, and what a command needs besides.

// Whoever names one of these wants hugepages.
const hugepageWords = [
  '--huge-dir',
  '--huge-unlink',
  '--socket-mem',
  '--socket-limit',
  '--legacy-mem',
];

export interface EalOptions {
  words: string[];
  /** Of them, those that the user did not give and may want to know of. */
  added: string[];
}

const wordsOf = (text: string): string[] => text.split(/\s+/).filter((word) => word !== '');

/**
 * @param given as the user wrote them; they come on top of the defaults, not in their place
 * @param memoryMb without hugepages; with them EAL takes what it needs
 */
export function ealOptions(
  given: string,
  memoryMb: number,
  use: { hugepages?: boolean; telemetry: boolean },
): EalOptions {
  const words = wordsOf(given);
  const has = (name: string): boolean =>
    words.some((word) =>
      name.startsWith('--') ? word === name || word.startsWith(`${name}=`) : word.startsWith(name),
    );
  const huge = use.hugepages === true || hugepageWords.some(has);
  const added = [
    ...(huge || has('--no-huge') ? [] : ['--no-huge']),
    ...(huge || has('-m') ? [] : ['-m', String(memoryMb)]),
    // EAL's records for secondary processes: one file for all programs with the same prefix.
    ...(has('--no-shconf') || has('--proc-type') ? [] : ['--no-shconf']),
    ...(use.telemetry || has('--telemetry') || has('--no-telemetry') ? [] : ['--no-telemetry']),
  ];
  // The processors it sees and the like: lines that stand above an error and say nothing of it.
  const quiet = has('--log-level') ? [] : ['--log-level=lib.*:warning'];
  return { words: [...quiet, ...added, ...words], added };
}

/** The device of `--vdev=DEVICE` or `--vdev DEVICE`, of each. */
export function namedDevices(words: readonly string[]): string[] {
  return words.flatMap((word, i) => {
    if (word.startsWith('--vdev=')) return [word.slice('--vdev='.length)];
    return word === '--vdev' && words[i + 1] !== undefined ? [words[i + 1] ?? ''] : [];
  });
}

export const deviceName = (device: string): string => device.split(',')[0] ?? device;

const pciAddress = /^([0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f]$/i;
export const isPciAddress = (port: string): boolean => pciAddress.test(port);

// How DPDK's own virtual drivers are called: net_null0, net_pcap1, eth_ring0, virtio_user0.
const virtualDevice = /^(net_|eth_|virtio_user)\w*$/;

const interfacePort = /^(af_xdp|af_packet):(.+)$/;

/** `af_xdp:eth1` and `af_packet:eth1`, an interface of Linux, as EAL's device; anything else as it is. */
export function interfaceDevice(port: string, index: number): string {
  const [, driver, name] = interfacePort.exec(port) ?? [];
  return driver === undefined ? port : `net_${driver}${index},iface=${name}`;
}

/** The interface whose AF_XDP sockets a device opens. */
export const xdpInterface = (device: string): string | undefined =>
  /^net_af_xdp\w*,(?:.*,)?iface=([^,]+)/.exec(device)?.[1];

/**
 * What makes EAL open the ports: a device is made under the name before its first comma. One that the
 * user's own options name already is left to them; a name of no known kind too.
 */
export function portDevices(ports: readonly string[], words: readonly string[]): string[] {
  const there = new Set(namedDevices(words).map(deviceName));
  const wanted = new Map<string, string>();
  for (const port of ports) {
    const name = deviceName(port);
    if (there.has(name)) continue;
    // Named twice, once with arguments: those hold.
    if (port.includes(',') || !wanted.has(name)) wanted.set(name, port);
  }
  return [...wanted].flatMap(([name, port]) => {
    if (pciAddress.test(name)) return words.some((word) => word.includes(name)) ? [] : ['-a', port];
    return virtualDevice.test(name) || port.includes(',') ? [`--vdev=${port}`] : [];
  });
}
