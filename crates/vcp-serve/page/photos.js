// Photos and maps of results, fetched when they are shown and kept for a while.

import { request, resultAddress } from './api.js';
import { parseNpy } from './map.js';
import { state } from './state.js';

// A decoded photo takes some tens of megabytes.
const PHOTOS_KEPT = 6;
const MAPS_KEPT = 40;

const photos = new Map();
const maps = new Map();

// Keeps promises, the last used last; one that failed is tried again the next time.
function kept(cache, most, id, make) {
  const found = cache.get(id) ?? make();
  cache.delete(id);
  cache.set(id, found);
  found.catch(() => cache.delete(id));
  if (cache.size > most) cache.delete(cache.keys().next().value);
  return found;
}

const bitmap = (blob) => createImageBitmap(blob, { imageOrientation: 'from-image' });

async function fetched(id, file) {
  return bitmap(await (await request(resultAddress(id, file))).blob());
}

async function loadPhoto(entry) {
  const file = state.files.get(entry.id);
  if (file || entry.has.photo) {
    try {
      const photo = file ? await bitmap(file) : await fetched(entry.id, 'photo');
      return { photo, note: '' };
    } catch (error) {
      if (error.status !== undefined) throw error;
    }
  }
  const why = file || entry.has.photo
    ? 'This browser cannot show the photo’s format'
    : 'The photo itself was not kept';
  try {
    return { photo: await fetched(entry.id, 'thumbnail.jpg'), note: `${why}; a small copy is shown.` };
  } catch {
    return { photo: null, note: `${why}.` };
  }
}

/** The map in a record that carries it, as a `data:` address, or null. */
export function inlineMap(record) {
  const link = record.files?.map;
  if (!link?.startsWith('data:')) return null;
  const text = atob(link.slice(link.indexOf(',') + 1));
  return parseNpy(Uint8Array.from(text, (letter) => letter.charCodeAt(0)).buffer);
}

async function loadMap(entry) {
  const inline = inlineMap(entry.record);
  if (inline) return inline;
  if (!entry.has.map) return null;
  return parseNpy(await (await request(resultAddress(entry.id, 'map.npy'))).arrayBuffer());
}

/** The photo of a result as something that can be drawn, or null, and a note if it is not the photo itself. */
export const photoOf = (entry) => kept(photos, PHOTOS_KEPT, entry.id, () => loadPhoto(entry));

/** The map of a result, or null if none was kept. */
export const mapOf = (entry) => kept(maps, MAPS_KEPT, entry.id, () => loadMap(entry));
