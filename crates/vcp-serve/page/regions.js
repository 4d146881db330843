// Connected regions of the map, as the program reports them, for thresholds that were moved in the browser.

import { FULL } from './map.js';

// Photos with more pixels are looked at in a smaller size, so that a handle can be dragged without delay.
const MOST_PIXELS = 600_000;

/** The size at which regions of a photo are looked for. */
export function workingSize(width, height) {
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (width * height)));
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/** The map at another size, values from 0 to 1, interpolated between pixel centres. */
export function scaledMap(map, width, height) {
  const places = (size) =>
    Array.from({ length: size }, (_, index) => {
      const position = Math.max(((index + 0.5) * map.side) / size - 0.5, 0);
      const first = Math.min(Math.floor(position), map.side - 1);
      return [first, Math.min(first + 1, map.side - 1), position - first];
    });
  const columns = places(width);
  const scaled = new Float32Array(width * height);
  const line = new Float32Array(map.side);
  places(height).forEach(([top, bottom, down], y) => {
    for (let x = 0; x < map.side; x += 1) {
      const above = map.values[top * map.side + x];
      line[x] = (above + (map.values[bottom * map.side + x] - above) * down) / FULL;
    }
    columns.forEach(([left, right, across], x) => {
      scaled[y * width + x] = line[left] + (line[right] - line[left]) * across;
    });
  });
  return scaled;
}

/**
 * The regions of values of at least `threshold`, the largest first; corners touch. Each has `box`, `area`, `peak`,
 * `peak_position`, `mean` and `pixels`, the places of its pixels in `values`.
 */
export function findRegions(values, width, height, threshold) {
  const seen = new Uint8Array(values.length);
  const regions = [];
  for (let start = 0; start < values.length; start += 1) {
    if (seen[start] || values[start] < threshold) continue;
    const pixels = [start];
    seen[start] = 1;
    let [left, right, top, bottom, peak, sum] = [width, 0, height, 0, start, 0];
    for (let next = 0; next < pixels.length; next += 1) {
      const place = pixels[next];
      const x = place % width;
      const y = (place - x) / width;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y);
      sum += values[place];
      if (values[place] > values[peak]) peak = place;
      for (let row = Math.max(y - 1, 0); row <= Math.min(y + 1, height - 1); row += 1) {
        for (let column = Math.max(x - 1, 0); column <= Math.min(x + 1, width - 1); column += 1) {
          const other = row * width + column;
          if (seen[other] || values[other] < threshold) continue;
          seen[other] = 1;
          pixels.push(other);
        }
      }
    }
    regions.push({
      box: { x: left, y: top, width: right - left + 1, height: bottom - top + 1 },
      area: pixels.length,
      peak: values[peak],
      peak_position: [peak % width, Math.floor(peak / width)],
      mean: sum / pixels.length,
      pixels,
    });
  }
  return regions.sort((one, other) => other.area - one.area);
}

/** Regions of a photo in its own pixels, from the map at the working size. */
export function photoRegions(scaled, size, photo, threshold, minArea) {
  const across = photo.width / size.width;
  const down = photo.height / size.height;
  return findRegions(scaled, size.width, size.height, threshold)
    .map(({ box, area, peak, peak_position: [x, y], mean }) => ({
      box: {
        x: Math.round(box.x * across),
        y: Math.round(box.y * down),
        width: Math.round(box.width * across),
        height: Math.round(box.height * down),
      },
      area: Math.round(area * across * down),
      peak,
      peak_position: [Math.round(x * across), Math.round(y * down)],
      mean,
    }))
    .filter(({ area }) => area >= minArea);
}

/** For each pixel of the map, whether it lies in a region that is large enough in the photo. */
export function largeEnough(map, photo, threshold, minArea) {
  const keep = new Uint8Array(map.values.length);
  const pixelArea = (photo.width * photo.height) / map.values.length;
  for (const { area, pixels } of findRegions(map.values, map.side, map.side, threshold * FULL)) {
    if (area * pixelArea >= minArea) for (const place of pixels) keep[place] = 1;
  }
  return keep;
}
