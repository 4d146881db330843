// Making elements. Everything that comes from a server or a file is set as text or as an attribute, never as
// markup, and style is set through the style object, as the page's content security policy demands.

const SVG = 'http://www.w3.org/2000/svg';

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || (value === false && !name.startsWith('aria-'))) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name === 'style') Object.assign(node.style, value);
    else node.setAttribute(name, value === true && !name.startsWith('aria-') ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** An element with attributes (`onclick` and the like are listeners) and children: nodes or text. */
export function element(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** The element of the document with this id. */
export const byId = (id) => document.getElementById(id);

// Drawn on a grid of 16 units, as lines.
const ICONS = {
  check: 'M3 8.5 6.5 12 13 4.5',
  eye: 'M1.5 8S4 3.5 8 3.5 14.5 8 14.5 8 12 12.5 8 12.5 1.5 8 1.5 8ZM8 6.2a1.8 1.8 0 1 0 0 3.6 1.8 1.8 0 0 0 0-3.6Z',
  cross: 'M4 4l8 8M12 4l-8 8',
  question: 'M5.5 6a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.8-1.1 1.6M8 12.2v.3',
  photo: 'M2 3.5h12v9H2zM2 10.5l3.5-3 3 2.5 2-1.5 3.5 3M10.8 6.2h.1',
  folder: 'M1.8 12.5v-9h4l1.5 1.8h6.9v7.2z',
  camera: 'M1.8 5h3l1.2-1.7h4L11.2 5h3v7.7H1.8zM8 6.8a2.1 2.1 0 1 0 0 4.2 2.1 2.1 0 0 0 0-4.2Z',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  fit: 'M2.5 6V2.5H6M10 2.5h3.5V6M13.5 10v3.5H10M6 13.5H2.5V10',
  layers: 'M8 2 14 5.2 8 8.4 2 5.2zM2.5 8.2 8 11.1l5.5-2.9M2.5 11 8 13.9l5.5-2.9',
  outline: 'M4.2 3.2C6.5 1.5 12 2.6 13.2 6s-.6 7-4.6 7.2S2.6 11.6 2.6 8.4s.2-4 1.6-5.2Z',
  sun: 'M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1.3v1.4M8 13.3v1.4M1.3 8h1.4M13.3 8h1.4M3.3 3.3l1 1M11.7 11.7l1 1M3.3 12.7l1-1M11.7 4.3l1-1',
  moon: 'M13.2 9.6A5.6 5.6 0 0 1 6.4 2.8a5.6 5.6 0 1 0 6.8 6.8Z',
  keyboard: 'M1.5 4h13v8h-13zM4 6.5h.1M6.6 6.5h.1M9.2 6.5h.1M11.8 6.5h.1M5 9.5h6',
  download: 'M8 2.5v7.5M4.8 7.2 8 10.3l3.2-3.1M2.5 13.3h11',
  stop: 'M4 4h8v8H4z',
};

/** A small drawing beside a text that says the same, and so hidden from screen readers. */
export function icon(name) {
  return svg('svg', { class: 'icon', viewBox: '0 0 16 16', 'aria-hidden': 'true' }, svg('path', { d: ICONS[name] }));
}

/** Replaces the children of a node. */
export function show(node, ...children) {
  node.replaceChildren();
  return fill(node, {}, children);
}

/** Calls a function at most once a frame, with the last arguments. */
export function eachFrame(action) {
  let waiting = null;
  return (...values) => {
    if (waiting === null) {
      requestAnimationFrame(() => {
        const last = waiting;
        waiting = null;
        action(...last);
      });
    }
    waiting = values;
  };
}

/** A sentence, spoken by screen readers and shown for some seconds at the bottom of the page. */
export function say(sentence, kind = 'note') {
  const line = element('p', { class: `notice ${kind}` }, sentence);
  byId('notices').append(line);
  setTimeout(() => line.remove(), kind === 'error' ? 12_000 : 5000);
}
