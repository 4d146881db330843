// A model's thresholds, and new ones from what was reviewed, which are shown before they are taken.

import { getJson, sendJson } from './api.js';
import { modelThresholds } from './decide.js';
import { byId, element, say, show, svg } from './dom.js';
import { count, counted, shortDigest, value } from './format.js';
import { emit, on, putModels, state } from './state.js';

const STEPS = 50;
const PAGE = 500;
// Of each verdict, so many of the newest are drawn.
const MOST = 5000;
const DAY = 24 * 3_600_000;

let judged = { good: [], defect: [] };
let proposal = null;
let round = 0;

const model = () => state.models.get(state.model);

function problem(sentence) {
  byId('calibration-error').textContent = sentence;
}

function after() {
  const days = Number(byId('calibration-period').value);
  return days ? new Date(Date.now() - days * DAY).toISOString() : undefined;
}

async function entriesJudged(verdict, current) {
  const found = [];
  let cursor;
  do {
    const page = await getJson('v1/results', { model: state.model, verdict, after: after(), limit: PAGE, cursor });
    if (current !== round) return [];
    found.push(...page.results);
    cursor = page.next_cursor;
  } while (cursor && found.length < MOST);
  // Scores of other weights under the same name say nothing about these.
  return found.filter((entry) => entry.model.digest === model()?.digest);
}

/** Reads what was judged with the model of the page. */
export async function reloadThresholds() {
  round += 1;
  const now = round;
  discard();
  drawModel();
  problem('');
  if (!state.info?.history || !model()) {
    byId('calibration').hidden = true;
    byId('calibration-none').hidden = false;
    return;
  }
  try {
    const [good, defect] = await Promise.all(['good', 'defect'].map((verdict) => entriesJudged(verdict, now)));
    if (now !== round) return;
    judged = { good, defect };
    drawJudged();
    emit('judged', judged);
  } catch (error) {
    if (now === round) problem(`What was judged cannot be read. ${error.message}`);
  }
}

function drawModel() {
  const used = model();
  if (!used) return;
  const { thresholds, calibration } = used;
  byId('threshold-model').textContent = used.name;
  const source = calibration
    ? [`Found on ${calibration.date} from ${counted(calibration.images ?? 0, 'photo')}: ${calibration.data}`]
    : ['This model has no calibration; both thresholds are defaults that say nothing about your photos.'];
  show(byId('thresholds-now'),
    ['score', 'review', 'pixel'].map((name) => element('div', {},
      element('dt', {}, { score: 'Defect from score', review: 'Review from score', pixel: 'Outline from value' }[name]),
      element('dd', {}, thresholds[name] === undefined || thresholds[name] === null ? 'none' : value(thresholds[name])))));
  show(byId('thresholds-source'), source, element('br'),
    `${used.image_size} × ${used.image_size} pixels, digest ${shortDigest(used.digest)}`);
}

function rowOf(kind, label, entries, lines) {
  const counts = new Array(STEPS).fill(0);
  for (const { record } of entries) counts[Math.min(STEPS - 1, Math.max(0, Math.floor(record.score * STEPS)))] += 1;
  const most = Math.max(1, ...counts);
  return element('div', { class: 'judged-row' },
    element('span', { class: 'judged-label' }, label, element('small', {}, counted(entries.length, 'photo'))),
    svg('svg', { viewBox: '0 0 500 48', preserveAspectRatio: 'none', role: 'img', 'aria-label': `Scores of photos judged ${kind}` },
      counts.map((number, index) => (number === 0 ? null : svg('rect', {
        class: `bar ${kind}`, x: index * 10, width: 9, height: Math.max(2, (number / most) * 46), y: 48 - Math.max(2, (number / most) * 46),
      }))),
      lines.map(([name, at]) => svg('line', { class: name, x1: at * 500, x2: at * 500, y1: 0, y2: 48 }))));
}

