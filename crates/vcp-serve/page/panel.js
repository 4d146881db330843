// What is beside the photo: outcome, thresholds, regions and details of the result that is shown.

import { download, resultAddress } from './api.js';
import {
  modelRange, modelThresholds, moveThreshold, recordThresholds, regionsAsRecorded, resetThresholds, shownDecision,
  shownMinArea, shownThresholds,
} from './decide.js';
import { byId, eachFrame, element, icon, show } from './dom.js';
import { count, counted, fileName, milliseconds, moment, shortDigest, value } from './format.js';
import { histogram } from './histogram.js';
import { outcomeMark } from './list.js';
import { histogramOf } from './map.js';
import { mapOf, photoOf } from './photos.js';
import { photoRegions, scaledMap, workingSize } from './regions.js';
import { emit, on, selectedEntry, state } from './state.js';
import { showVerdict, startVerdict } from './verdict.js';
import { highlight, showPhoto, showThreshold } from './viewer.js';

const MAP_STEPS = 64;
const ROWS_SHOWN = 100;

// What was computed from the map that is shown.
let current = { id: null, map: null, scaled: null, size: null, histogram: [] };
let scores;
let values;

/** The model whose thresholds the handles move: that of the result that is shown, else that of new photos. */
const handled = () => selectedEntry()?.model.name ?? state.model;

function handleValues() {
  const name = handled();
  const entry = selectedEntry();
  return state.moved.get(name) ?? (entry ? recordThresholds(entry.record) : modelThresholds(name));
}

function move(which, to) {
  const from = handleValues();
  if (from) moveThreshold(handled(), which, to, from);
}

function drawThresholds() {
  const at = handleValues();
  const nothing = at === null || (!selectedEntry() && !state.camera && !state.scores.some((number) => number > 0));
  byId('thresholds-panel').hidden = nothing;
  if (nothing) return;
  scores.update(state.scores, { review: at.review, score: at.score });
  values.update(current.histogram, { pixel: at.pixel });
  const name = handled();
  const moved = state.moved.has(name);
  byId('moved').hidden = !moved;
  byId('send-moved-row').hidden = !moved || name !== state.model;
  const entry = selectedEntry();
  byId('map-thresholds').hidden = !entry && !state.camera;
  byId('min-area').value = entry ? shownMinArea(entry) : state.minArea ?? 1;
  const today = modelThresholds(name);
  const other = entry && today && !moved && ['score', 'pixel', 'review'].some(
    (which) => today[which] !== recordThresholds(entry.record)[which]);
  byId('other-thresholds').hidden = !other;
}

function drawHeader() {
  const entry = selectedEntry();
  byId('result').hidden = !entry;
  byId('no-result').hidden = Boolean(entry);
  byId('regions-panel').hidden = !entry;
  byId('details-panel').hidden = !entry;
  showVerdict(entry);
  if (!entry) return;
  const { record } = entry;
  const decision = shownDecision(entry);
  show(byId('outcome'), outcomeMark(decision), element('span', { class: 'score' }, value(record.score)),
    element('span', { class: 'muted against', title: 'Score threshold' },
      `${decision === 'defect' ? '≥' : '<'} ${value(shownThresholds(entry).score)}`));
  byId('outcome').dataset.decision = decision;
  byId('result-name').textContent = fileName(entry.name || record.path);
  byId('result-name').title = entry.name || record.path;
  byId('result-time').textContent = `${moment(entry.time)} · ${record.width} × ${record.height}`;
  const said = [...(record.warnings ?? [])];
  if (decision !== record.decision) said.push(`With the thresholds it was processed with: ${record.decision}.`);
  show(byId('result-notes'), said.map((sentence) => element('li', {}, sentence)));
}

