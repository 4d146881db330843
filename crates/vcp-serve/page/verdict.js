// What a person says about a result.

import { resultAddress, sendJson } from './api.js';
import { VERDICTS } from './decide.js';
import { byId, element, icon, say } from './dom.js';
import { moment } from './format.js';
import { emit, putEntry, selectedEntry, state } from './state.js';

const buttons = new Map();

/** Sets the verdict on the result that is shown, or takes it back if it is the same. */
export async function judge(verdict) {
  const entry = selectedEntry();
  if (!entry || !state.info?.history || entry.id.startsWith('here-')) return;
  const next = entry.verdict?.verdict === verdict ? null : verdict;
  const error = byId('verdict-error');
  error.textContent = '';
  // Shown at once, and taken back if the server does not take it.
  const meant = { ...entry, verdict: next ? { verdict: next, who: state.who, time: new Date().toISOString() } : null };
  putEntry(meant);
  // What was heard of it meanwhile is newer: the server tells of verdicts in their order, also of this one.
  const answered = (known) => state.entries.get(entry.id) === meant && putEntry(known);
  // Not only when it is stored, so that the same key pressed again is meant for the next.
  if (next && byId('advance').checked) emit('advance');
  try {
    answered(await sendJson('PUT', resultAddress(entry.id, 'verdict'), { verdict: next, who: state.who }));
    const spoken = next ? `Judged ${VERDICTS[next].word.toLowerCase()}.` : 'The verdict was taken back.';
    byId('spoken').textContent = spoken;
  } catch (problem) {
    answered(entry);
    if (state.selected === entry.id) error.textContent = `The verdict was not stored. ${problem.message}`;
    else say(`A verdict was not stored. ${problem.message}`, 'error');
  }
}

/** Shows the verdict of an entry. */
export function showVerdict(entry) {
  const possible = Boolean(state.info?.history) && entry !== undefined && !entry.id.startsWith('here-');
  for (const [name, button] of buttons) {
    button.disabled = !possible;
    button.setAttribute('aria-pressed', entry?.verdict?.verdict === name);
  }
  const { verdict } = entry ?? {};
  byId('verdict-note').textContent = !state.info || state.info.history
    ? verdict ? `${verdict.who ? `By ${verdict.who}, ` : ''}${moment(verdict.time)}` : ''
    : 'This server keeps no history, so nothing can be judged.';
}

/** Makes the buttons; once. */
export function startVerdict() {
  for (const [name, { word, key, icon: sign }] of Object.entries(VERDICTS)) {
    const button = element(
      'button',
      { type: 'button', class: `verdict ${name}`, 'aria-pressed': 'false', 'aria-keyshortcuts': key, disabled: true,
        onclick: () => judge(name) },
      icon(sign), element('span', {}, word), element('kbd', { 'aria-hidden': 'true' }, key),
    );
    buttons.set(name, button);
    byId('verdict-buttons').append(button);
  }
  const advance = byId('advance');
  advance.checked = localStorage.getItem('vcp-clip advance') === 'yes';
  advance.addEventListener('change', () => localStorage.setItem('vcp-clip advance', advance.checked ? 'yes' : 'no'));
  const who = byId('who');
  who.value = state.who;
  who.addEventListener('change', () => {
    state.who = who.value.trim();
    localStorage.setItem('vcp-clip who', state.who);
  });
}
