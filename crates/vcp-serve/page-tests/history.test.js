// What was judged is found again; several browsers see the same; keys and large histories.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { drop, mapShown, openBrowser, openPage, results } from './browser.js';
import { sample, serve, temporaryFolder } from './program.js';

const broken = { name: 'cookie-broken-1.jpg', content: await sample('cookie-broken-1.jpg') };
const good = { name: 'cookie-good.jpg', content: await sample('cookie-good.jpg') };

test('a judged photo is found in the history after the page was loaded again', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t));
  await drop(page, broken, good);
  await results(page, 2);
  await page.fill('#who', 'A. Tester');
  await page.locator('#session-list .row', { hasText: broken.name }).click();
  // Its score is that of a defect, so this is a false alarm.
  await page.keyboard.press('g');
  await page.waitForSelector('.verdict.good[aria-pressed=true]');
  await page.waitForSelector('#session-list .judged.good');

  await page.reload();
  await page.click('nav >> text=History');
  await page.waitForFunction(() => document.querySelectorAll('#history-list .row').length === 2);
  assert.match(await page.locator('.counter', { hasText: 'Inspected' }).innerText(), /\b2\b/);
  assert.match(await page.locator('.counter', { hasText: 'False alarms' }).innerText(), /\b1\b/);
  assert.equal(await page.locator('#plot svg g').count() > 0, true);

  await page.selectOption('#filter-verdict', 'good');
  await page.waitForFunction(() => document.querySelectorAll('#history-list .row').length === 1);
  const row = page.locator('#history-list .row');
  assert.match(await row.innerText(), new RegExp(broken.name));
  await row.click();
  await mapShown(page);
  assert.match(await page.textContent('#verdict-note'), /A\. Tester/);

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#export-csv')]);
  const table = await readFile(await download.path(), 'utf8');
  assert.ok(table.includes(broken.name) && !table.includes(good.name), table);

  // The same key again takes the verdict back.
  await page.keyboard.press('g');
  await page.waitForSelector('.verdict.good[aria-pressed=false]');
  await page.selectOption('#filter-verdict', 'none');
  await page.waitForFunction(() => document.querySelectorAll('#history-list .row').length === 2);
  await page.selectOption('#filter-outcome', 'defect');
  await page.waitForFunction(() => document.querySelectorAll('#history-list .row').length === 1);
});

test('two browsers see the same photos and verdicts', async (t) => {
  const address = await serve(t);
  const [one, other] = [
    await openPage(t, await openBrowser(t), address),
    await openPage(t, await openBrowser(t), address),
  ];
  await drop(one, broken);
  await results(one, 1);
  await results(other, 1);
  await mapShown(other);
  await other.keyboard.press('d');
  await one.waitForSelector('.verdict.defect[aria-pressed=true]');
  await drop(other, good);
  await results(one, 2);
  // Both at once: each sees all of them, once.
  const named = (who) => Array.from({ length: 4 }, (_, index) => ({ ...good, name: `${who}-${index}.jpg` }));
  await Promise.all([drop(one, ...named('one')), drop(other, ...named('other'))]);
  await Promise.all([results(one, 10), results(other, 10)]);
  const { results: kept } = await one.evaluate(async () => (await fetch('v1/results')).json());
  assert.equal(new Set(kept.map(({ name }) => name)).size, 10);
  // The last word counts, and both see it.
  await one.locator('#session-list .row', { hasText: 'one-0' }).click();
  await other.locator('#session-list .row', { hasText: 'one-0' }).click();
  await Promise.all([one.keyboard.press('u'), other.keyboard.press('d')]);
  const verdicts = async () => {
    const { results: judged } = await one.evaluate(async () => (await fetch('v1/results')).json());
    return judged.find(({ name }) => name === 'one-0.jpg').verdict?.verdict;
  };
  await one.waitForFunction(() => document.querySelector('.verdict[aria-pressed=true]'));
  await other.waitForFunction(() => document.querySelector('.verdict[aria-pressed=true]'));
  const last = await verdicts();
  for (const page of [one, other]) await page.waitForSelector(`.verdict.${last}[aria-pressed=true]`);
});

