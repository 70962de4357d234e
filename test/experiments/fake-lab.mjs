#!/usr/bin/env node
// Speaks the protocol of reframer-lab with answers of known distribution. For tests of the harness
// only. Environment: FAKE_LAB_LOG (file that gets a line a trial), FAKE_LAB_SHIFT (factor on
// throughput), FAKE_LAB_FAIL (contender whose trials fail), FAKE_LAB_WAIT_MS (life of a trial),
// FAKE_LAB_DIE (share of trials that are killed half way through their record), FAKE_LAB_LACKS (job that
// this machine cannot run).
import { appendFileSync, readFileSync } from 'node:fs';
import { answer } from './fake-answers.mjs';

const [job] = process.argv.slice(2);
const spec = JSON.parse(readFileSync(0, 'utf8'));
if (process.env.FAKE_LAB_LOG)
  appendFileSync(process.env.FAKE_LAB_LOG, `${JSON.stringify({ job, ...spec })}\n`);
await new Promise((resolve) => setTimeout(resolve, Number(process.env.FAKE_LAB_WAIT_MS ?? 0)));
if (job === process.env.FAKE_LAB_LACKS) {
  process.stdout.write(
    `${JSON.stringify({ error: { code: 'not-supported', message: 'no such interface' } })}\n`,
  );
  process.exit(3);
}
if (spec.policy !== undefined && spec.policy === process.env.FAKE_LAB_FAIL) {
  process.stdout.write(
    `${JSON.stringify({ error: { code: 'check-failed', message: 'packets were lost' } })}\n`,
  );
  process.exit(1);
}
if (Math.random() < Number(process.env.FAKE_LAB_DIE ?? 0)) {
  process.stdout.write('{"throughputBps": 1e9, "half', () => process.kill(process.pid, 'SIGKILL'));
  await new Promise((resolve) => setTimeout(resolve, 5000));
}
process.stdout.write(`${JSON.stringify({ progress: { done: 1, total: 2, what: 'packets' } })}\n`);
process.stdout.write(
  `${JSON.stringify(answer(job, spec, Math.random, Number(process.env.FAKE_LAB_SHIFT ?? 1)))}\n`,
);
