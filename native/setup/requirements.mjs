// What the suite needs from the machine beside Node: the one table that set-up installs from and
// `reframer doctor` reports from. Probes ask for the thing itself, not for its Debian package, so
// that other distributions and hand-built installations count.
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * need: 'build' cannot build without; 'test' test suites only; 'feature' costs what `brings` names;
 * 'peer' is somebody else's table, for comparisons: set-up installs it where Debian has it, so that a
 * contender is missing only where it cannot be had.
 * program, module (of pkg-config), header or file: what it is known by.
 * size: installed, where it is worth a thought.
 */
export const requirements = [
  {
    name: 'C++20 compiler',
    need: 'build',
    program: ['c++', 'g++', 'clang++'],
    debian: 'g++',
    brings: 'builds the native core',
  },
  {
    name: 'Meson',
    need: 'build',
    program: ['meson'],
    debian: 'meson',
    brings: 'builds the native core',
  },
  {
    name: 'Ninja',
    need: 'build',
    program: ['ninja'],
    debian: 'ninja-build',
    brings: 'builds the native core',
  },
  {
    name: 'pkg-config',
    need: 'build',
    program: ['pkg-config', 'pkgconf'],
    debian: 'pkg-config',
    brings: 'finds the libraries',
  },
  {
    name: 'libpcap',
    need: 'build',
    module: 'libpcap',
    debian: 'libpcap-dev',
    brings: 'reads captures',
  },
  {
    name: 'zlib',
    need: 'build',
    module: 'zlib',
    debian: 'zlib1g-dev',
    brings: 'reads .gz captures',
  },
  {
    name: 'liblzma',
    need: 'build',
    module: 'liblzma',
    debian: 'liblzma-dev',
    brings: 'reads .xz captures',
  },
  {
    name: 'libzstd',
    need: 'build',
    module: 'libzstd',
    debian: 'libzstd-dev',
    brings: 'reads .zst captures',
  },
  {
    name: 'JSON for C++',
    need: 'build',
    module: 'nlohmann_json',
    debian: 'nlohmann-json3-dev',
    brings: 'job specifications of reframer-lab',
  },
  {
    name: 'robin map',
    need: 'build',
    header: 'tsl/robin_map.h',
    debian: 'robin-map-dev',
    brings: 'the RobinMap flow table',
  },
  {
    name: 'hopscotch map',
    need: 'build',
    header: 'tsl/hopscotch_map.h',
    debian: 'libtsl-hopscotch-map-dev',
    brings: 'the HopScotch flow table',
  },
  {
    name: 'oneTBB',
    need: 'peer',
    module: 'tbb',
    debian: 'libtbb-dev',
    brings: 'its hash map as a contender',
    size: '2 MiB',
  },
  {
    name: 'liburcu',
    need: 'peer',
    module: 'liburcu-cds',
    debian: 'liburcu-dev',
    brings: 'its hash table as a contender',
    size: '1 MiB',
  },
  {
    name: 'Concurrency Kit',
    need: 'peer',
    module: 'ck',
    debian: 'libck-dev',
    brings: 'its hash table as a contender',
    size: '1 MiB',
  },
  {
    name: 'libcuckoo',
    need: 'peer',
    header: 'libcuckoo/cuckoohash_map.hh',
    debian: 'libcuckoo-dev',
    brings: 'its hash table as a contender',
    size: '1 MiB',
  },
  {
    name: 'Abseil',
    need: 'peer',
    module: 'absl_flat_hash_map',
    debian: 'libabsl-dev',
    brings: 'its flat map as a contender',
    size: '9 MiB',
  },
  {
    name: 'Boost 1.81',
    need: 'peer',
    header: 'boost/unordered/unordered_flat_map.hpp',
    debian: 'libboost1.81-dev',
    brings: 'its flat map as a contender',
    size: '150 MiB',
  },
  {
    name: 'doctest',
    need: 'test',
    header: 'doctest/doctest.h',
    debian: 'doctest-dev',
    brings: 'native test programs',
  },
  {
    name: 'tshark',
    need: 'test',
    program: ['tshark'],
    debian: 'tshark',
    brings: 'an independent check of written frames and checksums',
    optional: true,
  },
  {
    name: 'Poppler',
    need: 'test',
    program: ['pdftotext'],
    debian: 'poppler-utils',
    brings: 'an independent look at the PDF report',
    optional: true,
  },
  {
    name: 'Chromium',
    need: 'test',
    program: ['chromium', 'chromium-browser', 'google-chrome'],
    debian: 'chromium',
    brings: 'the test of the HTML report in a real browser',
    optional: true,
    size: '300 MiB',
  },
  {
    name: 'Python 3',
    need: 'test',
    program: ['python3'],
    debian: 'python3',
    brings: 'tests against the kernel, and of odd telemetry',
    optional: true,
  },
  {
    name: 'iproute2',
    need: 'test',
    program: ['ip'],
    debian: 'iproute2',
    brings: 'network namespaces for tests of the box and the examples',
    optional: true,
  },
  {
    name: 'ethtool',
    need: 'test',
    program: ['ethtool'],
    debian: 'ethtool',
    brings: 'tests of the box on tap, af_packet and af_xdp',
    optional: true,
  },
  {
    name: 'nftables',
    need: 'test',
    program: ['nft'],
    debian: 'nftables',
    brings: 'the test of connections against nf_conntrack',
    optional: true,
  },
  {
    name: 'nginx',
    need: 'test',
    program: ['nginx'],
    debian: 'nginx-light',
    brings: 'real TCP through the box',
    optional: true,
  },
  {
    name: 'wrk',
    need: 'test',
    program: ['wrk'],
    debian: 'wrk',
    brings: 'real TCP through the box',
    optional: true,
  },
  {
    name: 'iperf3',
    need: 'test',
    program: ['iperf3'],
    debian: 'iperf3',
    brings: 'long transfers through the load balancer',
    optional: true,
  },
  {
    name: 'ngtcp2-client',
    need: 'test',
    program: ['gtlsclient'],
    debian: 'ngtcp2-client',
    brings: 'QUIC through the load balancer',
    optional: true,
  },
  {
    name: 'ngtcp2',
    need: 'test',
    module: 'libngtcp2',
    debian: 'libngtcp2-dev',
    brings: 'a QUIC server behind the load balancer',
    optional: true,
  },
  {
    name: 'ngtcp2 with GnuTLS',
    need: 'test',
    module: 'libngtcp2_crypto_gnutls',
    debian: 'libngtcp2-crypto-gnutls-dev',
    brings: 'a QUIC server behind the load balancer',
    optional: true,
  },
  {
    name: 'nghttp3',
    need: 'test',
    module: 'libnghttp3',
    debian: 'libnghttp3-dev',
    brings: 'a QUIC server behind the load balancer',
    optional: true,
  },
  {
    name: 'GnuTLS',
    need: 'test',
    module: 'gnutls',
    debian: 'libgnutls28-dev',
    brings: 'a QUIC server behind the load balancer',
    optional: true,
  },
  {
    name: 'dpdk-testpmd',
    need: 'test',
    program: ['dpdk-testpmd'],
    debian: 'dpdk-dev',
    brings: 'tests of the preloaded library',
    optional: true,
    size: '8 MiB',
  },
  {
    name: 'compiler for arm64',
    need: 'test',
    program: ['aarch64-linux-gnu-g++'],
    debian: 'g++-aarch64-linux-gnu',
    brings: 'the test that the engine builds for arm64',
    optional: true,
    size: '220 MiB',
  },
  {
    name: 'QEMU for user programs',
    need: 'test',
    program: ['qemu-aarch64'],
    debian: 'qemu-user',
    brings: 'the test that the engine works on arm64',
    optional: true,
    size: '97 MiB',
  },
  {
    name: 'Open vSwitch',
    need: 'test',
    program: ['ovs-vswitchd'],
    debian: 'openvswitch-switch-dpdk',
    brings: 'the preloaded library in a switch',
    optional: true,
    size: '20 MiB',
  },
  {
    name: 'tcpreplay',
    need: 'test',
    program: ['tcpreplay'],
    debian: 'tcpreplay',
    brings: 'a capture as the tester of a bed',
    optional: true,
  },
  {
    name: 'clang-format 14',
    need: 'test',
    program: ['clang-format-14'],
    debian: 'clang-format-14',
    brings: 'the layout of C++ in npm run lint',
    optional: true,
  },
  {
    name: 'clang-tidy 14',
    need: 'test',
    program: ['clang-tidy-14'],
    debian: 'clang-tidy-14',
    brings: 'the checks of C++ in npm run lint',
    optional: true,
    size: '200 MiB',
  },
  {
    name: 'fonts',
    need: 'feature',
    file: '/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf',
    debian: 'fonts-dejavu-core',
    brings: 'text in PNG figures',
  },
  {
    name: 'DPDK',
    need: 'feature',
    module: 'libdpdk',
    debian: 'libdpdk-dev',
    brings: 'rte_hash and rte_acl as contenders, and DPDK ports',
    size: '93 MiB',
  },
  {
    name: 'Vectorscan or Hyperscan',
    need: 'feature',
    module: 'libhs',
    debian: 'libvectorscan-dev',
    brings: 'pattern search over flows (chains dpi and inspect)',
  },
  {
    name: 'valgrind',
    need: 'feature',
    program: ['valgrind'],
    debian: 'valgrind',
    brings: 'cache misses by level where there are no hardware counters',
    optional: true,
  },
];

