// Photos come in, are shown with their maps, and are decided anew as thresholds move.

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { canvasSum, drop, mapShown, openBrowser, openPage, outlinePixels, results } from './browser.js';
import { sample, serve, temporaryFolder } from './program.js';

const broken = { name: 'cookie-broken-1.jpg', content: await sample('cookie-broken-1.jpg') };
const good = { name: 'cookie-good.jpg', content: await sample('cookie-good.jpg') };

const outcome = (page) => page.getAttribute('#outcome', 'data-decision');

test('a dropped photo is shown with its map, outlines and regions', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t));
  await drop(page, broken);
  await results(page, 1);
  await mapShown(page);
  assert.equal(await page.textContent('#result-name'), broken.name);
  assert.equal(await outcome(page), 'defect');
  assert.ok((await outlinePixels(page)) > 20);

  const regions = await page.locator('#regions .region').count();
  assert.ok(regions > 0);
  assert.equal(await page.textContent('#region-count'), String(regions));

  // Without the map and without its outlines it is another picture.
  const whole = await canvasSum(page);
  await page.keyboard.press('o');
  assert.equal(await outlinePixels(page), 0);
  const mapAlone = await canvasSum(page);
  await page.keyboard.press('m');
  const photoAlone = await canvasSum(page);
  assert.equal(new Set([whole, mapAlone, photoAlone]).size, 3);
  await page.keyboard.press('m');
  await page.keyboard.press('o');
  assert.equal(await canvasSum(page), whole);

  // Zoomed in and back.
  const zoom = await page.textContent('.zoom');
  await page.keyboard.press('+');
  await page.waitForFunction((text) => document.querySelector('.zoom').textContent !== text, zoom);
  await page.keyboard.press('0');
  await page.waitForFunction((text) => document.querySelector('.zoom').textContent === text, zoom);
});

test('the value under the pointer is that of the map', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t));
  await drop(page, broken);
  await results(page, 1);
  await mapShown(page);
  const { results: [{ id, record }] } = await page.evaluate(async () => (await fetch('v1/results')).json());
  assert.ok(id);
  const [region] = record.regions;
  const box = await page.locator('#stage').boundingBox();
  const scale = Math.min((box.width - 24) / record.width, (box.height - 24) / record.height);
  const place = (at, size, room) => (room - size * scale) / 2 + (at + 0.5) * scale;
  await page.mouse.move(
    box.x + place(region.peak_position[0], record.width, box.width),
    box.y + place(region.peak_position[1], record.height, box.height),
  );
  const [, x, y, value] = /x (\d+), y (\d+): ([\d.]+)/.exec(await page.textContent('#pointer'));
  assert.ok(Math.abs(Number(x) - region.peak_position[0]) <= 1, `${x}`);
  assert.ok(Math.abs(Number(y) - region.peak_position[1]) <= 1, `${y}`);
  // The map has 65,536 steps, and the readout three digits.
  assert.ok(Math.abs(Number(value) - region.peak) < 0.002, `${value}, ${region.peak}`);
});

test('thresholds are applied to what is shown without asking the server', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t));
  await drop(page, good, broken);
  await results(page, 2);
  await page.locator('#session-list .row', { hasText: broken.name }).click();
  await mapShown(page);
  const recorded = await page.locator('#regions .region').count();
  const area = (row) => Number(row.split(/\s+/).at(-1).replaceAll(',', ''));
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));

  const handle = page.locator('.handle.defect');
  await handle.focus();
  await page.keyboard.press('End');
  await page.waitForFunction(() => document.querySelector('#outcome').dataset.decision !== 'defect');
  await page.waitForFunction(() => document.querySelectorAll('#session-list .mark.defect').length === 0);
  await page.keyboard.press('Home');
  await page.waitForFunction(() => document.querySelectorAll('#session-list .mark.defect').length === 2);
  assert.equal(await handle.getAttribute('aria-valuenow'), '0.000');

  // The same handle, dragged.
  const box = await page.locator('#score-histogram .track').boundingBox();
  await page.mouse.move(box.x + 1, box.y + box.height / 2);
  await page.mouse.down();
  await page.mouse.move(box.x + 0.7 * box.width, box.y + box.height / 2, { steps: 5 });
  await page.mouse.up();
  await page.waitForFunction(() => document.querySelectorAll('#session-list .mark.defect').length === 1);

  // Regions and outlines follow the threshold of the map.
  const before = await outlinePixels(page);
  await page.fill('#map-histogram input', '0.3');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('regions-note').textContent !== '');
  assert.notEqual(await outlinePixels(page), before);
  const larger = area(await page.locator('#regions .region').first().innerText());
  await page.fill('#map-histogram input', '1');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelectorAll('#regions .region').length === 0);
  assert.equal(await outlinePixels(page), 0);
  assert.deepEqual(asked, []);

  await page.click('#reset-thresholds');
  await page.waitForFunction((count) => document.querySelectorAll('#regions .region').length === count, recorded);
  assert.equal(await outcome(page), 'defect');
  assert.ok(larger > area(await page.locator('#regions .region').first().innerText()));
});

