// A histogram from 0 to 1 with handles that are thresholds.

import { eachFrame, element, show, svg } from './dom.js';
import { value } from './format.js';

const WIDTH = 280;
const HEIGHT = 64;

// The colour of a bar's part by the handle it has reached.
function bars(counts, logarithmic, limits) {
  const tall = (count) => (logarithmic ? Math.log1p(count) : count);
  const most = Math.max(tall(1), ...counts.map(tall));
  const step = WIDTH / counts.length;
  const edges = [0, ...limits.map(({ at }) => Math.min(Math.max(at, 0), 1) * WIDTH), WIDTH];
  const kinds = ['below', ...limits.map(({ kind }) => kind)];
  return counts.flatMap((count, index) => {
    if (count === 0) return [];
    const height = Math.max(1.5, (tall(count) / most) * (HEIGHT - 4));
    return kinds.flatMap((kind, part) => {
      const left = Math.max(index * step, edges[part]);
      const right = Math.min((index + 1) * step - 0.6, edges[part + 1]);
      return right > left
        ? [svg('rect', { class: `bar ${kind}`, x: left, y: HEIGHT - height, width: right - left, height })]
        : [];
    });
  });
}

/**
 * A histogram. `handles` are `{name, label, kind}` in rising order; `move(name, value)` is called while one is
 * moved. Returns its node and `update(counts, values)`, with a value for each handle by name, or null to hide it.
 */
export function histogram({ label, handles, move, logarithmic = false }) {
  const drawing = svg('svg', {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', class: 'bars', role: 'img', 'aria-label': label,
  });
  const track = element('div', { class: 'track' }, drawing);
  const fields = element('div', { class: 'handle-fields' });
  const parts = new Map();
  let counts = [];
  let values = {};

  const set = (name, to) => {
    const rounded = Math.min(Math.max(to, 0), 1);
    if (Number.isFinite(rounded)) move(name, rounded);
  };
  for (const { name, label: word, kind } of handles) {
    const handle = element('div', {
      class: `handle ${kind}`, role: 'slider', tabindex: 0, 'aria-label': word,
      'aria-valuemin': 0, 'aria-valuemax': 1,
    });
    handle.addEventListener('pointerdown', (event) => {
      event.preventDefault();
      handle.focus();
      handle.setPointerCapture(event.pointerId);
    });
    handle.addEventListener('pointermove', (event) => {
      if (!handle.hasPointerCapture(event.pointerId)) return;
      const box = track.getBoundingClientRect();
      set(name, Math.round(((event.clientX - box.left) / box.width) * 1000) / 1000);
    });
    handle.addEventListener('keydown', (event) => {
      const step = event.shiftKey ? 0.05 : 0.005;
      const to = {
        ArrowLeft: values[name] - step, ArrowDown: values[name] - step, PageDown: values[name] - 0.05,
        ArrowRight: values[name] + step, ArrowUp: values[name] + step, PageUp: values[name] + 0.05,
        Home: 0, End: 1,
      }[event.key];
      if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      set(name, Math.round(to * 1000) / 1000);
    });
    const field = element('input', {
      type: 'number', min: 0, max: 1, step: 0.001, 'aria-label': `${word}, as a number`,
      onchange: (event) => {
        if (event.target.value === '') event.target.value = value(values[name]);
        else set(name, Number(event.target.value));
      },
    });
    const row = element('label', { class: `handle-field ${kind}` }, element('span', {}, word), field);
    track.append(handle);
    fields.append(row);
    parts.set(name, { handle, field, row, kind });
  }

  const draw = eachFrame(() => {
    const limits = [];
    for (const [name, { handle, field, row, kind }] of parts) {
      const at = values[name];
      const hidden = at === null || at === undefined;
      handle.hidden = hidden;
      row.hidden = hidden;
      if (hidden) continue;
      limits.push({ at, kind });
      handle.style.left = `${100 * Math.min(Math.max(at, 0), 1)}%`;
      handle.setAttribute('aria-valuenow', value(at));
      if (document.activeElement !== field || Number(field.value) !== at) field.value = value(at);
    }
    show(drawing, bars(counts, logarithmic, limits));
  });

  return {
    node: element('div', { class: 'histogram' }, track, element('div', { class: 'axis', 'aria-hidden': 'true' },
      element('span', {}, '0'), element('span', {}, '0.5'), element('span', {}, '1')), fields),
    update(newCounts, newValues) {
      counts = newCounts;
      values = newValues;
      draw();
    },
  };
}