function regionsNow(entry) {
  if (regionsAsRecorded(entry)) return { regions: entry.record.regions, exact: true };
  if (current.id !== entry.id || !current.map) return { regions: null, exact: false };
  const { width, height } = entry.record;
  current.size ??= workingSize(width, height);
  current.scaled ??= scaledMap(current.map, current.size.width, current.size.height);
  return {
    regions: photoRegions(current.scaled, current.size, { width, height }, shownThresholds(entry).pixel, shownMinArea(entry)),
    exact: false,
  };
}

function regionRow(region, index) {
  const { box } = region;
  const row = element('button', {
    type: 'button', class: 'region',
    title: `Left ${box.x}, top ${box.y}; mean value ${value(region.mean)}`,
    onclick: () => highlight(region, true),
    onfocus: () => highlight(region),
    onblur: () => highlight(null),
    onpointerenter: () => highlight(region),
    onpointerleave: () => document.activeElement !== row && highlight(null),
  },
  element('span', { class: 'index' }, index + 1),
  element('span', {}, element('span', { class: 'unseen' }, 'peak '), value(region.peak)),
  element('span', {}, `${box.width} × ${box.height}`),
  element('span', {}, element('span', { class: 'unseen' }, 'area '), count(region.area)));
  return element('li', {}, row);
}

const drawRegions = eachFrame(() => {
  const entry = selectedEntry();
  if (!entry) return;
  const { regions, exact } = regionsNow(entry);
  const list = byId('regions');
  byId('region-count').textContent = regions ? count(regions.length) : '';
  if (!regions) show(list, element('li', { class: 'muted' }, 'Without its map, regions cannot be found anew.'));
  else if (regions.length === 0) show(list, element('li', { class: 'muted' }, 'No pixel reaches the pixel threshold.'));
  else {
    show(list, regions.slice(0, ROWS_SHOWN).map(regionRow),
      regions.length > ROWS_SHOWN
        ? element('li', { class: 'muted' }, `${counted(regions.length - ROWS_SHOWN, 'smaller region')} not listed.`)
        : null);
  }
  byId('regions-head').hidden = !regions?.length;
  byId('regions-note').textContent = exact ? '' : 'Found in the browser, from the map.';
});

function fileLink(label, path, name) {
  return element('button', { type: 'button', class: 'link', onclick: () => download(path, name) }, label);
}

function drawDetails() {
  const entry = selectedEntry();
  if (!entry) return;
  const { record, model } = entry;
  const rows = [
    ['File', entry.name], ['Source', entry.source], ['Model', `${model.name} ${shortDigest(model.digest)}`],
    ['SHA-256', entry.sha256 && shortDigest(entry.sha256)], ['Time taken', milliseconds(record.milliseconds)],
    ['Largest value', value(record.max)],
    ['Thresholds', [`score ${value(record.score_threshold)}`,
      record.review_threshold === undefined || record.review_threshold === null ? null : `review ${value(record.review_threshold)}`,
      `pixel ${value(record.pixel_threshold)}`].filter(Boolean).join(', ')],
    ['References', record.references_sha256 && shortDigest(record.references_sha256)],
  ].filter(([, text]) => text);
  show(byId('details'), rows.map(([name, text]) => [element('dt', {}, name), element('dd', { title: text }, text)]));
  const base = fileName(entry.name || 'photo').replace(/\.[^.]*$/, '');
  const stored = !entry.id.startsWith('here-');
  show(byId('files'),
    stored && entry.has.photo ? fileLink('Photo', resultAddress(entry.id, 'photo'), fileName(entry.name || 'photo')) : null,
    stored && entry.has.overlay ? fileLink('Overlay', resultAddress(entry.id, 'overlay.png'), `${base}.overlay.png`) : null,
    stored && entry.has.map ? fileLink('Map (.npy)', resultAddress(entry.id, 'map.npy'), `${base}.map.npy`) : null,
    stored ? fileLink('Record (JSON)', resultAddress(entry.id), `${base}.json`) : null);
  byId('use-as-reference').hidden = !stored || !entry.has.photo;
}

