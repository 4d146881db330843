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
  return element('span', { class: `mark ${decision}` }, icon(sign), element('span', { class: 'word' }, word));
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
  // What no server keeps is still here.
  const file = id.startsWith('here-') ? state.files.get(id) : undefined;
  if (file) {
    image.src = URL.createObjectURL(file);
    image.addEventListener('load', () => URL.revokeObjectURL(image.src), { once: true });
  } else {
    setPicture(image, resultAddress(id, 'thumbnail.jpg'));
  }
  return image;
}

function scoreBar(entry) {
  const { score: threshold } = shownThresholds(entry);
  const within = (number) => `${100 * Math.min(Math.max(number, 0), 1)}%`;
  return element('span', { class: 'score-bar', 'aria-hidden': 'true' },
    element('span', { class: `fill ${shownDecision(entry)}`, style: { width: within(entry.record.score) } }),
    element('span', { class: 'limit', style: { left: within(threshold) } }));
}

function resultRow(entry, picture) {
  const name = fileName(entry.name || entry.record.path);
  return [
    picture,
    element('span', { class: 'row-text' },
      element('span', { class: 'row-name', title: entry.name }, name),
      element('span', { class: 'row-more' }, element('span', {}, moment(entry.time)), scoreBar(entry),
        element('span', {}, value(entry.record.score)))),
    element('span', { class: 'row-marks' },
      outcomeMark(shownDecision(entry)), entry.verdict ? verdictMark(entry.verdict.verdict) : null),
  ];
}

/**
 * A list of results by id in `node`. `choose(id)` is called when one is chosen, `nearEnd()` when the last rows come
 * into view.
 */
export function resultList(node, { label, choose, nearEnd = () => {} }) {
  const space = element('div', { class: 'list-space' });
  node.append(space);
  node.setAttribute('role', 'listbox');
  node.setAttribute('aria-label', label);
  node.tabIndex = 0;
  let ids = [];
  let total = null;
  const rows = new Map();

  // The row of a result, which stands before `next` in the document, so that both orders are one.
  function row(id, index, next) {
    const entry = state.entries.get(id);
    if (!entry) return next;
    let made = rows.get(id);
    if (!made) {
      const option = element('div', {
        class: 'row', role: 'option', id: `${node.id}-${id}`,
        onclick: () => {
          choose(id);
          node.focus({ preventScroll: true });
        },
      });
      made = { option, picture: thumbnail(id), entry: null, look: '' };
      rows.set(id, made);
    }
    const { option } = made;
    if (option !== next) space.insertBefore(option, next);
    const look = `${shownDecision(entry)} ${shownThresholds(entry).score}`;
    if (made.entry !== entry || made.look !== look) {
      show(option, resultRow(entry, made.picture));
      Object.assign(made, { entry, look });
    }
    option.style.transform = `translateY(${index * ROW}px)`;
    option.setAttribute('aria-selected', id === state.selected);
    option.setAttribute('aria-posinset', index + 1);
    option.setAttribute('aria-setsize', total ?? ids.length);
    return option.nextSibling;
  }

  const draw = eachFrame(() => {
    space.style.height = `${ids.length * ROW}px`;
    const first = Math.max(0, Math.floor(node.scrollTop / ROW) - 3);
    const last = Math.min(ids.length, Math.ceil((node.scrollTop + node.clientHeight) / ROW) + 3);
    const seen = new Set(ids.slice(first, last));
    for (const [id, { option }] of rows) {
      if (seen.has(id)) continue;
      option.remove();
      rows.delete(id);
    }
    let next = space.firstChild;
    for (let index = first; index < last; index += 1) next = row(ids[index], index, next);
    const active = rows.get(state.selected);
    if (active) node.setAttribute('aria-activedescendant', active.option.id);
    else node.removeAttribute('aria-activedescendant');
    if (last >= ids.length - 10 && ids.length > 0) nearEnd();
  });

  function reveal(id) {
    const index = ids.indexOf(id);
    if (index < 0) return;
    const top = index * ROW;
    if (top < node.scrollTop) node.scrollTop = top;
    else if (top + ROW > node.scrollTop + node.clientHeight) node.scrollTop = top + ROW - node.clientHeight;
  }

  function chooseAt(index) {
    const id = ids[Math.min(Math.max(index, 0), ids.length - 1)];
    if (id === undefined) return;
    choose(id);
    reveal(id);
  }

  node.addEventListener('scroll', () => draw(), { passive: true });
  node.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(node.clientHeight / ROW) - 1);
    const at = ids.indexOf(state.selected);
    const to = {
      ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: ids.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    chooseAt(to);
  });
  new ResizeObserver(() => draw()).observe(node);

  return {
    set(newIds, newTotal = null) {
      ids = newIds;
      total = newTotal;
      draw();
    },
    draw: () => draw(),
    /** Chooses the result after (1) or before (-1) the one that is shown. */
    step: (by) => chooseAt(ids.indexOf(state.selected) + by),
    reveal,
  };
}
