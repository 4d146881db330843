// The map of a photo: read from a .npy file, coloured, and outlined where it reaches a threshold.

import { palette } from './colours.js';

/** Values of the map are stored as 16-bit numbers, of which this one stands for 1. */
export const FULL = 65_535;
// The longest side at which a map that is not square is drawn.
const LARGEST = 1024;

// The header of a `.npy` file: type and shape of its values, and where they start.
function npyHeader(buffer) {
  const bytes = new Uint8Array(buffer);
  const magic = String.fromCharCode(...bytes.subarray(1, 6));
  if (bytes.length < 12 || bytes[0] !== 0x93 || magic !== 'NUMPY') throw new Error('The map is not a .npy file.');
  const view = new DataView(buffer);
  const start = bytes[6] === 1 ? 10 : 12;
  const length = bytes[6] === 1 ? view.getUint16(8, true) : view.getUint32(8, true);
  const header = new TextDecoder('latin1').decode(bytes.subarray(start, start + length));
  const type = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const [, height, width] = /'shape':\s*\((\d+),\s*(\d+)\)/.exec(header) ?? [];
  return { type, height: Number(height), width: Number(width), start: start + length };
}

// Maps of photos that were processed in windows have the photo's size; here they are squares, as all others are.
function squared(values, width, height) {
  const side = Math.min(Math.max(width, height), LARGEST);
  const square = new Uint16Array(side * side);
  for (let y = 0; y < side; y += 1) {
    const row = Math.floor(((y + 0.5) * height) / side) * width;
    for (let x = 0; x < side; x += 1) square[y * side + x] = values[row + Math.floor(((x + 0.5) * width) / side)];
  }
  return { side, values: square };
}

/**
 * A map from a `.npy` file, `{side, values}`: values in steps of 1/65535 as the history has them (`<u2`), or as
 * 32-bit floats (`<f4`). Throws if it is anything else.
 */
export function parseNpy(buffer) {
  const { type, width, height, start } = npyHeader(buffer);
  const size = { '<u2': 2, '<f4': 4 }[type];
  if (!size || !(width > 0 && height > 0)) throw new Error('The map is not a plane of values.');
  const end = start + size * width * height;
  if (buffer.byteLength < end) throw new Error('The map ends early.');
  // A copy, since the values need not lie at an even address.
  const part = buffer.slice(start, end);
  const values = size === 2
    ? new Uint16Array(part)
    : Uint16Array.from(new Float32Array(part), (value) => Math.round(Math.min(Math.max(value, 0), 1) * FULL));
  return width === height ? { side: width, values } : squared(values, width, height);
}

/** The map in colours on a canvas of its own size, the more opaque the higher the value, as the program's overlay. */
export function colourMap(map, { colours, low, high }, canvas) {
  canvas.width = map.side;
  canvas.height = map.side;
  const context = canvas.getContext('2d');
  const image = context.createImageData(map.side, map.side);
  const pixels = new Uint32Array(image.data.buffer);
  const table = Uint32Array.from(palette(colours), ([red, green, blue], step) =>
    // Little-endian, as all machines are that run browsers.
    ((step << 24) | (blue << 16) | (green << 8) | red) >>> 0,
  );
  const scale = 255 / Math.max((high - low) * FULL, 1);
  const offset = low * FULL;
  for (let at = 0; at < pixels.length; at += 1) {
    const step = (map.values[at] - offset) * scale;
    pixels[at] = table[step <= 0 ? 0 : step >= 255 ? 255 : Math.round(step)];
  }
  context.putImageData(image, 0, 0);
}

/** The map's value at a place of the photo, from 0 to 1: between pixel centres as the program interpolates. */
export function valueAt(map, width, height, x, y) {
  const place = (at, size) => {
    const position = Math.max(((at + 0.5) * map.side) / size - 0.5, 0);
    const first = Math.min(Math.floor(position), map.side - 1);
    return [first, Math.min(first + 1, map.side - 1), position - first];
  };
  const [left, right, across] = place(x, width);
  const [top, bottom, down] = place(y, height);
  const row = (at) => {
    const one = map.values[at * map.side + left];
    return one + (map.values[at * map.side + right] - one) * across;
  };
  const above = row(top);
  return (above + (row(bottom) - above) * down) / FULL;
}

/** Counts of the map's values in equal steps from 0 to 1. */
export function histogramOf(map, steps) {
  const counts = new Array(steps).fill(0);
  for (const value of map.values) counts[Math.min(steps - 1, Math.floor((value * steps) / FULL))] += 1;
  return counts;
}

/**
 * Lines around what reaches the threshold, in the map's units, where a pixel is a square of side 1. `keep` says
 * for each pixel whether it may count; without it all do.
 */
export function contour(map, threshold, keep) {
  const { side, values } = map;
  const limit = threshold * FULL;
  const path = new Path2D();
  // Outside the map nothing reaches the threshold, so lines are closed along its border.
  const at = (x, y) => {
    if (x < 0 || y < 0 || x >= side || y >= side) return -1;
    const place = y * side + x;
    return keep && !keep[place] ? Math.min(values[place], limit - 1) : values[place];
  };
  const centre = (index) => Math.min(Math.max(index + 0.5, 0), side);
  const between = (one, other, first, second) => {
    const part = first < 0 || second < 0 ? 0.5 : (limit - first) / (second - first);
    return one + (other - one) * Math.min(Math.max(part, 0), 1);
  };
  for (let y = -1; y < side; y += 1) {
    for (let x = -1; x < side; x += 1) {
      const [a, b, c, d] = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)];
      const code = (a >= limit) | ((b >= limit) << 1) | ((c >= limit) << 2) | ((d >= limit) << 3);
      if (code === 0 || code === 15) continue;
      const [left, right, top, bottom] = [centre(x), centre(x + 1), centre(y), centre(y + 1)];
      const edges = {
        n: () => [between(left, right, a, b), top],
        e: () => [right, between(top, bottom, b, c)],
        s: () => [between(left, right, d, c), bottom],
        w: () => [left, between(top, bottom, a, d)],
      };
      for (const [from, to] of SEGMENTS[code]) {
        path.moveTo(...edges[from]());
        path.lineTo(...edges[to]());
      }
    }
  }
  return path;
}

// The lines through a cell by which of its corners are inside: bit 0 top left, then clockwise. Of diagonals,
// both corners belong together, since corners touch in regions too.
const SEGMENTS = [
  [], ['wn'], ['ne'], ['we'], ['es'], ['ne', 'sw'], ['ns'], ['ws'],
  ['sw'], ['ns'], ['wn', 'es'], ['es'], ['we'], ['ne'], ['wn'], [],
];
