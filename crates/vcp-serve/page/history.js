// The history: filters, counters, reject rate over time, and a list that is loaded as it is scrolled.

import { address, download, getJson } from './api.js';
import { byId, element, show } from './dom.js';
import { count, percent } from './format.js';
import { resultList } from './list.js';
import { drawPlot } from './plot.js';
import { emit, forget, noteSource, on, select, state } from './state.js';

const PAGE = 200;
// A page that is left open beside a line does not grow for ever.
const MOST = 20_000;
const HOUR = 3_600_000;
const PERIODS = { hour: HOUR, day: 24 * HOUR, week: 7 * 24 * HOUR, month: 30 * 24 * HOUR };

let list;
let loaded = [];
let cursor = null;
let loading = false;
let total = 0;
// Answers to earlier filters are not used.
let round = 0;
let refresh = null;
// Whether results arrived that the list does not show.
let stale = false;
let historyScores = [];
let shown = {};

function period() {
  const { value } = byId('filter-period');
  if (value === 'custom') {
    const time = (id) => (byId(id).value ? new Date(byId(id).value).toISOString() : undefined);
    return { after: time('filter-after'), before: time('filter-before') };
  }
  if (value === 'today') return { after: new Date(new Date().setHours(0, 0, 0, 0)).toISOString() };
  return PERIODS[value] ? { after: new Date(Date.now() - PERIODS[value]).toISOString() } : {};
}

const filters = () => ({
  ...period(),
  outcome: byId('filter-outcome').value,
  verdict: byId('filter-verdict').value,
  model: byId('filter-model').value,
  source: byId('filter-source').value,
});

function problem(sentence) {
  byId('history-error').textContent = sentence;
  byId('history-error').hidden = sentence === '';
}

async function loadMore() {
  if (loading || cursor === null) return;
  loading = true;
  const now = round;
  try {
    const page = await getJson('v1/results', { ...shown, limit: PAGE, cursor: cursor || undefined });
    if (now !== round) return;
    for (const entry of page.results) {
      if (state.listed.history.has(entry.id)) continue;
      state.listed.history.add(entry.id);
      loaded.push(entry.id);
      state.entries.set(entry.id, entry);
      noteSource(entry.source);
    }
    cursor = page.next_cursor;
    problem('');
    draw();
  } catch (error) {
    if (now === round) {
      problem(`The history cannot be read. ${error.message}`);
      cursor = null;
    }
  } finally {
    if (now === round) loading = false;
  }
}

function counter(label, number, kind, note) {
  return element('div', { class: `counter ${kind}` },
    element('dt', {}, label), element('dd', {}, number, note ? element('small', {}, note) : null));
}

async function loadSummary() {
  const now = round;
  try {
    const { outcome, verdict, ...rest } = shown;
    // Rates are of all photos, whatever outcome is listed.
    const whole = await getJson('v1/summary', { ...rest, buckets: 48 });
    if (now !== round) return;
    const rejected = whole.defect + whole.review;
    show(byId('counters'),
      counter('Inspected', count(whole.inspected), ''),
      counter('OK', count(whole.ok), 'ok', percent(whole.ok, whole.inspected)),
      counter('Review', count(whole.review), 'review', percent(whole.review, whole.inspected)),
      counter('Defect', count(whole.defect), 'defect', percent(whole.defect, whole.inspected)),
      counter('Judged', count(whole.judged), '', percent(whole.judged, whole.inspected)),
      counter('False alarms', count(whole.false_alarms), '', 'defect, judged good'),
      counter('Misses', count(whole.misses), '', 'ok, judged defect'));
    byId('plot-title').textContent =
      `Reject rate over time: ${percent(whole.defect, whole.inspected)} defect, ${percent(rejected, whole.inspected)} with review`;
    drawPlot(byId('plot'), whole.rejects);
    total = whole.inspected;
    historyScores = whole.scores;
    draw();
    if (state.view === 'history') publishScores();
  } catch (error) {
    if (now === round) problem(`The counters cannot be read. ${error.message}`);
  }
}

