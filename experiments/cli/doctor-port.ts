// What a NIC still lacks before DPDK can take it: driver, IOMMU, hugepages on its node, processors near it.
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';

import { UsageError } from './errors.js';
import type { Finding } from './doctor.js';
import { isPciAddress } from './eal.js';

/** Drivers that hand a device to a program. */
const handing = ['vfio-pci', 'uio_pci_generic', 'igb_uio'];
/** Drivers that DPDK works beside: the kernel keeps the device. */
const beside: Readonly<Record<string, string>> = {
  mlx5_core: 'mlx5',
  mlx4_core: 'mlx4',
  mana: 'mana',
};

class Machine {
  constructor(private readonly root: string) {}

  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }
  text(...parts: string[]): string | undefined {
    try {
      return readFileSync(this.path(...parts), 'utf8').trim();
    } catch {
      return undefined;
    }
  }
  link(...parts: string[]): string | undefined {
    try {
      return basename(readlinkSync(this.path(...parts)));
    } catch {
      return undefined;
    }
  }
  list(...parts: string[]): string[] {
    try {
      return readdirSync(this.path(...parts));
    } catch {
      return [];
    }
  }
}

const finding = (
  name: string,
  found: boolean,
  detail: string | undefined,
  brings: string,
  get?: string,
): Finding => ({
  name,
  found,
  need: 'feature',
  brings,
  ...(detail === undefined ? {} : { detail }),
  ...(found || get === undefined ? {} : { get }),
});

function driverOf(machine: Machine, address: string, device: string[]): Finding {
  const driver = machine.link(...device, 'driver');
  const brings = 'a driver that lets a program have the device';
  const bind = `modprobe vfio-pci && dpdk-devbind.py --bind=vfio-pci ${address} (Debian's package dpdk has that program)`;
  if (driver === undefined) return finding('driver', false, 'none is bound', brings, bind);
  if (handing.includes(driver)) return finding('driver', true, driver, brings);
  const pmd = beside[driver];
  if (pmd !== undefined)
    return finding('driver', true, `${driver}, which DPDK's ${pmd} works beside`, brings);
  const names = machine.list(...device, 'net');
  const used = names.filter((name) => machine.text('sys/class/net', name, 'operstate') === 'up');
  const warning =
    used.length > 0 ? `; ${used.join(', ')} is up: whoever uses it loses its network` : '';
  return finding(
    'driver',
    false,
    `${driver}, the kernel's${names.length > 0 ? `, as ${names.join(', ')}` : ''}${warning}`,
    brings,
    bind,
  );
}

// Intel E810, by device: -C by backplane, QSFP, SFP; -XXV likewise.
const e810 = ['0x1591', '0x1592', '0x1593', '0x1599', '0x159a', '0x159b'];

/** What DPDK's ice loads into the NIC. Without it the port does not start. */
function ddpPackage(machine: Machine, device: string[]): Finding | undefined {
  const [vendor, id] = [machine.text(...device, 'vendor'), machine.text(...device, 'device')];
  if (vendor !== '0x8086' || id === undefined || !e810.includes(id)) return undefined;
  const folders = ['lib/firmware/updates/intel/ice/ddp', 'lib/firmware/intel/ice/ddp'];
  const [found] = folders.flatMap((folder) =>
    machine
      .list(folder)
      .filter((name) => name.startsWith('ice') && name.includes('.pkg'))
      .map((name) => `/${folder}/${name}`),
  );
  return finding(
    'DDP package',
    found !== undefined,
    found ?? 'no /lib/firmware/intel/ice/ddp/ice.pkg',
    'the parser and RSS of the NIC: DPDK does not start the port without it',
    "Intel's DDP package for the E810, as /lib/firmware/intel/ice/ddp/ice.pkg; Debian has it in its component non-free-firmware",
  );
}

/** What DPDK's mlx5 and mlx4 work through: the kernel's RDMA device of the port. */
function rdmaDevice(machine: Machine, device: string[]): Finding | undefined {
  if (!/^mlx[45]_core$/.test(machine.link(...device, 'driver') ?? '')) return undefined;
  const [name] = machine.list(...device, 'infiniband');
  return finding(
    'RDMA device',
    name !== undefined,
    name ?? 'none of this port',
    'the way by which DPDK works beside the kernel: without it, it finds no port',
    'apt-get install -y rdma-core && modprobe -a mlx5_ib ib_uverbs',
  );
}

function iommu(machine: Machine, device: string[]): Finding {
  const group = machine.link(...device, 'iommu_group');
  const without = machine.text('sys/module/vfio/parameters/enable_unsafe_noiommu_mode') === 'Y';
  const brings = 'memory that the device may reach, and no other';
  const driver = machine.link(...device, 'driver');
  if (group === undefined && driver !== undefined && Object.hasOwn(beside, driver))
    return finding('IOMMU', true, `none, and ${driver} needs none`, brings);
  if (group !== undefined) {
    const others = machine
      .list('sys/kernel/iommu_groups', group, 'devices')
      .filter((name) => !device.includes(name));
    return finding(
      'IOMMU',
      true,
      `group ${group}${others.length > 0 ? `, with ${others.join(', ')}: they must be bound to vfio-pci, too` : ''}`,
      brings,
    );
  }
  if (without) return finding('IOMMU', true, 'none; vfio works without (unsafe)', brings);
  return finding(
    'IOMMU',
    false,
    'the device is in no group',
    brings,
    'intel_iommu=on or amd_iommu=on on the kernel command line, and VT-d or AMD-Vi in the firmware; in a virtual machine without one: echo Y > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode',
  );
}

