// The HTML report in a real browser, without a network.
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { openRun } from '../../experiments/core/runs.js';
import { writeReport } from '../../experiments/report/write.js';
import { skipSuite, temporaryFolder } from '../helpers/cli.js';
import { runTiny, tiny } from './helpers.js';

const executable = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find(existsSync);

if (executable === undefined)
  skipSuite('the HTML report was not tested in a browser: chromium is missing');

describe.skipIf(executable === undefined)('HTML report in a browser', () => {
  const folder = temporaryFolder();
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    const path = folder.file('run');
    mkdirSync(path);
    await runTiny(path);
    writeReport(openRun(path), tiny());
    browser = await chromium.launch({ executablePath: executable ?? '', args: ['--no-sandbox'] });
    page = await browser.newPage();
    await page.context().setOffline(true);
    page.on('pageerror', (error) => problems.push(error.message));
    page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
    page.on(
      'request',
      (request) =>
        /^(file|data|blob):/.test(request.url()) || problems.push(`asked for ${request.url()}`),
    );
    await page.goto(pathToFileURL(join(path, 'report.html')).href);
    await page.waitForSelector('body[data-ready]', { timeout: 30_000 });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    folder.remove();
  });

  test('every figure is drawn, nothing fails, nothing is fetched', async () => {
    expect(problems).toEqual([]);
    expect(await page.locator('figure .plot.wide svg').count()).toBe(4);
    expect(await page.locator('.mark').first().textContent()).toContain('QUICK RUN');
  });

  test('the value stands under the pointer, and by arrow keys', async () => {
    const bar = page.locator('#figure-bars .plot.wide [data-t]').first();
    await bar.scrollIntoViewIfNeeded();
    await bar.hover();
    await page.waitForSelector('#tip:not([hidden])');
    expect(await page.locator('#tip').textContent()).toMatch(/throughput.*\d/);
    await page.locator('#figure-bars .plot.wide').focus();
    await page.keyboard.press('ArrowRight');
    const first = await page.locator('#tip').textContent();
    await page.keyboard.press('ArrowRight');
    expect(await page.locator('#tip').textContent()).not.toBe(first);
    await page.keyboard.press('Escape');
    expect(await page.locator('#tip').isHidden()).toBe(true);
  });

  test('a series can be switched off and on', async () => {
    const bars = page.locator('#figure-bars .plot.wide .series[data-series="fixed"]').first();
    await page.locator('#figure-bars .switches summary').click();
    const toggle = page.locator('#figure-bars input[data-series="fixed"]');
    await toggle.uncheck();
    expect(await bars.isHidden()).toBe(true);
    await toggle.check();
    expect(await bars.isVisible()).toBe(true);
  });

  test('tables sort, claims are shown by verdict', async () => {
    const table = page.locator('#part-sweep details table');
    await page.locator('#part-sweep details summary', { hasText: 'Table of' }).click();
    const first = (): Promise<string | null> => table.locator('tbody tr td').first().textContent();
    await table.locator('th button').first().click();
    expect(await first()).toBe('modern');
    await table.locator('th button').first().click();
    expect(await first()).toBe('paper');
    const reproduced = page.locator('#claims tr[data-word="reproduced"]');
    expect(await reproduced.count()).toBe(1);
    await page.locator('.filter button[data-word="reproduced"]').click();
    expect(await reproduced.isHidden()).toBe(true);
    await page.locator('.filter button[data-word="reproduced"]').click();
    expect(await reproduced.isVisible()).toBe(true);
  });

  test.each([360, 1600])('at %i pixels nothing is wider than the window', async (width) => {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate('document.documentElement.scrollWidth');
    expect(wide).toBeLessThanOrEqual(width);
    const shown = page.locator(width < 600 ? '.plot.narrow svg' : '.plot.wide svg').first();
    expect(await shown.isVisible()).toBe(true);
    await page.setViewportSize({ width: 1280, height: 900 });
  });

  test.each(['light', 'dark'] as const)('no serious findings of axe, %s', async (colorScheme) => {
    await page.emulateMedia({ colorScheme });
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
    await page.addScriptTag({
      path: createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
    });
    const found: { id: string; impact: string; nodes: { target: string[] }[] }[] =
      await page.evaluate('axe.run().then((result) => result.violations)');
    const serious = found.filter(({ impact }) => impact === 'serious' || impact === 'critical');
    expect(serious.map(({ id, nodes }) => `${id}: ${nodes[0]?.target.join(' ') ?? ''}`)).toEqual(
      [],
    );
    await page.emulateMedia({ colorScheme: 'light' });
  });

  test('claims, context and warnings are there to read', async () => {
    await page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })");
    const text = (await page.locator('body').innerText()).replace(/\s+/g, ' ');
    for (const words of ['not testable here', 'no web server here', 'Limitations', 'machine.cpu'])
      expect(text).toContain(words);
  });
});
