// At the end of a run: what was skipped, and why, by name. Tests that skipSuite() registers are reasons.
import type { Reporter, TestModule, Vitest } from 'vitest/node';

export default class SkippedReporter implements Reporter {
  private vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[]): void {
    // With `-t` the others are skipped because they were not asked for.
    if (this.vitest === undefined || this.vitest.config.testNamePattern !== undefined) return;
    const lines: string[] = [];
    for (const module of modules) {
      const reasons: string[] = [];
      const names: string[] = [];
      for (const test of module.children.allTests('skipped')) {
        const result = test.result();
        const note = result.state === 'skipped' ? result.note : undefined;
        // Those behind a set-up that failed are told where that is.
        if (test.options.mode !== 'skip' && note === undefined) continue;
        if (test.meta().reason === true) reasons.push(`    because ${test.name}`);
        else names.push(`    ${test.fullName}${note === undefined ? '' : `: ${note}`}`);
      }
      if (reasons.length + names.length > 0)
        lines.push(`  ${module.relativeModuleId}`, ...reasons, ...names);
    }
    if (lines.length > 0) this.vitest.logger.log(['', 'Skipped:', ...lines, ''].join('\n'));
  }
}
