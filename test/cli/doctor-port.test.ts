// `reframer doctor --port`: what a NIC lacks, read from trees of files as Linux has them.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';

import { examinePort } from '../../experiments/cli/doctor-port.js';
import { oneLine, reframer, temporaryFolder } from '../helpers/cli.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());

const device = 'sys/bus/pci/devices/0000:3b:00.0';

function machine(
  name: string,
  files: Readonly<Record<string, string>>,
  links: Readonly<Record<string, string>> = {},
): string {
  const root = folder.file(name);
  const all = { [`${device}/class`]: '0x020000', [`${device}/numa_node`]: '1', ...files };
  for (const [path, text] of Object.entries(all)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${text}\n`);
  }
  for (const [path, target] of Object.entries(links)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    symlinkSync(target, join(root, path));
  }
  return root;
}

test('an address in capitals is the same device', () => {
  const root = machine('capitals', {});
  expect(examinePort('0000:3B:00.0', root)[0]).toMatchObject({ found: true });
});

const lacks = (root: string): string[] =>
  examinePort('3b:00.0', root)
    .filter((f) => !f.found)
    .map((f) => f.name);

const pages = 'sys/devices/system/node/node1/hugepages/hugepages-2048kB';

test('a NIC that is ready lacks nothing', () => {
  const root = machine(
    'ready',
    {
      [`${device}/local_cpulist`]: '8-15',
      [`${pages}/nr_hugepages`]: '1024',
      [`${pages}/free_hugepages`]: '1024',
      [`${device}/current_link_speed`]: '16.0 GT/s PCIe',
      [`${device}/max_link_speed`]: '16.0 GT/s PCIe',
      [`${device}/current_link_width`]: '16',
      [`${device}/max_link_width`]: '16',
      'dev/vfio/42': '',
    },
    {
      [`${device}/driver`]: '../../../bus/pci/drivers/vfio-pci',
      [`${device}/iommu_group`]: '../../../kernel/iommu_groups/42',
    },
  );
  expect(lacks(root)).toEqual([]);
  expect(examinePort('0000:3b:00.0', root).find((f) => f.name === 'driver')?.detail).toBe(
    'vfio-pci',
  );
});

test('each thing that is missing is named, with the step that gets it', () => {
  const bare = machine(
    'bare',
    { [`${device}/net/ens1/x`]: '', 'sys/class/net/ens1/operstate': 'up' },
    { [`${device}/driver`]: '../../../bus/pci/drivers/ice' },
  );
  expect(lacks(bare)).toEqual(['driver', 'IOMMU', 'hugepages on node 1', 'processors near it']);
  const driver = examinePort('3b:00.0', bare).find((f) => f.name === 'driver');
  expect(driver?.detail).toContain('ens1 is up: whoever uses it loses its network');
  expect(driver?.get).toContain('--bind=vfio-pci 0000:3b:00.0');
  // The kernel keeps those that DPDK works beside.
  const mlx = machine('mlx', {}, { [`${device}/driver`]: '../../../bus/pci/drivers/mlx5_core' });
  expect(lacks(mlx)).not.toContain('driver');
  expect(lacks(mlx)).not.toContain('IOMMU');
  const slow = machine('slow', {
    [`${device}/current_link_speed`]: '8.0 GT/s PCIe',
    [`${device}/max_link_speed`]: '16.0 GT/s PCIe',
    [`${device}/current_link_width`]: '8',
    [`${device}/max_link_width`]: '16',
  });
  expect(lacks(slow)).toContain('PCIe link');
  const disk = machine('disk', { [`${device}/class`]: '0x010802' });
  expect(lacks(disk)).toContain('network device');
});

test('hugepages that are not mounted are as good as none', () => {
  const files = { [`${pages}/nr_hugepages`]: '1024', [`${pages}/free_hugepages`]: '1024' };
  const bare = machine('unmounted', { ...files, 'proc/mounts': 'none /proc proc rw 0 0' });
  const found = examinePort('3b:00.0', bare).find((f) => f.name === 'hugepages on node 1');
  expect(found).toMatchObject({ found: false });
  expect(found?.detail).toContain('1024 of 2 MiB, 1024 free; no hugetlbfs is mounted');
  expect(found?.get).toContain('mount -t hugetlbfs none /dev/hugepages');
  expect(found?.get).not.toContain('echo');
  const mounts = 'none /dev/hugepages hugetlbfs rw,relatime,pagesize=2M 0 0';
  expect(lacks(machine('mounted', { ...files, 'proc/mounts': mounts }))).not.toContain(
    'hugepages on node 1',
  );
});

test('an E810 needs its DDP package, a ConnectX its RDMA device', () => {
  const e810 = { [`${device}/vendor`]: '0x8086', [`${device}/device`]: '0x1592' };
  const without = machine('e810', e810);
  expect(lacks(without)).toContain('DDP package');
  for (const [name, file] of [
    ['e810-plain', 'lib/firmware/intel/ice/ddp/ice.pkg'],
    ['e810-newer', 'lib/firmware/updates/intel/ice/ddp/ice-1.3.30.0.pkg.xz'],
  ] as const)
    expect(lacks(machine(name, { ...e810, [file]: '' }))).not.toContain('DDP package');
  const i40e = { [`${device}/vendor`]: '0x8086', [`${device}/device`]: '0x1583' };
  expect(lacks(machine('xl710', i40e))).not.toContain('DDP package');

  const mlx = { [`${device}/driver`]: '../../../bus/pci/drivers/mlx5_core' };
  expect(lacks(machine('mlx-no-rdma', {}, mlx))).toContain('RDMA device');
  expect(
    lacks(machine('mlx-rdma', { [`${device}/infiniband/mlx5_0/node_type`]: '1' }, mlx)),
  ).not.toContain('RDMA device');
});

test('what is no device is one line', async () => {
  oneLine(await reframer(['doctor', '--port', 'eth0']), /--port eth0: write a PCI address/);
  oneLine(await reframer(['doctor', '--port', 'ffff:ff:1f.7']), /there is no such PCI device/);
});
