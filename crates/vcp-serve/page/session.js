// What arrived since the page was opened: sent from here, by other clients or by a watched folder.

import { byId, element, show } from './dom.js';
import { tally } from './decide.js';
import { count } from './format.js';
import { outcomeMark, resultList } from './list.js';
import { emit, on, select, state } from './state.js';

const MOST = 1000;
const STEPS = 40;

let list;
let items = [];
let following = true;

const entries = () => items.map(({ id }) => state.entries.get(id)).filter(Boolean);

function draw() {
  list.set(items);
  byId('session-empty').hidden = items.length > 0;
  const counts = tally(entries());
  show(byId('session-counts'), Object.entries(counts).map(([decision, number]) =>
    element('span', { class: 'tally' }, outcomeMark(decision), element('strong', {}, count(number)))));
  if (state.view === 'inspect') publishScores();
}

function publishScores() {
  const counts = new Array(STEPS).fill(0);
  for (const { record } of entries()) {
    counts[Math.min(STEPS - 1, Math.max(0, Math.floor(record.score * STEPS)))] += 1;
  }
  state.scores = counts;
  emit('scores');
}

function follow(is) {
  following = is;
  byId('follow').checked = is;
}

/** Takes in a result that is new, from here or from elsewhere. */
export function noteArrival(entry) {
  if (items.some(({ id }) => id === entry.id)) return;
  items.unshift({ id: entry.id });
  if (items.length > MOST) items.length = MOST;
  draw();
  if (state.view === 'inspect' && !state.camera && (following || state.selected === null)) {
    select(entry.id);
    list.reveal(entry.id);
  }
}

/** The list of this session, for keys. */
export const sessionList = () => list;

/** Makes the list work; once. */
export function startSession() {
  list = resultList(byId('session-list'), {
    label: 'Results of this session',
    choose(id) {
      // Whoever looks at an earlier photo does not want to be taken away from it.
      if (id !== items[0]?.id) follow(false);
      select(id);
    },
  });
  byId('follow').addEventListener('change', (event) => {
    follow(event.target.checked);
    if (following && items[0]?.id) select(items[0].id);
  });
  on('failed', (failure) => {
    items.unshift({ ...failure, retry: failure.retry && (() => {
      items = items.filter(({ key }) => key !== failure.key);
      draw();
      failure.retry();
    }) });
    draw();
  });
  on('thresholds', draw);
  on('selection', () => list.draw());
  on('entry', () => list.draw());
  on('view', (view) => {
    if (view === 'inspect') publishScores();
  });
}
