// What the page knows, and who is told when it changes.

const listeners = new Map();

/** Calls `listener` whenever `event` happens. */
export function on(event, listener) {
  if (!listeners.has(event)) listeners.set(event, []);
  listeners.get(event).push(listener);
}

/** Tells all listeners of `event`. */
export function emit(event, ...values) {
  for (const listener of listeners.get(event) ?? []) listener(...values);
}

export const state = {
  /** What `v1/info` answers. */
  info: null,
  /** Entries of `v1/models` by name. */
  models: new Map(),
  /** Name of the model that new photos go to. */
  model: null,
  /** Results by id: those of this session and those of the history that were loaded. */
  entries: new Map(),
  /** Files of this browser that became results, by the result's id. */
  files: new Map(),
  /** `inspect`, `history` or `thresholds`. */
  view: 'inspect',
  /** Whether the camera has the stage. */
  camera: false,
  /** Counts of the scores that the handles are drawn over. */
  scores: [],
  /** Id of the result that is shown, or null. */
  selected: null,
  /** Thresholds that were moved in this browser, `{score, pixel, review}`, by model name. */
  moved: new Map(),
  /** Whether moved thresholds also go with new photos. */
  sendMoved: false,
  /** Regions of fewer pixels are not shown; null for what each record says. */
  minArea: null,
  /** Where results came from, as far as it was seen. */
  sources: new Set(['page', 'http']),
  /** Ids in the lists; entries in none of them are forgotten. */
  listed: { session: new Set(), history: new Set() },
  /** Who judges, as free text. */
  who: localStorage.getItem('vcp-clip who') ?? '',
};

/** Notes where a result came from, so that it can be filtered by. */
export function noteSource(source) {
  if (state.sources.has(source)) return;
  state.sources.add(source);
  emit('sources');
}

/** Takes an entry in, new or changed, and tells the listeners. */
export function putEntry(entry) {
  state.entries.set(entry.id, entry);
  noteSource(entry.source);
  emit('entry', entry);
}

/** Lets entries go that no list holds any more. */
export function forget(ids) {
  for (const id of ids) {
    if (state.listed.session.has(id) || state.listed.history.has(id) || id === state.selected) continue;
    state.entries.delete(id);
    state.files.delete(id);
  }
}

/** Takes the server's models in. */
export function putModels(models) {
  for (const model of models) state.models.set(model.name, model);
  if (!state.models.has(state.model)) {
    state.model = (models.find((model) => model.default) ?? models[0])?.name ?? null;
  }
  emit('models');
}

/** Shows another result. */
export function select(id) {
  if (state.selected === id) return;
  state.selected = id;
  emit('selection', id);
}

/** The entry that is shown, or undefined. */
export const selectedEntry = () => state.entries.get(state.selected);
