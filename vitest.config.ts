import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Command and native tests start child processes; two at a time leaves them a core each.
    maxWorkers: 2,
    // Far above what any test takes: a machine that is busy with other things must not fail it.
    testTimeout: 180_000,
    hookTimeout: 120_000,
    reporters: ['./test/helpers/skipped.ts', 'default'],
  },
});