function publishScores() {
  state.scores = historyScores;
  emit('scores');
}

const listsAll = () => !shown.outcome && !shown.verdict;

function draw() {
  list.set(loaded, cursor === null ? loaded.length : listsAll() ? Math.max(total, loaded.length) : null);
  byId('history-count').textContent = cursor === null
    ? count(loaded.length) : `${count(loaded.length)} of ${listsAll() && total ? count(total) : 'more'}`;
  byId('history-empty').hidden = loaded.length > 0 || loading;
}

/** Loads the history anew with the filters as they are. */
export async function reloadHistory() {
  if (!state.info?.history) return;
  round += 1;
  shown = filters();
  const old = loaded;
  loaded = [];
  stale = false;
  state.listed.history.clear();
  forget(old);
  cursor = '';
  loading = false;
  byId('history-list').scrollTop = 0;
  await Promise.all([loadMore(), loadSummary()]);
}

// Whether a new result belongs into the list as it is filtered.
function fits(entry) {
  const { after, before, outcome, verdict, model, source } = shown;
  return (!after || entry.time >= after) && (!before || entry.time < before) &&
    (!outcome || entry.record.decision === outcome) && (!model || entry.model.name === model) &&
    (!source || entry.source === source) &&
    (!verdict || (verdict === 'none' ? !entry.verdict : entry.verdict?.verdict === verdict));
}

/** Takes a result in that has just arrived, and counts anew soon. */
export function noteResult(entry) {
  const { history } = state.listed;
  if (state.view !== 'history' || loaded.length >= MOST) {
    stale = true;
    return;
  }
  if (round > 0 && !history.has(entry.id) && fits(entry)) {
    history.add(entry.id);
    loaded.unshift(entry.id);
    const node = byId('history-list');
    // What is looked at stays where it is.
    if (node.scrollTop > 0) node.scrollTop += 60;
    draw();
  }
  countSoon();
}

/** Counts anew soon, once for many changes. */
export function countSoon() {
  refresh ??= setTimeout(() => {
    refresh = null;
    if (round > 0 && state.view === 'history') loadSummary();
  }, 1500);
}

/** The history's list, for keys. */
export const historyList = () => list;

function fillModels() {
  const field = byId('filter-model');
  const { value } = field;
  show(field, element('option', { value: '' }, 'All models'),
    [...state.models.keys()].map((name) => element('option', { value: name, selected: name === value }, name)));
}

const SOURCES = { page: 'This page', http: 'Other clients' };

function fillSources() {
  const field = byId('filter-source');
  const { value } = field;
  show(field, element('option', { value: '' }, 'All sources'),
    [...state.sources].map((name) =>
      element('option', { value: name, selected: name === value }, SOURCES[name] ?? name)));
}

/** Makes the history work; once. */
export function startHistory() {
  // On a low screen the photo needs the room.
  byId('plot-box').open = innerHeight >= 860;
  list = resultList(byId('history-list'), { label: 'Results of the history', choose: select, nearEnd: loadMore });
  for (const id of ['period', 'outcome', 'verdict', 'model', 'source', 'after', 'before']) {
    byId(`filter-${id}`).addEventListener('change', () => {
      byId('custom-period').hidden = byId('filter-period').value !== 'custom';
      reloadHistory();
    });
  }
  for (const format of ['csv', 'json']) {
    byId(`export-${format}`).addEventListener('click', async () => {
      try {
        await download(address('v1/export', { ...filters(), format }), `vcp-clip-history.${format}`);
      } catch (error) {
        problem(`The history cannot be saved. ${error.message}`);
      }
    });
  }
  on('models', fillModels);
  on('sources', fillSources);
  on('thresholds', () => list.draw());
  on('selection', () => list.draw());
  on('entry', () => list.draw());
  on('view', (view) => {
    if (view !== 'history') return;
    if (round === 0 || stale) reloadHistory();
    else publishScores();
  });
}
