// A browser, and what all tests do with a page in it.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';

import { atEnd } from './program.js';

const { chromium } = createRequire(path.join(process.env.PAGE_TESTS_MODULES, 'package.json'))('playwright-core');

/** A browser with a camera that shows a moving picture. */
export async function openBrowser(test) {
  const browser = await chromium.launch({
    executablePath: process.env.PAGE_TESTS_BROWSER,
    // Chromium refuses to run its sandbox for root.
    args: ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])],
  });
  atEnd(test, () => browser.close());
  return browser;
}

/**
 * The page at `address` in a window of its own, connected. When the test ends, nothing must have been said on the
 * console but what `expected` matches, and nothing asked of another origin.
 */
export async function openPage(test, browser, address, { expected = null, connected = true, ...options } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type()) || expected?.test(message.text())) return;
    complaints.push(`${message.text()} ${message.location().url}`);
  });
  page.on('pageerror', (error) => complaints.push(error.stack));
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    if (!['data:', 'blob:'].includes(protocol) && origin !== new URL(address).origin) {
      complaints.push(`asked ${request.url()}`);
    }
  });
  atEnd(test, () => assert.deepEqual(complaints, []));
  await page.goto(address);
  if (connected) await page.waitForSelector('#connection[data-state=on]');
  return page;
}

/** Drops files on the page: `{name, content}` each. */
export async function drop(page, ...files) {
  const carried = files.map(({ name, content }) => [name, content.toString('base64')]);
  const transfer = await page.evaluateHandle((list) => {
    const made = new DataTransfer();
    for (const [name, text] of list) {
      const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      made.items.add(new File([bytes], name, { type: 'image/jpeg' }));
    }
    return made;
  }, carried);
  await page.dispatchEvent('body', 'dragenter', { dataTransfer: transfer });
  await page.dispatchEvent('body', 'drop', { dataTransfer: transfer });
}

/** Waits until the session's list has so many results. */
export const results = (page, count) =>
  page.waitForFunction((expected) => {
    const row = document.querySelector('#session-list .row');
    return Number(row?.getAttribute('aria-setsize') ?? 0) === expected;
  }, count, { timeout: 60_000 });

/** Waits until the page shows the map of the result that is chosen. */
export const mapShown = (page) => page.waitForSelector('#map-histogram .bar', { state: 'attached' });

// A sum over the pixels of the photo's canvas, when it has been drawn.
const pixels = (page, wanted) =>
  page.evaluate(async (wanted) => {
    await new Promise((resume) => requestAnimationFrame(() => requestAnimationFrame(resume)));
    const stage = document.getElementById('stage');
    const context = new OffscreenCanvas(stage.width, stage.height).getContext('2d', { willReadFrequently: true });
    context.drawImage(stage, 0, 0);
    const { data } = context.getImageData(0, 0, stage.width, stage.height);
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) {
      const [red, green, blue] = [data[at], data[at + 1], data[at + 2]];
      sum += wanted === 'outlines' ? Number(red < 90 && green > 240 && blue > 240) : red + 2 * green + 3 * blue;
    }
    return sum;
  }, wanted);

/** How many pixels have the colour of outlines. */
export const outlinePixels = (page) => pixels(page, 'outlines');

/** A number that changes with what the canvas shows. */
export const canvasSum = (page) => pixels(page, 'sum');

/** JPEG files that show the photo, each a little darker, as different photos of one part would be. */
export async function variants(page, content, count) {
  const made = await page.evaluate(async ([text, number]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const photo = await createImageBitmap(new Blob([bytes]));
    const canvas = document.createElement('canvas');
    Object.assign(canvas, { width: photo.width / 2, height: photo.height / 2 });
    const context = canvas.getContext('2d');
    const files = [];
    for (let index = 0; index < number; index += 1) {
      context.drawImage(photo, 0, 0, canvas.width, canvas.height);
      context.fillStyle = `rgb(0 0 0 / ${(2 * index) / 100})`;
      context.fillRect(0, 0, canvas.width, canvas.height);
      files.push(canvas.toDataURL('image/jpeg', 0.9).split(',')[1]);
    }
    return files;
  }, [content.toString('base64'), count]);
  return made.map((text, index) => ({ name: `part-${index + 1}.jpg`, content: Buffer.from(text, 'base64') }));
}
