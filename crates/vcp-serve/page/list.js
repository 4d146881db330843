// A list of results that only makes the rows that are seen, so that 10,000 of them are no burden.

import { resultAddress, setPicture } from './api.js';
import { OUTCOMES, VERDICTS, shownDecision, shownThresholds } from './decide.js';
import { eachFrame, element, icon, show } from './dom.js';
import { fileName, moment, value } from './format.js';
import { state } from './state.js';

const ROW = 60;

/** A word and sign for an outcome. */
export function outcomeMark(decision) {
  const { word, icon: sign } = OUTCOMES[decision];
  return element('span', { class: `mark ${decision}` }, icon(sign), word);
}

/** A word and sign for a verdict. */
export function verdictMark(verdict) {
  const { word, icon: sign } = VERDICTS[verdict];
  return element('span', { class: `judged ${verdict}`, title: `Judged: ${word.toLowerCase()}` }, icon(sign),
    element('span', { class: 'unseen' }, `judged ${word.toLowerCase()}`));
}

function thumbnail(id) {
  const image = element('img', { alt: '', class: 'thumbnail', draggable: 'false' });
  image.addEventListener('error', () => image.classList.add('missing'));
  setPicture(image, resultAddress(id, 'thumbnail.jpg'));
  return image;
}

function scoreBar(entry) {
  const { score: threshold } = shownThresholds(entry);
  const within = (number) => `${100 * Math.min(Math.max(number, 0), 1)}%`;
  return element('span', { class: 'score-bar', 'aria-hidden': 'true' },
    element('span', { class: `fill ${shownDecision(entry)}`, style: { width: within(entry.record.score) } }),
    element('span', { class: 'limit', style: { left: within(threshold) } }));
}

function resultRow(entry) {
  const name = fileName(entry.name || entry.record.path);
  return [
    thumbnail(entry.id),
    element('span', { class: 'row-text' },
      element('span', { class: 'row-name', title: entry.name }, name),
      element('span', { class: 'row-more' }, element('span', {}, moment(entry.time)), scoreBar(entry),
        element('span', {}, value(entry.record.score)))),
    element('span', { class: 'row-marks' },
      outcomeMark(shownDecision(entry)), entry.verdict ? verdictMark(entry.verdict.verdict) : null),
  ];
}

function failedRow(item) {
  return [
    element('span', { class: 'thumbnail missing' }),
    element('span', { class: 'row-text' },
      element('span', { class: 'row-name', title: item.name }, fileName(item.name)),
      element('span', { class: 'row-error', title: item.error }, item.error)),
    item.retry
      ? element('button', { type: 'button', class: 'small', tabindex: -1,
          onclick: (event) => { event.stopPropagation(); item.retry(); } }, 'Again')
      : null,
  ];
}

/**
 * A list in `node`, whose items are `{id}` for results, or `{key, name, error, retry}` for photos that gave none.
 * `choose(id)` is called when a result is chosen, `nearEnd()` when its last rows come into view.
 */
export function resultList(node, { label, choose, nearEnd = () => {} }) {
  const space = element('div', { class: 'list-space' });
  node.append(space);
  node.setAttribute('role', 'listbox');
  node.setAttribute('aria-label', label);
  node.tabIndex = 0;
  let items = [];
  let total = null;
  const rows = new Map();
  const idOf = (item) => item.id ?? item.key;
  const indexOf = (id) => items.findIndex((item) => item.id === id);

  function row(item, index) {
    const id = idOf(item);
    const entry = item.id ? state.entries.get(item.id) : null;
    let made = rows.get(id);
    if (!made) {
      const option = element('div', { class: 'row', role: 'option', id: `${node.id}-${id}` });
      if (item.id) option.addEventListener('click', () => { choose(item.id); node.focus({ preventScroll: true }); });
      made = { option, entry: null };
      rows.set(id, made);
      space.append(option);
    }
    const { option } = made;
    const look = entry ? `${shownDecision(entry)} ${shownThresholds(entry).score} ${entry.verdict?.verdict}` : item.error;
    if (made.entry !== entry || made.look !== look) {
      const picture = made.entry ? option.querySelector('img') : null;
      show(option, entry ? resultRow(entry) : failedRow(item));
      // A picture that is there already does not flicker.
      if (picture && entry) option.querySelector('img').replaceWith(picture);
      made.entry = entry;
      made.look = look;
    }
    option.style.transform = `translateY(${index * ROW}px)`;
    option.setAttribute('aria-selected', item.id !== undefined && item.id === state.selected);
    option.setAttribute('aria-posinset', index + 1);
    option.setAttribute('aria-setsize', total ?? items.length);
    return id;
  }

  const draw = eachFrame(() => {
    space.style.height = `${items.length * ROW}px`;
    const first = Math.max(0, Math.floor(node.scrollTop / ROW) - 3);
    const last = Math.min(items.length, Math.ceil((node.scrollTop + node.clientHeight) / ROW) + 3);
    const seen = new Set();
    for (let index = first; index < last; index += 1) seen.add(row(items[index], index));
    for (const [id, { option }] of rows) {
      if (seen.has(id)) continue;
      option.remove();
      rows.delete(id);
    }
    const active = rows.get(state.selected);
    if (active) node.setAttribute('aria-activedescendant', active.option.id);
    else node.removeAttribute('aria-activedescendant');
    if (last >= items.length - 10 && items.length > 0) nearEnd();
  });

  function reveal(id) {
    const index = indexOf(id);
    if (index < 0) return;
    const top = index * ROW;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + ROW > node.scrollTop + node.clientHeight) node.scrollTop = top + ROW - node.clientHeight;
  }

  /** Chooses the result before or after the one that is shown. */
  function step(by) {
    const at = indexOf(state.selected);
    for (let index = at < 0 ? (by > 0 ? 0 : -1) : at + by; index >= 0 && index < items.length; index += by) {
      if (items[index].id) {
        choose(items[index].id);
        reveal(items[index].id);
        return;
      }
    }
  }

  node.addEventListener('scroll', () => draw(), { passive: true });
  node.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(node.clientHeight / ROW) - 1);
    const at = indexOf(state.selected);
    const move = {
      ArrowDown: 1, ArrowUp: -1,
      PageDown: Math.min(page, items.length - 1 - at), PageUp: -Math.min(page, at), Home: -at,
      End: items.length - 1 - at,
    }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    if (move !== 0) step(move);
  });
  new ResizeObserver(() => draw()).observe(node);

  return {
    set(newItems, newTotal = null) {
      items = newItems;
      total = newTotal;
      draw();
    },
    draw: () => draw(),
    step,
    reveal,
  };
}
