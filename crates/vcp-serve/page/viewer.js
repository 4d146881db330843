// The photo with the map over it.

import { PALETTES, gradient } from './colours.js';
import { byId, eachFrame, element, icon } from './dom.js';
import { value } from './format.js';
import { Placement, listen } from './gestures.js';
import { colourMap, contour, valueAt } from './map.js';
import { largeEnough } from './regions.js';

const REMEMBERED = 'vcp-clip view';

/** How the map is drawn; kept for the next visit. */
const look = {
  map: true,
  opacity: 0.7,
  colours: 'inferno',
  // Ends of the colour scale; null for those of the model.
  low: null,
  high: null,
  outlines: true,
  ...JSON.parse(localStorage.getItem(REMEMBERED) ?? '{}'),
};

/** What is shown: a drawable photo, its size, its map or null, and thresholds. */
const shown = {
  photo: null,
  size: { width: 1, height: 1 },
  map: null,
  range: [0, 1],
  threshold: 0.5,
  minArea: 1,
  regions: [],
  highlight: null,
};

const coloured = document.createElement('canvas');
let lines = null;
let canvas;
let placement;
let pointer = null;
let controls;

function remember() {
  localStorage.setItem(REMEMBERED, JSON.stringify(look));
}

const draw = eachFrame(() => {
  const context = canvas.getContext('2d');
  const { width, height } = placement.stage;
  const dots = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * dots) || canvas.height !== Math.round(height * dots)) {
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
  }
  context.setTransform(dots, 0, 0, dots, 0, 0);
  context.clearRect(0, 0, width, height);
  controls.zoom.textContent = shown.photo ? `${Math.round(placement.scale * 100)} %` : '';
  byId('stage-empty').hidden = shown.photo !== null;
  if (!shown.photo) return;
  const { x, y, scale } = placement;
  const wide = shown.size.width * scale;
  const high = shown.size.height * scale;
  context.imageSmoothingEnabled = scale < 4;
  context.imageSmoothingQuality = 'high';
  context.drawImage(shown.photo, x, y, wide, high);
  if (!shown.map) return;
  if (look.map) {
    context.imageSmoothingEnabled = true;
    context.globalAlpha = look.opacity;
    context.drawImage(coloured, x, y, wide, high);
    context.globalAlpha = 1;
  }
  if (look.outlines && lines) {
    const across = wide / shown.map.side;
    const down = high / shown.map.side;
    context.save();
    context.translate(x, y);
    // The path is scaled, the pen is not.
    const path = new Path2D();
    path.addPath(lines, new DOMMatrix([across, 0, 0, down, 0, 0]));
    context.lineCap = 'round';
    context.lineWidth = 4;
    context.strokeStyle = 'rgb(0 0 0 / 75%)';
    context.stroke(path);
    context.lineWidth = 2;
    context.strokeStyle = 'rgb(64 255 255)';
    context.stroke(path);
    context.restore();
  }
  if (shown.highlight) drawBox(context, shown.highlight);
});

function drawBox(context, { box, peak_position: [peakX, peakY] }) {
  const { x, y, scale } = placement;
  const margin = 4;
  const corners = [
    x + box.x * scale - margin,
    y + box.y * scale - margin,
    box.width * scale + 2 * margin,
    box.height * scale + 2 * margin,
  ];
  for (const [width, colour] of [[4, 'rgb(0 0 0 / 70%)'], [2, '#fff']]) {
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.strokeRect(...corners);
    context.beginPath();
    context.arc(x + (peakX + 0.5) * scale, y + (peakY + 0.5) * scale, 3, 0, 2 * Math.PI);
    context.stroke();
  }
}

function outline() {
  lines = null;
  if (!shown.map) return;
  const keep = shown.minArea > 1 ? largeEnough(shown.map, shown.size, shown.threshold, shown.minArea) : undefined;
  lines = contour(shown.map, shown.threshold, keep);
}

const scale = () => ({ low: look.low ?? shown.range[0], high: look.high ?? shown.range[1] });

function colour() {
  if (shown.map) colourMap(shown.map, { colours: look.colours, ...scale() }, coloured);
  for (const [name, field] of Object.entries(controls.ends)) {
    if (document.activeElement !== field) field.value = Math.round(scale()[name] * 100) / 100;
  }
}

function readOut() {
  const place = pointer && shown.photo ? placement.toPhoto(pointer.x, pointer.y) : null;
  const x = place ? Math.floor(place.x) : -1;
  const y = place ? Math.floor(place.y) : -1;
  const inside = x >= 0 && y >= 0 && x < shown.size.width && y < shown.size.height;
  byId('pointer').textContent =
    inside && shown.map
      ? `x ${x}, y ${y}: ${value(valueAt(shown.map, shown.size.width, shown.size.height, x, y))}`
      : '';
}

