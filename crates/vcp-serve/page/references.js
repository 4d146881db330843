// Good photos that a model compares new ones with: chosen among those that were judged good.

import { address, request, resultAddress, sendJson, setPicture } from './api.js';
import { byId, element, say, show } from './dom.js';
import { counted, fileName, shortDigest, value } from './format.js';
import { on, putModels, state } from './state.js';

// A memory keeps at most 8,192 patches; more photos than these add little.
const MOST_SHOWN = 60;

const chosen = new Set();
let offered = [];

const model = () => state.models.get(state.model);

function problem(sentence) {
  byId('references-error').textContent = sentence;
}

function takeModel(changed) {
  putModels([...state.models.values()].map((known) => (known.name === changed.name ? changed : known)));
}

function drawButtons() {
  byId('take-references').disabled = chosen.size === 0;
  byId('take-references').textContent =
    chosen.size === 0 ? 'Compare with chosen photos' : `Compare with ${counted(chosen.size, 'photo')}`;
}

function drawState() {
  const { references } = model() ?? {};
  byId('references-now').textContent = references
    ? `New photos are compared with ${counted(references.photos, 'good photo')} (digest ${shortDigest(references.digest)}).`
    : 'New photos are not compared with good ones.';
  byId('remove-references').hidden = !references;
}

function choice(entry) {
  const picture = element('img', { alt: '' });
  picture.addEventListener('error', () => picture.classList.add('missing'));
  setPicture(picture, resultAddress(entry.id, 'thumbnail.jpg'));
  const name = fileName(entry.name || entry.record.path);
  return element('label', { class: 'choice', title: name },
    element('input', {
      type: 'checkbox', checked: chosen.has(entry.id), 'aria-label': `${name}, score ${value(entry.record.score)}`,
      onchange: (event) => {
        if (event.target.checked) chosen.add(entry.id);
        else chosen.delete(entry.id);
        drawButtons();
      },
    }),
    picture, element('span', { class: 'choice-name' }, name));
}

function draw() {
  drawState();
  // Those that were chosen elsewhere stand first.
  const extra = [...chosen].filter((id) => !offered.some((entry) => entry.id === id))
    .map((id) => state.entries.get(id)).filter(Boolean);
  const entries = [...extra, ...offered];
  show(byId('reference-choices'), entries.map(choice));
  byId('references-empty').hidden = entries.length > 0;
  drawButtons();
}

async function take() {
  problem('');
  const button = byId('take-references');
  button.disabled = true;
  button.textContent = 'Reading the photos …';
  try {
    takeModel(await sendJson('POST', 'v1/references', { model: state.model, results: [...chosen] }));
    say('New photos are compared with these. Scores lie elsewhere now: judge some, and find new thresholds.');
    chosen.clear();
  } catch (error) {
    problem(`The photos were not taken. ${error.message}`);
  }
  draw();
}

async function remove() {
  problem('');
  try {
    const response = await request(address('v1/references', { model: state.model }), { method: 'DELETE' });
    const text = await response.text();
    takeModel(text ? JSON.parse(text) : { ...model(), references: null });
    say('New photos are no longer compared with good ones.');
  } catch (error) {
    problem(`The photos were not removed. ${error.message}`);
  }
  draw();
}

/** Offers a result as a photo to compare with. */
export function offerReference(id) {
  chosen.add(id);
  draw();
  byId('references-title').focus();
}

/** Makes this part work; once. */
export function startReferences() {
  byId('take-references').addEventListener('click', take);
  byId('remove-references').addEventListener('click', remove);
  on('judged', ({ good }) => {
    offered = good.filter((entry) => entry.has.photo).slice(0, MOST_SHOWN);
    for (const entry of offered) if (!state.entries.has(entry.id)) state.entries.set(entry.id, entry);
    draw();
  });
  on('models', drawState);
  on('model', () => {
    chosen.clear();
    draw();
  });
}