test('a key is asked for where one is needed', async (t) => {
  const file = path.join(await temporaryFolder(t), 'keys');
  const key = '0123456789abcdef0123456789abcdef';
  await writeFile(file, `${key}\n`);
  const address = await serve(t, '--api-key-file', file);
  const page = await openPage(t, await openBrowser(t), address, { connected: false, expected: /status of 401/ });
  await page.fill('#key', 'not the key');
  await page.keyboard.press('Enter');
  await page.waitForSelector('#key-sentence:has-text("does not accept")');
  await page.fill('#key', key);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#connection[data-state=on]');
  await drop(page, broken);
  await results(page, 1);
  await mapShown(page);
  const picture = page.locator('#session-list img');
  await page.waitForFunction(() => document.querySelector('#session-list img').naturalWidth > 0);
  assert.match(await picture.getAttribute('src'), /^blob:/);
  // It is kept for this tab.
  await page.reload();
  await page.waitForSelector('#connection[data-state=on]');
});

test('10,000 results are listed, filtered, plotted and scrolled', async (t) => {
  const folder = path.join(await temporaryFolder(t), 'history');
  const address = await serve(t, '--history', folder);
  for (const { name, content } of [good, broken]) {
    const response = await fetch(`${address}/v1/segment?name=${name}`, { method: 'POST', body: content });
    assert.equal(response.status, 200);
  }
  const script = fileURLToPath(new URL('many.py', import.meta.url));
  const made = spawnSync('python3', [script, folder, '10000'], { encoding: 'utf8' });
  if (made.error) return t.skip('there is no python3, which makes them');
  assert.equal(made.status, 0, made.stderr);

  const page = await openPage(t, await openBrowser(t), address);
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: 'longtask' });
  });
  // How long something takes in the browser until `done` holds there, and the longest time that it did nothing else.
  const timed = async (what, action, done) => {
    await page.evaluate(() => {
      window.longest = 0;
    });
    const begun = await page.evaluate(() => performance.now());
    await action();
    await page.waitForFunction(done, null, { polling: 'raf', timeout: 120_000 });
    const [ended, longest] = await page.evaluate(() => [performance.now(), window.longest]);
    t.diagnostic(`${what}: ${Math.round(ended - begun)} ms, at most ${Math.round(longest)} ms at a time`);
  };
  await timed('opening the history', () => page.click('nav >> text=History'), () => {
    const count = document.getElementById('history-count').textContent;
    return count.endsWith('of 10,002') && document.querySelector('#plot svg g');
  });
  await timed('only the defects', () => page.selectOption('#filter-outcome', 'defect'), () =>
    [...document.querySelectorAll('#history-list .mark')].every((mark) => mark.classList.contains('defect')) &&
      document.querySelectorAll('#history-list .row').length > 5);
  await timed('only judged good', () => page.selectOption('#filter-verdict', 'good'), () =>
    document.querySelectorAll('#history-list .judged.good').length > 5);
  await page.selectOption('#filter-outcome', '');
  await page.selectOption('#filter-verdict', '');
  await page.waitForFunction(() => document.getElementById('history-count').textContent.endsWith('of 10,002'));
  await timed('scrolling to the end', () => {}, () => {
    const list = document.getElementById('history-list');
    list.scrollTop = list.scrollHeight;
    return list.lastElementChild.lastElementChild.textContent.includes('part-09999.jpg');
  });
  assert.equal(await page.textContent('#history-count'), '10,002');
  assert.ok((await page.locator('#history-list .row').count()) < 60);
  await timed('one row after the other', async () => {
    await page.focus('#history-list');
    await page.keyboard.press('Home');
    for (let step = 0; step < 30; step += 1) await page.keyboard.press('ArrowDown');
  }, () => document.querySelector('#history-list .row[aria-selected=true]')?.textContent.includes('part-00028.jpg'));
  await mapShown(page);
  await timed('another threshold for all', () => page.fill('.handle-field.defect input', '0.2')
    .then(() => page.keyboard.press('Enter')), () => document.querySelector('#moved:not([hidden])'));
});