// The photo is shown as soon as it is there, the map when it is; unless another result was chosen meanwhile.
async function load(entry) {
  const still = () => state.selected === entry.id;
  const { width, height } = entry.record;
  const note = byId('stage-note');
  note.textContent = '';
  let photo = null;
  const problems = [];
  const taken = Promise.allSettled([
    photoOf(entry).then((loaded) => {
      photo = loaded.photo;
      if (loaded.note) problems.push(loaded.note);
      if (still()) showPhoto(photo, { width, height }, null, modelRange(entry.model.name));
    }),
    mapOf(entry),
  ]);
  showThreshold(shownThresholds(entry).pixel, shownMinArea(entry));
  const [gotPhoto, gotMap] = await taken;
  if (!still()) return;
  if (gotPhoto.status === 'rejected') problems.push(`The photo cannot be shown. ${gotPhoto.reason.message}`);
  if (gotMap.status === 'rejected') problems.push(`The map cannot be shown. ${gotMap.reason.message}`);
  const map = gotMap.value ?? null;
  if (gotMap.status === 'fulfilled' && !map) problems.push('No map was kept for this photo.');
  current = { id: entry.id, map, scaled: null, size: null, histogram: map ? histogramOf(map, MAP_STEPS) : [] };
  showPhoto(photo, { width, height }, map, modelRange(entry.model.name));
  note.textContent = problems.join(' ');
  drawThresholds();
  drawRegions();
}

/** Draws the result that is shown; loads its photo and map. */
export function showSelected() {
  const entry = selectedEntry();
  current = { id: null, map: null, scaled: null, size: null, histogram: [] };
  drawHeader();
  drawThresholds();
  drawRegions();
  drawDetails();
  byId('stage').setAttribute('aria-label', entry
    ? `Photo ${fileName(entry.name)} with its map. Arrow keys move it, plus and minus zoom.` : 'No photo is shown');
  if (entry) load(entry);
  else showPhoto(null, { width: 1, height: 1 }, null);
}

/** Makes the panel work; once. */
export function startPanel() {
  startVerdict();
  scores = histogram({
    label: 'Scores of the photos in the list',
    handles: [
      { name: 'review', label: 'Review from score', kind: 'review' },
      { name: 'score', label: 'Defect from score', kind: 'defect' },
    ],
    move,
  });
  values = histogram({
    label: 'Values of the map that is shown, on a logarithmic scale',
    handles: [{ name: 'pixel', label: 'Outline from value', kind: 'outlined' }],
    move, logarithmic: true,
  });
  byId('score-histogram').append(scores.node);
  byId('map-histogram').append(values.node);
  byId('min-area').addEventListener('change', (event) => {
    state.minArea = Math.max(1, Math.floor(Number(event.target.value)) || 1);
    emit('thresholds');
  });
  byId('reset-thresholds').addEventListener('click', () => resetThresholds(handled()));
  byId('use-today').addEventListener('click', () => {
    state.moved.set(handled(), modelThresholds(handled()));
    emit('thresholds');
  });
  byId('send-moved').addEventListener('change', (event) => {
    state.sendMoved = event.target.checked;
  });
  byId('use-as-reference').prepend(icon('plus'));
  byId('use-as-reference').addEventListener('click', () => emit('reference', state.selected));
  on('selection', showSelected);
  on('models', drawThresholds);
  on('scores', drawThresholds);
  on('info', drawHeader);
  on('camera', (active) => {
    if (active) drawThresholds();
    else showSelected();
  });
  on('frame', (map) => {
    current = { id: null, map, scaled: null, size: null, histogram: map ? histogramOf(map, MAP_STEPS) : [] };
    drawThresholds();
  });
  on('entry', (entry) => {
    if (entry.id !== state.selected) return;
    drawHeader();
    drawDetails();
  });
  on('thresholds', () => {
    drawHeader();
    drawThresholds();
    const entry = selectedEntry();
    if (entry) showThreshold(shownThresholds(entry).pixel, shownMinArea(entry));
    drawRegions();
  });
}
