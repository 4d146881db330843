// Photos that come into the page: dropped, pasted or chosen; sent to the server a few at a time.

import { ApiError, address, getJson, request, resultAddress } from './api.js';
import { byId, element, icon, say, show } from './dom.js';
import { bytes, counted, fileName } from './format.js';
import { emit, on, putEntry, state } from './state.js';

// One is processed while the next one is on its way.
const AT_ONCE = 2;
const PHOTOS = /\.(jpe?g|jfif|png|webp|bmp|gif|tiff?|p[bgpn]m)$/i;

const waiting = [];
const progress = { total: 0, done: 0, failed: 0, running: 0, busy: false, name: '' };
let stopping = new AbortController();

/** Query values that say which model and thresholds new photos are processed with. */
export function segmentQuery() {
  const moved = state.sendMoved ? state.moved.get(state.model) : undefined;
  return {
    model: state.model,
    score_threshold: moved?.score,
    review_threshold: moved?.review,
    pixel_threshold: moved?.pixel,
    min_area: state.sendMoved ? state.minArea : undefined,
    source: 'page',
  };
}

const pause = (seconds) => new Promise((resume) => setTimeout(resume, 1000 * seconds));

// Waits as long as the server asks when its queue is full.
async function post(file, query) {
  for (;;) {
    try {
      const response = await request(address('v1/segment', query), {
        method: 'POST',
        headers: { 'Content-Type': file.type || 'application/octet-stream' },
        body: file,
        signal: stopping.signal,
      });
      progress.busy = false;
      return response;
    } catch (error) {
      if (error.status !== 429) throw error;
      progress.busy = true;
      drawProgress();
      await pause(error.retryAfter ?? 1);
      if (stopping.signal.aborted) throw new DOMException('Stopped', 'AbortError');
    }
  }
}

