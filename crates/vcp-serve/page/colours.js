// Colours for values of the map: 256 steps between a few anchors of matplotlib's tables (CC0) and Turbo
// (Apache-2.0, by Google).

const ANCHORS = {
  inferno: '000004 160b39 420a68 6a176e 932667 bc3754 dd513a f37819 fca50a f6d746 fcffa4',
  viridis: '440154 482475 414487 355f8d 2a788e 21918c 22a884 44bf70 7ad151 bddf26 fde725',
  turbo: '30123b 4145ab 4675ed 39a2fc 1bcfd4 24eca6 61fc6c a4fc3b d1e834 f3c63a fe9b2d f36315 d93806 b11901 7a0402',
  red: 'ff2a2a ff2a2a',
};

export const PALETTES = [
  ['inferno', 'Inferno'],
  ['viridis', 'Viridis'],
  ['turbo', 'Turbo'],
  ['red', 'Red'],
];

const parts = (hex) => [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

/** 256 colours, `[r, g, b]` each. */
export function palette(name) {
  const anchors = (ANCHORS[name] ?? ANCHORS.inferno).split(' ').map(parts);
  return Array.from({ length: 256 }, (_, step) => {
    const place = (step / 255) * (anchors.length - 1);
    const first = Math.min(Math.floor(place), anchors.length - 2);
    return anchors[first].map((part, channel) =>
      Math.round(part + (anchors[first + 1][channel] - part) * (place - first)),
    );
  });
}

/** The palette as the background of an element. */
export const gradient = (name) =>
  `linear-gradient(to right, ${palette(name)
    .filter((_, step) => step % 15 === 0)
    .map((colour) => `rgb(${colour.join(' ')})`)
    .join(', ')})`;
