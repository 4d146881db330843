// Puts the parts of the page together.

import { followEvents, getJson, setAskForKey } from './api.js';
import { cameraIsOn, startCamera, stop as stopCamera } from './camera.js';
import { byId, element, icon, say, show } from './dom.js';
import { countSoon, historyList, noteResult, reloadHistory, startHistory } from './history.js';
import { startIntake } from './intake.js';
import { startPanel } from './panel.js';
import { offerReference, startReferences } from './references.js';
import { noteArrival, sessionList, startSession } from './session.js';
import { emit, on, putEntry, putModels, select, state } from './state.js';
import { startTheme } from './theme.js';
import { startThresholds } from './thresholds.js';
import { judge } from './verdict.js';
import { actions, startViewer } from './viewer.js';
import { drawWatch } from './watched.js';

const VIEWS = ['inspect', 'history', 'thresholds'];

function askForKey(sentence) {
  const dialog = byId('key-dialog');
  byId('key-sentence').textContent = sentence;
  byId('key').value = '';
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => {
      const key = byId('key').value.trim();
      resolve(dialog.returnValue === 'ok' && key ? key : null);
    }, { once: true });
    dialog.returnValue = '';
    dialog.showModal();
  });
}

/** Shows one of the three views; its name is also the address's fragment. */
function open(view) {
  if (!VIEWS.includes(view)) return;
  if (view !== 'inspect' && cameraIsOn()) stopCamera();
  state.view = view;
  document.body.dataset.view = view;
  for (const tab of document.querySelectorAll('[data-open]')) {
    if (tab.dataset.open === view) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  if (location.hash !== `#${view}`) history.replaceState(null, '', `#${view}`);
  emit('view', view);
}

function drawModels() {
  const field = byId('model');
  show(field, [...state.models.keys()].map((name) => element('option', { value: name, selected: name === state.model }, name)));
  field.disabled = state.models.size < 2;
}

// What arrived while there was no connection.
async function catchUp(since) {
  try {
    putModels((await getJson('v1/models')).models);
    if (!state.info?.history) return;
    const { results } = await getJson('v1/results', { after: since, limit: 200 });
    for (const entry of results.reverse()) receive('result', entry);
    if (state.view === 'history') reloadHistory();
  } catch {
    // The next connection tries again.
  }
}

let lost = null;

function drawConnection(connected) {
  if (!connected) lost ??= new Date().toISOString();
  else if (lost) {
    catchUp(lost);
    lost = null;
  }
  const mark = byId('connection');
  mark.dataset.state = connected ? 'on' : 'off';
  mark.textContent = connected ? 'Live' : 'Not connected';
  mark.title = connected ? 'Results of other clients and folders appear as they arrive.' : 'The server cannot be reached; trying again.';
}

async function loadServer() {
  const [info, { models }] = await Promise.all([getJson('v1/info'), getJson('v1/models')]);
  state.info = info;
  byId('version').textContent = info.version;
  document.body.classList.toggle('no-history', !info.history);
  putModels(models);
  drawWatch(info.watch);
  emit('info');
}

// Whether the server answered. One that is loading its models, or that is not there, is asked again.
async function waitForServer() {
  const banner = byId('server-error');
  for (;;) {
    try {
      await loadServer();
      banner.hidden = true;
      return true;
    } catch (error) {
      banner.hidden = false;
      byId('server-sentence').textContent = error.message;
      if (error.status !== 0 && error.status !== 503) return false;
      await new Promise((resume) => setTimeout(resume, 1000 * (error.retryAfter ?? 2)));
    }
  }
}

function receive(name, data) {
  if (name === 'result') {
    const fresh = !state.entries.has(data.id);
    if (fresh) putEntry(data);
    noteArrival(data);
    noteResult(data);
  } else if (name === 'verdict') {
    putEntry(data);
    countSoon();
  } else if (name === 'model') {
    putModels([...[...state.models.values()].filter(({ name: known }) => known !== data.name), data]);
  } else if (name === 'watch') {
    drawWatch(data);
  } else if (name === 'missed') {
    // The server does not keep what a slow reader has not fetched.
    catchUp(new Date(Date.now() - 5 * 60_000).toISOString());
  }
}

const list = () => (state.view === 'history' ? historyList() : sessionList());

const KEYS = {
  g: () => judge('good'), d: () => judge('defect'), u: () => judge('unsure'),
  j: () => list().step(1), k: () => list().step(-1), ArrowDown: () => list().step(1), ArrowUp: () => list().step(-1),
  m: actions.toggleMap, o: actions.toggleOutlines,
  '+': actions.zoomIn, '=': actions.zoomIn, '-': actions.zoomOut, 0: actions.fit,
  '?': () => byId('keys-dialog').showModal(),
};

function listenForKeys() {
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.target.closest?.('input:not([type=checkbox], [type=range]), select, textarea, dialog')) return;
    if (event.target.type === 'range' && event.key.startsWith('Arrow')) return;
    const action = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
    if (!action || (state.view === 'thresholds' && event.key !== '?')) return;
    event.preventDefault();
    action();
  });
}

function startButtons() {
  for (const button of document.querySelectorAll('[data-icon]')) button.prepend(icon(button.dataset.icon));
  for (const tab of document.querySelectorAll('[data-open]')) {
    tab.addEventListener('click', (event) => {
      event.preventDefault();
      open(tab.dataset.open);
    });
  }
  byId('model').addEventListener('change', (event) => {
    state.model = event.target.value;
    emit('models');
    emit('model');
  });
  byId('keys-button').addEventListener('click', () => byId('keys-dialog').showModal());
  byId('server-again').addEventListener('click', () => location.reload());
  addEventListener('hashchange', () => open(location.hash.slice(1)));
}

async function start() {
  startTheme();
  setAskForKey(askForKey);
  startViewer();
  startPanel();
  startSession();
  startHistory();
  startThresholds();
  startReferences();
  startCamera();
  startButtons();
  listenForKeys();
  on('models', drawModels);
  on('advance', () => list().step(1));
  on('arrived', (entry) => {
    if (cameraIsOn()) say('The photo is in the list.');
    noteArrival(entry);
    noteResult(entry);
  });
  on('selection', (id) => {
    if (id && cameraIsOn()) stopCamera();
  });
  on('reference', (id) => {
    open('thresholds');
    offerReference(id);
  });
  startIntake(() => {
    if (cameraIsOn()) stopCamera();
    open('inspect');
  });
  if (!(await waitForServer())) return;
  const wanted = location.hash.slice(1);
  open(VIEWS.includes(wanted) && (wanted !== 'history' || state.info.history) ? wanted : 'inspect');
  followEvents(receive, drawConnection);
}

on('camera', (active) => {
  state.camera = active;
  document.body.classList.toggle('camera-on', active);
  if (active) select(null);
});

start();
