// What follows from a score: as the server decided, or as it would be with thresholds that were moved here.

import { emit, state } from './state.js';

/** Words and signs of the outcomes; each has a shape of its own, so that colour is not needed. */
export const OUTCOMES = {
  ok: { word: 'OK', icon: 'check' },
  review: { word: 'Review', icon: 'eye' },
  defect: { word: 'Defect', icon: 'cross' },
};

export const VERDICTS = {
  good: { word: 'Good', key: 'G', icon: 'check' },
  defect: { word: 'Defect', key: 'D', icon: 'cross' },
  unsure: { word: 'Unsure', key: 'U', icon: 'question' },
};

/** The outcome of a score, by the rule of the program: a threshold is reached by a score that equals it. */
export function decide(score, thresholds) {
  if (score >= thresholds.score) return 'defect';
  return thresholds.review !== null && score >= thresholds.review ? 'review' : 'ok';
}

const complete = (thresholds) => ({
  score: thresholds.score,
  pixel: thresholds.pixel,
  review: thresholds.review ?? null,
});

/** The thresholds that a record was decided with. */
export const recordThresholds = (record) => ({
  score: record.score_threshold,
  pixel: record.pixel_threshold,
  review: record.review_threshold ?? null,
});

/** The thresholds that the server applies for this model, or null where it is not known. */
export function modelThresholds(name) {
  const model = state.models.get(name);
  return model ? complete(model.thresholds) : null;
}

/** The two ends of a model's colour scale. */
export const modelRange = (name) => {
  const model = state.models.get(name);
  return model?.thresholds.range ?? model?.calibration?.range ?? [0, 1];
};

/** The thresholds with which a result is shown. */
export const shownThresholds = (entry) =>
  state.moved.get(entry.model.name) ?? recordThresholds(entry.record);

/** The outcome that is shown for a result. */
export const shownDecision = (entry) =>
  state.moved.has(entry.model.name) ? decide(entry.record.score, shownThresholds(entry)) : entry.record.decision;

const recordedMinArea = (record) => record.min_area ?? 1;

/** Regions of fewer pixels of the photo are not shown. */
export const shownMinArea = (entry) => state.minArea ?? recordedMinArea(entry.record);

/** Whether the regions of the record are those to show. */
export const regionsAsRecorded = (entry) =>
  shownThresholds(entry).pixel === entry.record.pixel_threshold && shownMinArea(entry) === recordedMinArea(entry.record);

/** Moves one threshold of a model in this browser. The review threshold stays at or below that of the score. */
export function moveThreshold(name, which, to, from) {
  const moved = { ...(state.moved.get(name) ?? from), [which]: to };
  if (moved.review !== null) moved.review = Math.min(moved.review, moved.score);
  state.moved.set(name, moved);
  emit('thresholds');
}

/** Goes back to the thresholds that the results were decided with. */
export function resetThresholds(name) {
  state.moved.delete(name);
  state.minArea = null;
  emit('thresholds');
}

/** How many of the entries have each outcome, as shown. */
export function tally(entries) {
  const counts = { ok: 0, review: 0, defect: 0 };
  for (const entry of entries) counts[shownDecision(entry)] += 1;
  return counts;
}