function hugepages(machine: Machine, node: number): Finding {
  const folder =
    node >= 0
      ? ['sys/devices/system/node', `node${node}`, 'hugepages']
      : ['sys/kernel/mm/hugepages'];
  const sizes = machine.list(...folder).map((name) => ({
    mb: Number(/(\d+)kB/.exec(name)?.[1] ?? 0) / 1024,
    count: Number(machine.text(...folder, name, 'nr_hugepages') ?? 0),
    free: Number(machine.text(...folder, name, 'free_hugepages') ?? 0),
  }));
  const free = sizes.reduce((sum, { mb, free: n }) => sum + mb * n, 0);
  const detail = sizes
    .filter(({ count }) => count > 0)
    .map(({ mb, count, free: n }) => `${count} of ${mb} MiB, ${n} free`)
    .join('; ');
  const where =
    node >= 0 ? `/sys/devices/system/node/node${node}/hugepages` : '/sys/kernel/mm/hugepages';
  const mounts = machine.text('proc', 'mounts');
  const mounted = mounts === undefined || / hugetlbfs /.test(mounts);
  const steps = [
    ...(free >= 512 ? [] : [`echo 1024 > ${where}/hugepages-2048kB/nr_hugepages`]),
    ...(mounted ? [] : ['mkdir -p /dev/hugepages && mount -t hugetlbfs none /dev/hugepages']),
  ];
  return finding(
    node >= 0 ? `hugepages on node ${node}` : 'hugepages',
    steps.length === 0,
    `${detail === '' ? 'none reserved' : detail}${mounted ? '' : '; no hugetlbfs is mounted'}`,
    'packet buffers in physical memory that stays where it is; 1 GiB is enough for a box of some cores',
    `${steps.join('; ')} (as root, soon after boot)`,
  );
}

function processors(machine: Machine, device: string[], node: number): Finding {
  const near = machine.text(...device, 'local_cpulist') ?? '';
  const command = machine.text('proc/cmdline') ?? '';
  const isolated = /\bisolcpus=(\S+)/.exec(command)?.[1];
  return finding(
    'processors near it',
    near !== '',
    `${near === '' ? 'not told' : near}${node >= 0 ? ` (node ${node})` : ''}${isolated === undefined ? '; none is isolated' : `; isolated: ${isolated}, which no program gets that does not name them (--eal '-l ${isolated}')`}`,
    'cores on the node of the device: each packet crosses between nodes otherwise. `reframer run` takes these first',
  );
}

function link(machine: Machine, device: string[]): Finding | undefined {
  const at = (name: string): string | undefined => machine.text(...device, name);
  const [speed, most] = [at('current_link_speed'), at('max_link_speed')];
  const [width, widest] = [at('current_link_width'), at('max_link_width')];
  if (speed === undefined || width === undefined) return undefined;
  return finding(
    'PCIe link',
    speed === most && width === widest,
    `${speed}, x${width}${speed === most && width === widest ? '' : `; the device can ${most}, x${widest}`}`,
    'the bandwidth that the NIC needs between port and memory',
    'another slot, or the firmware’s settings of this one',
  );
}

function vfio(machine: Machine, device: string[], driver: string | undefined): Finding | undefined {
  if (driver !== 'vfio-pci') return undefined;
  const group = machine.link(...device, 'iommu_group');
  const node = group === undefined ? undefined : `/dev/vfio/${group}`;
  return finding(
    'vfio device',
    node !== undefined && existsSync(machine.path(node)),
    node ?? 'without a group there is none',
    'the file through which a program takes the device',
    'modprobe vfio-pci',
  );
}

/** @throws UsageError where there is no such device */
export function examinePort(port: string, root = '/'): Finding[] {
  const machine = new Machine(root);
  if (!isPciAddress(port))
    throw new UsageError(`--port ${port}: write a PCI address, 0000:3b:00.0; lspci lists them`);
  // As the kernel writes it.
  const address = (port.split(':').length === 2 ? `0000:${port}` : port).toLowerCase();
  const device = ['sys/bus/pci/devices', address];
  const kind = machine.text(...device, 'class');
  if (kind === undefined)
    throw new UsageError(`--port ${address}: there is no such PCI device; lspci lists them`);
  const node = Number(machine.text(...device, 'numa_node') ?? -1);
  const ids = `${machine.text(...device, 'vendor') ?? ''}:${machine.text(...device, 'device') ?? ''}`;
  const findings = [
    finding(
      'network device',
      kind.startsWith('0x02'),
      `${address}, ${ids.replaceAll('0x', '')}${kind.startsWith('0x02') ? '' : `, class ${kind}`}`,
      'a device that carries packets',
      'another address: lspci | grep -i ethernet',
    ),
    driverOf(machine, address, device),
    ddpPackage(machine, device),
    rdmaDevice(machine, device),
    iommu(machine, device),
    vfio(machine, device, machine.link(...device, 'driver')),
    hugepages(machine, node),
    processors(machine, device, node),
    link(machine, device),
  ];
  return findings.filter((f): f is Finding => f !== undefined);
}
