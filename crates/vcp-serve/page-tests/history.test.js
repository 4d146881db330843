// What was judged is found again; several browsers see the same; keys and large histories.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { drop, mapShown, openBrowser, openPage, results } from './browser.js';
import { sample, serve, temporaryFolder } from './program.js';

const broken = { name: 'cookie-broken-1.jpg', content: await sample('cookie-broken-1.jpg') };
const good = { name: 'cookie-good.jpg', content: await sample('cookie-good.jpg') };

// The smallest picture.
const dot = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');

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

test('of 10,000 results only the rows in view are made', async (t) => {
  const address = await serve(t);
  const page = await openPage(t, await openBrowser(t), address);
  await drop(page, broken);
  await results(page, 1);
  const { results: [entry] } = await page.evaluate(async () => (await fetch('v1/results')).json());
  const all = Array.from({ length: 10_000 }, (_, index) => ({
    ...entry, has: { photo: false, overlay: false, map: false }, id: `${entry.id}${index}`, name: `${index}.jpg`, time: new Date(1.7e12 - 1000 * index).toISOString(),
  }));
  await page.route('**/v1/results?*', (route) => {
    const query = new URL(route.request().url()).searchParams;
    const start = Number(query.get('cursor') ?? 0);
    const end = start + Number(query.get('limit'));
    return route.fulfill({ json: { results: all.slice(start, end), next_cursor: end < all.length ? String(end) : null } });
  });
  await page.route('**/thumbnail.jpg', (route) => route.fulfill({ contentType: 'image/gif', body: dot }));
  await page.click('nav >> text=History');
  await page.waitForSelector('#history-list .row >> text="0.jpg"');
  await page.waitForFunction(() => {
    const list = document.getElementById('history-list');
    list.scrollTop = list.scrollHeight;
    return list.lastElementChild.lastElementChild.textContent.includes('9999.jpg');
  }, null, { polling: 50, timeout: 120_000 });
  assert.equal(await page.textContent('#history-count'), '10,000');
  assert.ok((await page.locator('#history-list .row').count()) < 60);
  await page.focus('#history-list');
  await page.keyboard.press('Home');
  await page.waitForSelector('#history-list .row[aria-selected=true] >> text="0.jpg"');
  await page.keyboard.press('ArrowDown');
  await page.waitForSelector('#history-list .row[aria-selected=true] >> text="1.jpg"');
});