// Without a history the page keeps the result itself.
function entryOf(record, location, name) {
  const id = location ? decodeURIComponent(location.split('/').pop()) : `here-${crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
  const model = state.models.get(state.model);
  return {
    id, name, record, source: 'page', time: new Date().toISOString(), sha256: null,
    model: { name: model?.name ?? '', digest: model?.digest ?? '' },
    has: { photo: false, overlay: false, map: Boolean(record.files.map) },
    verdict: null,
  };
}

async function send({ file, name }) {
  const limit = state.info?.limits?.body_bytes;
  if (limit && file.size > limit) {
    throw new ApiError(`The photo has ${bytes(file.size)}; this server takes up to ${bytes(limit)}.`, 413);
  }
  const keep = Boolean(state.info?.history);
  const response = await post(file, {
    ...segmentQuery(), name, include: 'map', map_format: 'npy', pictures: keep ? 'links' : 'inline',
  });
  const record = await response.json();
  const location = response.headers.get('Location');
  let entry = entryOf(record, location, name);
  if (keep && location) entry = await getJson(resultAddress(entry.id));
  state.files.set(entry.id, file);
  putEntry(entry);
  emit('arrived', entry);
}

function fail(item, error) {
  progress.failed += 1;
  emit('failed', {
    name: item.name, error: error.message,
    retry: [400, 413, 415, 422].includes(error.status) ? null : () => add([item]),
  });
}

async function work() {
  while (waiting.length > 0) {
    const item = waiting.shift();
    progress.name = item.name;
    progress.running += 1;
    drawProgress();
    try {
      await send(item);
      progress.done += 1;
    } catch (error) {
      if (error.name !== 'AbortError') fail(item, error);
    }
    progress.running -= 1;
    drawProgress();
  }
}

function drawProgress() {
  const { total, done, failed, running, busy, name } = progress;
  const box = byId('progress');
  const active = running > 0 || waiting.length > 0;
  box.hidden = !active;
  if (!active) {
    if (total > 1) say(failed ? `${done} of ${total} photos gave a result.` : `${counted(done, 'photo')} inspected.`);
    Object.assign(progress, { total: 0, done: 0, failed: 0, busy: false });
    return;
  }
  show(box,
    element('progress', { max: total, value: done + failed, 'aria-label': 'Photos inspected' }),
    element('span', { class: 'progress-text' }, busy ? 'The server is busy; waiting. ' : '',
      `${done + failed} of ${total} · ${fileName(name)}`),
    element('button', { type: 'button', class: 'small', onclick: stop }, icon('stop'), 'Stop'));
}

function stop() {
  const dropped = waiting.splice(0).length;
  stopping.abort();
  stopping = new AbortController();
  progress.total -= dropped;
}

/** Queues photos: `{file, name}` each. */
export function add(items) {
  const fresh = progress.running === 0;
  waiting.push(...items);
  progress.total += items.length;
  if (fresh) for (let worker = 0; worker < AT_ONCE; worker += 1) work();
  drawProgress();
}

// Files that are not photos by name and type are skipped where a folder was given.
function take(files, fromFolder) {
  const all = files.map((file) => ({ file, name: file.relativePath || file.webkitRelativePath || file.name || 'photo' }));
  const photos = all.filter(({ file, name }) => PHOTOS.test(name) || file.type.startsWith('image/'));
  const taken = fromFolder ? photos : all;
  if (fromFolder && taken.length === 0) {
    say('There are no photos in this folder.', 'error');
  } else if (taken.length < all.length) {
    say(`${counted(all.length - taken.length, 'file')} that ${all.length - taken.length === 1 ? 'is not a photo was' : 'are not photos were'} skipped.`);
  }
  if (taken.length > 0) add(taken);
}

const readEntries = (reader) => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
const readFile = (entry) => new Promise((resolve, reject) => entry.file(resolve, reject));

async function filesIn(entry, files) {
  if (entry.isFile) {
    const file = await readFile(entry);
    file.relativePath = entry.fullPath.replace(/^\//, '');
    files.push(file);
  } else {
    const reader = entry.createReader();
    for (let some = await readEntries(reader); some.length > 0; some = await readEntries(reader)) {
      for (const one of some.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))) {
        await filesIn(one, files);
      }
    }
  }
}

async function takeDropped(transfer) {
  // The list is emptied when this function first waits.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const plain = [...transfer.files];
  if (!entries.some((entry) => entry.isDirectory)) {
    if (plain.length > 0) take(plain, false);
    return;
  }
  const files = [];
  try {
    for (const entry of entries) await filesIn(entry, files);
  } catch {
    say('The folder could not be read to its end.', 'error');
  }
  take(files, true);
}

function listenForDrops(arrive) {
  let depth = 0;
  const marked = (is) => document.body.classList.toggle('dropping', is);
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files');
  addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    depth += 1;
    marked(true);
  });
  addEventListener('dragleave', () => {
    depth = Math.max(0, depth - 1);
    if (depth === 0) marked(false);
  });
  addEventListener('dragover', (event) => {
    if (carriesFiles(event)) event.preventDefault();
  });
  addEventListener('drop', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    marked(false);
    arrive();
    takeDropped(event.dataTransfer);
  });
}

/** Makes dropping, pasting and choosing work; `arrive` is called before photos are taken. */
export function startIntake(arrive) {
  for (const [id, fromFolder] of [['choose-photos', false], ['choose-folder', true]]) {
    const field = byId(id);
    byId(`${id}-button`).addEventListener('click', () => field.click());
    field.addEventListener('change', () => {
      const files = [...field.files];
      field.value = '';
      if (files.length > 0) take(files, fromFolder);
    });
  }
  listenForDrops(arrive);
  addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith('image/'));
    if (files.length === 0) return;
    event.preventDefault();
    arrive();
    take(files, false);
  });
  // Files of results that are no longer listed are let go.
  on('arrived', () => {
    while (state.files.size > 300) state.files.delete(state.files.keys().next().value);
  });
}
