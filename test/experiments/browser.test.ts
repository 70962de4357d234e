// The HTML report in a real browser, without a network.
import { existsSync, mkdirSync } from 'node:fs';
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
    await writeReport(openRun(path), tiny());
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
    await page.waitForSelector('body[data-ready], body[data-failed]', { timeout: 30_000 });
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    folder.remove();
  });

  test('every figure is drawn, nothing fails, nothing is fetched', async () => {
    expect(problems).toEqual([]);
    expect(await page.locator('body').getAttribute('data-failed')).toBeNull();
    expect(await page.locator('figure .plot svg').count()).toBe(4);
    expect(await page.locator('.mark').first().textContent()).toContain('QUICK RUN');
  });

  test('the value stands under the pointer', async () => {
    const bar = page.locator('#figure-bars .plot svg .mark-rect.role-mark path').first();
    await bar.scrollIntoViewIfNeeded();
    await bar.hover();
    await page.waitForSelector('#tip:not([hidden])');
    expect(await page.locator('#tip').textContent()).toMatch(/throughput.*\d/);
  });

  test('a series can be switched off and on', async () => {
    const bars = page.locator('#figure-bars .plot svg .mark-rect.role-mark path');
    const before = await bars.count();
    const toggle = page.locator('#figure-bars input[data-series="fixed"]');
    await toggle.uncheck();
    await page.waitForSelector('#figure-bars:not([data-busy])');
    expect(await bars.count()).toBeLessThan(before);
    await toggle.check();
    await page.waitForSelector('#figure-bars:not([data-busy])');
    expect(await bars.count()).toBe(before);
  });

  test('claims, context and warnings are there to read', async () => {
    const text = (await page.locator('body').innerText()).replace(/\s+/g, ' ');
    for (const words of ['not testable here', 'no web server here', 'Limitations', 'machine.cpu'])
      expect(text).toContain(words);
  });
});
