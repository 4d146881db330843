// The program under test, serving on a free port of this machine.

import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const SAMPLES = fileURLToPath(new URL('../../../samples', import.meta.url));

/** The content of a photo of the repository. */
export const sample = (name) => readFile(path.join(SAMPLES, name));

const endings = new WeakMap();

/** Something to do when the test ends; what was said last is done first. */
export function atEnd(test, action) {
  if (!endings.has(test)) {
    endings.set(test, []);
    test.after(async () => {
      const outcomes = [];
      for (const ending of endings.get(test).reverse()) {
        outcomes.push(...(await Promise.allSettled([Promise.resolve().then(ending)])));
      }
      const failed = outcomes.find(({ status }) => status === 'rejected');
      if (failed) throw failed.reason;
    });
  }
  endings.get(test).push(action);
}

/** A folder of its own, removed when the test ends. */
export async function temporaryFolder(test) {
  const folder = await mkdtemp(path.join(tmpdir(), 'vcp-clip-page-'));
  atEnd(test, () => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Starts `vcp-clip serve` with a history of its own, unless it is given one; its address, when it is ready. */
export async function serve(test, ...more) {
  const history = more.includes('--history') ? [] : ['--history', path.join(await temporaryFolder(test), 'history')];
  const child = spawn(
    process.env.VCP_CLIP,
    ['serve', '--listen', '127.0.0.1:0', ...history, ...more],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  atEnd(test, async () => {
    if (child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const late = setTimeout(() => child.kill('SIGKILL'), 40_000);
    await ended;
    clearTimeout(late);
  });
  const line = await new Promise((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve);
    child.once('exit', (status) => reject(new Error(`vcp-clip serve ended with status ${status}: ${errors}`)));
    child.once('error', reject);
  });
  const address = JSON.parse(line).listening;
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch(`${address}/readyz`).catch(() => null);
    if (response?.ok) return address;
    if (attempt > 600) throw new Error(`vcp-clip serve does not become ready: ${errors}`);
    await new Promise((resume) => setTimeout(resume, 100));
  }
}
