// Reject rate over time: for each span of time the parts that were defects or to be reviewed, and how many
// photos there were.

import { element, show, svg } from './dom.js';
import { count, percent, shortTime } from './format.js';

const WIDTH = 720;
const RATE = 84;
const GAP = 6;
const VOLUME = 18;
const HEIGHT = RATE + GAP + VOLUME;

// A round number of percent that the highest column fits under.
function ceiling(most) {
  return [0.05, 0.1, 0.25, 0.5, 1].find((limit) => most <= limit) ?? 1;
}

function sentence({ time, inspected, defect, review }, withDay) {
  return inspected === 0
    ? `${shortTime(time, withDay)}: no photo`
    : `${shortTime(time, withDay)}: ${percent(defect, inspected)} defect, ${percent(review, inspected)} review of ${count(inspected)}`;
}

function column(bucket, index, step, top, mostPhotos, withDay) {
  const { inspected, defect, review } = bucket;
  const rate = (part) => (inspected === 0 ? 0 : (part / inspected / top) * RATE);
  const x = index * step + step * 0.1;
  const width = step * 0.8;
  const rect = (kind, y, height) => (height > 0 ? svg('rect', { class: kind, x, y, width, height }) : null);
  const high = rate(defect);
  const more = rate(review);
  const volume = (inspected / mostPhotos) * VOLUME;
  return svg('g', {},
    svg('title', {}, sentence(bucket, withDay)),
    svg('rect', { class: 'hit', x: index * step, y: 0, width: step, height: HEIGHT }),
    rect('defect', RATE - high, high), rect('review', RATE - high - more, more),
    rect('volume', HEIGHT - volume, volume));
}

function table(buckets, withDay) {
  return element('table', { class: 'unseen' },
    element('caption', {}, 'Reject rate over time'),
    element('thead', {}, element('tr', {}, ['From', 'Inspected', 'Defect', 'Review'].map((name) =>
      element('th', { scope: 'col' }, name)))),
    element('tbody', {}, buckets.filter(({ inspected }) => inspected > 0).map(({ time, inspected, defect, review }) =>
      element('tr', {}, element('th', { scope: 'row' }, shortTime(time, withDay)),
        [inspected, defect, review].map((number) => element('td', {}, count(number)))))));
}

/** Draws the plot into `node` for `rejects` of a summary. */
export function drawPlot(node, buckets) {
  const most = Math.max(0, ...buckets.map(({ inspected, defect, review }) =>
    (inspected === 0 ? 0 : (defect + review) / inspected)));
  const mostPhotos = Math.max(1, ...buckets.map(({ inspected }) => inspected));
  if (buckets.length === 0 || !buckets.some(({ inspected }) => inspected > 0)) {
    show(node, element('p', { class: 'muted' }, 'No photo was inspected in this time.'));
    return;
  }
  const top = ceiling(most);
  const step = WIDTH / buckets.length;
  const first = buckets[0].time;
  const last = buckets.at(-1).time;
  const withDay = new Date(first).toDateString() !== new Date(last).toDateString();
  show(node,
    element('div', { class: 'plot-scale', 'aria-hidden': 'true' },
      element('span', {}, `${top * 100} %`), element('span', {}, '0')),
    element('div', { class: 'plot-area' },
      svg('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
        [0, 0.5, 1].map((part) =>
          svg('line', { class: 'grid', x1: 0, x2: WIDTH, y1: RATE * part, y2: RATE * part })),
        buckets.map((bucket, index) => column(bucket, index, step, top, mostPhotos, withDay))),
      element('div', { class: 'plot-times', 'aria-hidden': 'true' },
        [buckets[0], buckets[Math.floor(buckets.length / 2)], buckets.at(-1)].map(({ time }) =>
          element('span', {}, shortTime(time, withDay))))),
    table(buckets, withDay));
}
