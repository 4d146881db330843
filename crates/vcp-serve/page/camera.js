// The camera: single photos, and a live mode that inspects one frame after the other.

import { address, request } from './api.js';
import { decide, modelRange, modelThresholds, recordThresholds } from './decide.js';
import { byId, element, say, show } from './dom.js';
import { milliseconds, value } from './format.js';
import { add, segmentQuery } from './intake.js';
import { outcomeMark } from './list.js';
import { inlineMap } from './photos.js';
import { emit, state } from './state.js';
import { showPhoto, showThreshold } from './viewer.js';

const video = document.createElement('video');
video.muted = true;
video.playsInline = true;

let stream = null;
let live = false;
let lastFrame = null;
let ends = [];

/** Whether the camera has the stage. */
export const cameraIsOn = () => stream !== null;

const REASONS = {
  NotAllowedError: 'The browser was not allowed to use the camera. Allow it in the browser’s settings for this page.',
  NotFoundError: 'No camera was found.',
  NotReadableError: 'The camera cannot be used: another program may have it.',
  OverconstrainedError: 'This camera is not there any more.',
};

async function open(deviceId) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error('Browsers give the camera only to pages from this machine (localhost) or over HTTPS.');
  }
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: {
        width: { ideal: 1920 }, height: { ideal: 1080 },
        ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: { ideal: 'environment' } }),
      },
    });
  } catch (error) {
    throw new Error(REASONS[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
}

async function listCameras() {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === 'videoinput');
  const used = stream.getVideoTracks()[0]?.getSettings().deviceId;
  const field = byId('camera-device');
  show(field, cameras.map(({ deviceId, label }, index) =>
    element('option', { value: deviceId, selected: deviceId === used }, label || `Camera ${index + 1}`)));
  field.hidden = cameras.length < 2;
}

async function start(deviceId) {
  stop();
  try {
    stream = await open(deviceId);
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    stop();
    say(error.message, 'error');
    return;
  }
  stream.getVideoTracks()[0].addEventListener('ended', () => {
    say('The camera was disconnected.', 'error');
    stop();
  });
  await listCameras();
  byId('camera').hidden = false;
  byId('camera-button').setAttribute('aria-pressed', 'true');
  emit('camera', true);
  byId('camera-shoot').focus();
  preview();
}

/** Gives the camera back. */
export function stop() {
  live = false;
  for (const track of stream?.getTracks() ?? []) track.stop();
  const was = stream !== null;
  stream = null;
  video.srcObject = null;
  byId('camera').hidden = true;
  byId('camera-button').setAttribute('aria-pressed', 'false');
  drawLive();
  if (was) emit('camera', false);
}

const size = () => ({ width: video.videoWidth, height: video.videoHeight });

// Without the live mode the picture moves as it comes.
function preview() {
  if (stream === null || live) return;
  if (video.videoWidth > 0) showPhoto(video, size(), null);
  requestAnimationFrame(preview);
}

async function grab() {
  const { width, height } = size();
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width, height });
  canvas.getContext('2d').drawImage(video, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.92));
  return { canvas, blob };
}

function nameOfNow() {
  return `camera ${new Date().toISOString().replace('T', ' ').replaceAll(':', '-').slice(0, 23)}.jpg`;
}

// Keeps what is seen: in the live mode the frame that was last inspected.
async function shoot() {
  if (stream === null || video.videoWidth === 0) return;
  const blob = live && lastFrame ? lastFrame : (await grab()).blob;
  add([{ file: new File([blob], 'camera.jpg', { type: 'image/jpeg' }), name: nameOfNow() }]);
}

async function inspectFrame() {
  const { canvas, blob } = await grab();
  const query = { ...segmentQuery(), name: 'camera', keep: false, include: 'map', map_format: 'npy', pictures: 'inline' };
  const response = await request(address('v1/segment', query), {
    method: 'POST', headers: { 'Content-Type': 'image/jpeg' }, body: blob,
  });
  const record = await response.json();
  if (!live) return;
  lastFrame = blob;
  const thresholds = state.moved.get(state.model) ?? recordThresholds(record);
  const map = inlineMap(record);
  showPhoto(canvas, { width: canvas.width, height: canvas.height }, map, modelRange(state.model));
  showThreshold(thresholds.pixel, state.minArea ?? 1);
  emit('frame', map);
  const now = performance.now();
  ends = [...ends.filter((end) => now - end < 3000), now];
  drawLive(record, decide(record.score, thresholds));
}

function drawLive(record, decision) {
  byId('camera-live').setAttribute('aria-pressed', String(live));
  const box = byId('camera-state');
  if (!live || !record) {
    show(box, live ? 'Starting …' : '');
    return;
  }
  const spent = ends.at(-1) - ends[0];
  const rate = ends.length > 1 ? (1000 * (ends.length - 1)) / spent : null;
  show(box,
    outcomeMark(decision), element('strong', {}, value(record.score)),
    element('span', {}, rate === null ? '' : `${rate.toFixed(1)} frames per second`),
    element('span', { class: 'muted' }, milliseconds(record.milliseconds)));
}

async function runLive() {
  live = true;
  ends = [];
  lastFrame = null;
  drawLive();
  while (live && stream !== null) {
    try {
      await inspectFrame();
    } catch (error) {
      if (error.status === 429) {
        await new Promise((resume) => setTimeout(resume, 1000 * (error.retryAfter ?? 1)));
        continue;
      }
      say(error.message, 'error');
      live = false;
    }
  }
  drawLive();
  preview();
}

/** Makes the camera's buttons work. */
export function startCamera() {
  byId('camera-button').addEventListener('click', () => (stream ? stop() : start()));
  byId('camera-close').addEventListener('click', stop);
  byId('camera-shoot').addEventListener('click', shoot);
  byId('camera-device').addEventListener('change', (event) => start(event.target.value));
  byId('camera-live').addEventListener('click', () => {
    if (live) live = false;
    else if (modelThresholds(state.model)) runLive();
    else say('There is no model to inspect frames with.', 'error');
  });
}