// Where compilers look unasked.
const includeFolders = ['/usr/include', '/usr/local/include'];

// Where Debian has what only root is expected to run: not on everybody's path.
const rootsFolders = ['/usr/sbin', '/sbin'];

function onPath(program) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...rootsFolders]) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

function readable(path) {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** undefined: pkg-config does not know it. */
function moduleVersion(module) {
  const run = spawnSync('pkg-config', ['--modversion', module], { encoding: 'utf8' });
  return run.status === 0 ? run.stdout.trim() : undefined;
}

function programVersion(path) {
  const run = spawnSync(path, ['--version'], { encoding: 'utf8' });
  return /\d+(\.\d+)+/.exec(`${run.stdout ?? ''}${run.stderr ?? ''}`)?.[0];
}

/** @returns {{found: boolean, version?: string, where?: string}} */
export function probe(requirement, withVersion = false) {
  for (const program of requirement.program ?? []) {
    const where = onPath(program);
    if (where === undefined) continue;
    const version = withVersion ? programVersion(where) : undefined;
    return { found: true, where, ...(version === undefined ? {} : { version }) };
  }
  if (requirement.module !== undefined) {
    const version = moduleVersion(requirement.module);
    if (version !== undefined) return { found: true, version };
  }
  const headers =
    requirement.header === undefined
      ? []
      : includeFolders.map((folder) => join(folder, requirement.header));
  const where = [requirement.file, ...headers].find((path) => path !== undefined && readable(path));
  if (where !== undefined) return { found: true, where };
  return { found: false };
}

export function missing(needs) {
  return requirements.filter((r) => needs.includes(r.need) && !probe(r).found);
}

/** Debian and its children, the systems whose package names the table holds. */
export function isDebian() {
  try {
    return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
  } catch {
    return false;
  }
}

export const isRoot = () => process.getuid?.() === 0;

/** Whether missing packages can be installed without asking anybody. */
export const canInstall = () => isDebian() && isRoot() && onPath('apt-get') !== undefined;

export function aptCommand(list) {
  return `apt-get install -y --no-install-recommends ${list.map((r) => r.debian).join(' ')}`;
}
