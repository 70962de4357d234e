import { defineConfig } from 'vitest/config';

// Real-time threads keep a core from everyone for most of a second: what others measure or wait for on
// that core would fail.
const realTime = ['test/cli/bench-linux.test.ts'];

export default defineConfig({
  test: {
    // Command and native tests start child processes; two at a time leaves them a core each.
    maxWorkers: 2,
    globalSetup: './test/helpers/eal-folders.ts',
    reporters: ['./test/helpers/skipped.ts', 'default'],
    projects: [
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...realTime, '**/node_modules/**'],
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: 'alone', include: realTime, sequence: { groupOrder: 1 } },
      },
    ],
    // Far above what any test takes: a machine that is busy with other things must not fail it.
    testTimeout: 180_000,
    hookTimeout: 120_000,
  },
});
