// New thresholds from what was judged, and good photos to compare with.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { drop, openBrowser, openPage, results, variants } from './browser.js';
import { sample, serve } from './program.js';

const good = await sample('cookie-good.jpg');
const broken = await sample('cookie-broken-1.jpg');

const model = (page) => page.evaluate(async () => (await (await fetch('v1/models')).json()).models[0]);

// Judges what the session's list holds, from the newest on, with one key.
async function judgeAll(page, key, verdict, count) {
  await page.check('#advance');
  await page.locator('#session-list .row').first().click();
  for (let judged = 0; judged < count; judged += 1) await page.keyboard.press(key);
  await page.waitForFunction(async ([wanted, kind]) => {
    const { results: found } = await (await fetch(`v1/results?verdict=${kind}`)).json();
    return found.length === wanted;
  }, [count, verdict]);
}

test('thresholds from judged photos hold once they are taken', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t), { expected: /status of 4\d\d/ });
  const before = await model(page);
  await page.click('nav >> text=Thresholds');
  await page.click('#find-thresholds');
  // Nothing was judged yet, which is said in a sentence.
  await page.waitForFunction(() => /\.$/.test(document.getElementById('calibration-error').textContent.trim()));

  await page.click('nav >> text=Inspect');
  await drop(page, ...(await variants(page, good, 12)));
  await results(page, 12);
  await judgeAll(page, 'g', 'good', 12);

  await page.click('nav >> text=Thresholds');
  await page.waitForSelector('.judged-label:has-text("12 photos")');
  await page.click('#find-thresholds');
  await page.waitForSelector('#proposal-sentences li', { timeout: 120_000 });
  const sentences = await page.locator('#proposal-sentences li').allInnerTexts();
  assert.ok(sentences.some((sentence) => sentence.includes('%')), sentences.join('\n'));
  assert.deepEqual((await model(page)).thresholds, before.thresholds);

  await page.click('#accept-proposal');
  await page.waitForSelector('#proposal', { state: 'hidden' });
  const { thresholds } = await model(page);
  assert.notEqual(thresholds.score, before.thresholds.score);
  assert.match(await page.innerText('#thresholds-now'), new RegExp(thresholds.score.toFixed(3).replace('.', '\\.')));

  // New photos are decided with them.
  await page.click('nav >> text=Inspect');
  await drop(page, { name: 'next.jpg', content: broken });
  await results(page, 13);
  const { results: [{ record }] } = await page.evaluate(async () => (await fetch('v1/results?limit=1')).json());
  assert.equal(record.score_threshold, thresholds.score);
});

test('a photo that was judged good becomes one to compare with', async (t) => {
  const page = await openPage(t, await openBrowser(t), await serve(t));
  await drop(page, { name: 'good.jpg', content: good });
  await results(page, 1);
  await page.waitForFunction(() => document.getElementById('outcome').dataset.decision);
  await page.keyboard.press('g');
  await page.waitForSelector('.verdict.good[aria-pressed=true]');
  await page.click('#use-as-reference');
  await page.waitForSelector('.choice input:checked');
  await page.click('#take-references');
  await page.waitForFunction(() => /compared with 1 good photo/.test(document.getElementById('references-now').textContent),
    null, { timeout: 120_000 });
  assert.equal((await model(page)).references.photos, 1);

  await page.click('nav >> text=Inspect');
  await drop(page, { name: 'next.jpg', content: broken });
  await results(page, 2);
  const { results: [{ record }] } = await page.evaluate(async () => (await fetch('v1/results?limit=1')).json());
  assert.ok(record.references_sha256);

  await page.click('nav >> text=Thresholds');
  await page.click('#remove-references');
  await page.waitForSelector('#remove-references', { state: 'hidden' });
  assert.equal((await model(page)).references, null);
});
