// What arrived since the page was opened: sent from here, by other clients or by a watched folder.

import { byId, element, show } from './dom.js';
import { tally } from './decide.js';
import { count, fileName } from './format.js';
import { outcomeMark, resultList } from './list.js';
import { emit, forget, on, select, state } from './state.js';

const MOST = 1000;
const STEPS = 40;

let list;
let ids = [];
let following = true;

const entries = () => ids.map((id) => state.entries.get(id)).filter(Boolean);

function draw() {
  list.set(ids);
  byId('session-empty').hidden = ids.length > 0;
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
  const { session } = state.listed;
  if (session.has(entry.id)) return;
  session.add(entry.id);
  ids.unshift(entry.id);
  const old = ids.splice(MOST);
  for (const id of old) session.delete(id);
  forget(old);
  draw();
  if (state.view === 'inspect' && !state.camera && (following || state.selected === null)) {
    select(entry.id);
    list.reveal(entry.id);
  }
}

// A photo that gave no result, with the reason, until it is tried again or put away.
function noteFailure({ name, error, retry }) {
  const item = element('div', {},
    element('p', {}, element('strong', { title: name }, fileName(name)), element('span', { class: 'error' }, error)),
    element('span', { class: 'failure-buttons' },
      retry && element('button', { type: 'button', class: 'small', onclick: () => { item.remove(); retry(); } }, 'Try again'),
      element('button', { type: 'button', class: 'small', onclick: () => item.remove() }, 'Dismiss')));
  byId('failures').prepend(item);
}

/** The list of this session, for keys. */
export const sessionList = () => list;

/** Makes the list work; once. */
export function startSession() {
  list = resultList(byId('session-list'), {
    label: 'Results of this session',
    choose(id) {
      // Whoever looks at an earlier photo does not want to be taken away from it.
      if (id !== ids[0]) follow(false);
      select(id);
    },
  });
  byId('follow').addEventListener('change', (event) => {
    follow(event.target.checked);
    if (following && ids[0]) select(ids[0]);
  });
  on('failed', noteFailure);
  on('thresholds', draw);
  on('selection', () => list.draw());
  on('entry', () => list.draw());
  on('view', (view) => {
    if (view === 'inspect') publishScores();
  });
}