test('regions found in the browser are those of the program', async (t) => {
  const address = await serve(t);
  const page = await openPage(t, await openBrowser(t), address);
  await drop(page, broken);
  await results(page, 1);
  await mapShown(page);
  await page.fill('#map-histogram input', '0.4');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.getElementById('regions-note').textContent !== '');
  const shown = await page.locator('#regions .region').allInnerTexts();
  const response = await fetch(`${address}/v1/segment?pixel_threshold=0.4`, { method: 'POST', body: broken.content });
  const { regions } = await response.json();
  assert.equal(shown.length, regions.length);
  shown.forEach((text, index) => {
    const [, width, height, area] = /(\d+) × (\d+)\D+([\d,]+)\s*$/.exec(text);
    const { box, area: exact } = regions[index];
    // Values in steps of 1/65535 may lie on the other side of the threshold for a pixel at the border.
    assert.ok(Math.abs(Number(width) - box.width) <= 1 && Math.abs(Number(height) - box.height) <= 1, text);
    assert.ok(Math.abs(Number(area.replaceAll(',', '')) - exact) <= 2 + exact / 500, `${text} for ${exact}`);
  });
});

test('what is no photo is answered by a sentence, and names are text', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t), { expected: /status of (415|422)/ });
  const name = '<img src=x onerror=document.title=1>.jpg';
  await drop(page, { name, content: Buffer.from('no photo') }, { ...good, name });
  await results(page, 1);
  await page.waitForSelector('#failures strong');
  assert.equal(await page.textContent('#failures strong'), name);
  assert.match(await page.textContent('#failures .error'), /\S.+\.$/);
  assert.equal(await page.textContent('#session-list .row-name'), name);
  assert.equal(await page.locator('img[src=x]').count(), 0);
  assert.equal(await page.title(), 'vcp-clip');
  await page.click('#failures button:has-text("Dismiss")');
  assert.equal(await page.locator('#failures strong').count(), 0);
});

test('photos are chosen, pasted, and taken from a folder', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t));
  const folder = await temporaryFolder(t);
  await writeFile(path.join(folder, 'a.jpg'), good.content);
  await writeFile(path.join(folder, 'b.jpg'), broken.content);
  await writeFile(path.join(folder, 'notes.txt'), 'no photo');
  await page.setInputFiles('#choose-photos', path.join(folder, 'a.jpg'));
  await results(page, 1);
  await page.setInputFiles('#choose-folder', folder);
  await results(page, 3);
  assert.match(await page.textContent('#notices'), /1 file that is not a photo was skipped/);
  await page.evaluate((text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const clipboardData = new DataTransfer();
    clipboardData.items.add(new File([bytes], 'image.png', { type: 'image/png' }));
    dispatchEvent(new ClipboardEvent('paste', { clipboardData, cancelable: true }));
  }, broken.content.toString('base64'));
  await results(page, 4);
  assert.equal(await page.locator('#failures strong').count(), 0);
});

test('the camera shows frames per second, and keeps only what is taken', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t), { permissions: ['camera'] });
  await page.click('#camera-button');
  await page.click('#camera-live');
  await page.waitForSelector('#camera-state:has-text("frames per second")', { timeout: 60_000 });
  const kept = () => page.evaluate(async () => (await (await fetch('v1/results')).json()).results.length);
  assert.equal(await kept(), 0);
  await page.click('#camera-shoot');
  await results(page, 1);
  assert.equal(await kept(), 1);
  await page.click('#camera-close');
  assert.ok(await page.locator('#camera').isHidden());
});

test('colours follow the system until they are chosen', async (t) => {
  const address = await serve(t);
  const page = await openPage(t, await openBrowser(t), address, { colorScheme: 'dark' });
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const dark = await ground();
  await page.emulateMedia({ colorScheme: 'light' });
  const light = await ground();
  assert.notEqual(light, dark);
  await page.click('#theme');
  assert.equal(await ground(), dark);
  await page.reload();
  assert.equal(await ground(), dark);
});