/**
 * Shows a photo (or null for none) and its map, which may follow later. `range` is the model's colour scale: its two
 * ends.
 */
export function showPhoto(photo, size, map, range = [0, 1]) {
  Object.assign(shown, { photo, size, map, range, highlight: null });
  colour();
  outline();
  placement.resize(placement.stage, size);
  readOut();
  draw();
}

/** Draws the outlines for other thresholds. */
export const showThreshold = eachFrame((threshold, minArea) => {
  Object.assign(shown, { threshold, minArea });
  outline();
  draw();
});

/** Frames a region, or none; with `bring`, moves the photo so that it is seen well. */
export function highlight(region, bring = false) {
  shown.highlight = region;
  if (region && bring) placement.bring(region.box);
  draw();
}

/** What keys of the page may do here. */
export const actions = {
  fit: () => placement.fit(),
  zoomIn: () => placement.zoomIn(),
  zoomOut: () => placement.zoomOut(),
  toggleMap: () => controls.map.click(),
  toggleOutlines: () => controls.outlines.click(),
};

function toggle(name, label, sign, key) {
  const button = element(
    'button',
    {
      type: 'button',
      class: 'tool',
      'aria-pressed': look[name],
      title: `${label} (${key})`,
      onclick: () => {
        look[name] = !look[name];
        button.setAttribute('aria-pressed', look[name]);
        remember();
        draw();
      },
    },
    icon(sign),
    element('span', {}, label),
  );
  return button;
}

function toolButton(label, sign, action) {
  return element(
    'button',
    { type: 'button', class: 'tool', 'aria-label': label, title: label, onclick: action },
    icon(sign),
  );
}

function scaleEnd(name, label) {
  return element('input', {
    type: 'number', min: 0, max: 1, step: 0.05, 'aria-label': label, class: 'scale-end',
    title: `${label}; empty for that of the model`,
    onchange: (event) => {
      const text = event.target.value;
      const number = Number(text);
      const other = name === 'low' ? number < scale().high : number > scale().low;
      if (text === '') look[name] = null;
      else if (number >= 0 && number <= 1 && other) look[name] = number;
      event.target.value = Math.round(scale()[name] * 100) / 100;
      remember();
      colour();
      draw();
    },
  });
}

function toolbar() {
  const bar = element('span', { class: 'scale-bar', 'aria-hidden': 'true', style: { background: gradient(look.colours) } });
  const colours = element(
    'select',
    {
      'aria-label': 'Colours of the map',
      onchange: (event) => {
        look.colours = event.target.value;
        bar.style.background = gradient(look.colours);
        remember();
        colour();
        draw();
      },
    },
    PALETTES.map(([name, label]) => element('option', { value: name, selected: name === look.colours }, label)),
  );
  controls = {
    map: toggle('map', 'Map', 'layers', 'M'),
    outlines: toggle('outlines', 'Outlines', 'outline', 'O'),
    zoom: element('output', { class: 'zoom', 'aria-label': 'Zoom' }),
    ends: {
      low: scaleEnd('low', 'Lower end of the colour scale'),
      high: scaleEnd('high', 'Upper end of the colour scale'),
    },
  };
  const opacity = element('input', {
    type: 'range', min: 0, max: 1, step: 0.05, value: look.opacity, 'aria-label': 'Opacity of the map',
    title: 'Opacity of the map',
    oninput: (event) => {
      look.opacity = Number(event.target.value);
      remember();
      draw();
    },
  });
  byId('viewer-tools').append(
    element('div', { class: 'group' }, controls.map, opacity, controls.outlines),
    element('div', { class: 'group scale' }, colours, controls.ends.low, bar, controls.ends.high),
    element('div', { class: 'group end' },
      toolButton('Zoom out (−)', 'minus', () => placement.zoomOut()), controls.zoom,
      toolButton('Zoom in (+)', 'plus', () => placement.zoomIn()),
      toolButton('Whole photo (0)', 'fit', () => placement.fit())),
  );
}

/** Makes the viewer work; once. */
export function startViewer() {
  canvas = byId('stage');
  placement = new Placement(() => draw());
  toolbar();
  listen(canvas, placement, (place) => {
    pointer = place;
    readOut();
  });
  new ResizeObserver(([{ contentRect }]) => {
    placement.resize({ width: contentRect.width, height: contentRect.height }, shown.size);
  }).observe(canvas);
}