function drawJudged() {
  const now = modelThresholds(state.model);
  const lines = [['now', now.score], ...(proposal ? [['new', proposal.score_threshold]] : [])];
  byId('calibration').hidden = false;
  byId('calibration-none').hidden = true;
  show(byId('judged-plot'),
    rowOf('good', 'Judged good', judged.good, lines), rowOf('defect', 'Judged defect', judged.defect, lines),
    element('div', { class: 'judged-axis', 'aria-hidden': 'true' },
      element('span', {}, '0'), element('span', {}, 'score'), element('span', {}, '1')),
    element('p', { class: 'legend' }, element('span', { class: 'line now' }), 'threshold in use',
      proposal ? [element('span', { class: 'line new' }), 'new threshold'] : null));
}

const reached = (entries, limit) => entries.filter(({ record }) => record.score >= limit).length;

function comparison() {
  const now = modelThresholds(state.model);
  const fresh = { score: proposal.score_threshold, pixel: proposal.pixel_threshold, review: proposal.review_threshold ?? null };
  const number = (at) => (at === null ? 'none' : value(at));
  const missed = ({ score }) => `${count(judged.defect.length - reached(judged.defect, score))} of ${count(judged.defect.length)}`;
  const alarms = ({ score }) => `${count(reached(judged.good, score))} of ${count(judged.good.length)}`;
  const rows = [
    ['Defect from score', number(now.score), number(fresh.score)],
    ['Review from score', number(now.review), number(fresh.review)],
    ['Outline from value', number(now.pixel), number(fresh.pixel)],
    ['Judged good, but reported', alarms(now), alarms(fresh)],
    ['Judged defect, but not reported', missed(now), missed(fresh)],
  ];
  return element('table', { class: 'comparison' },
    element('thead', {}, element('tr', {}, element('td'), element('th', { scope: 'col' }, 'In use'),
      element('th', { scope: 'col' }, 'New'))),
    element('tbody', {}, rows.map(([name, one, other]) => element('tr', {},
      element('th', { scope: 'row' }, name), element('td', {}, one),
      element('td', { class: one === other ? '' : 'changed' }, other)))));
}

function drawProposal() {
  byId('proposal').hidden = proposal === null;
  if (!proposal) return;
  show(byId('proposal-sentences'), proposal.sentences.map((sentence) => element('li', {}, sentence)));
  show(byId('proposal-comparison'), comparison());
}

function discard() {
  proposal = null;
  drawProposal();
}

async function find() {
  const button = byId('find-thresholds');
  problem('');
  button.disabled = true;
  button.textContent = 'Finding thresholds …';
  try {
    proposal = await sendJson('POST', 'v1/calibrations', { model: state.model, after: after() });
    drawJudged();
    drawProposal();
    byId('proposal').focus();
  } catch (error) {
    discard();
    problem(error.message);
  }
  button.disabled = false;
  button.textContent = 'Find thresholds';
}

async function accept() {
  try {
    const changed = await sendJson('POST', `v1/calibrations/${encodeURIComponent(proposal.id)}/accept`);
    putModels([...state.models.values()].map((known) => (known.name === changed.name ? changed : known)));
    state.moved.delete(changed.name);
    emit('thresholds');
    discard();
    drawModel();
    drawJudged();
    say('New photos are decided with the new thresholds. What is in the history stays as it was decided.');
    byId('thresholds-title').focus();
  } catch (error) {
    problem(`The thresholds were not taken. ${error.message}`);
  }
}

/** Makes the view work; once. */
export function startThresholds() {
  byId('find-thresholds').addEventListener('click', find);
  byId('accept-proposal').addEventListener('click', accept);
  byId('discard-proposal').addEventListener('click', () => {
    discard();
    drawJudged();
    byId('find-thresholds').focus();
  });
  byId('calibration-period').addEventListener('change', reloadThresholds);
  on('view', (view) => {
    if (view === 'thresholds') reloadThresholds();
  });
  on('model', () => {
    if (state.view === 'thresholds') reloadThresholds();
  });
  on('models', () => {
    if (state.view === 'thresholds') drawModel();
  });
}
