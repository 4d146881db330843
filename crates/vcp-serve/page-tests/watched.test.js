// Photos that come into a folder appear on the page as they come.

import assert from 'node:assert/strict';
import { rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';

import { mapShown, openBrowser, openPage, results } from './browser.js';
import { sample, serve, temporaryFolder } from './program.js';

test('a watched folder is shown live', async (t) => {
  const folder = await temporaryFolder(t);
  const page = await openPage(t, await openBrowser(t), await serve(t, '--watch', folder, '--settle', '0.2'));
  const says = (text) =>
    page.waitForFunction((expected) => document.getElementById('watch').textContent.includes(expected), text);
  await says(`Folder ${path.basename(folder)}`);
  await says('0 inspected');

  await writeFile(path.join(folder, 'part.tmp'), await sample('cookie-broken-1.jpg'));
  await rename(path.join(folder, 'part.tmp'), path.join(folder, 'part.jpg'));
  await results(page, 1);
  await mapShown(page);
  assert.match(await page.textContent('#result-name'), /part\.jpg$/);
  assert.equal(await page.getAttribute('#outcome', 'data-decision'), 'defect');
  await says('1 inspected');

  await writeFile(path.join(folder, 'cut.png'), Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'));
  await says('1 failed');
  await says(`${path.basename(folder)}/cut.png`);

  // Also for who comes later.
  await page.reload();
  await says('1 inspected');
});
