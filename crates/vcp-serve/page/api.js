// Requests to the server that the page came from. Addresses are relative to the page, so that it also works
// behind a proxy that serves it under a path.

const KEY = 'vcp-clip key';
let key = sessionStorage.getItem(KEY) ?? '';
let askForKey = async () => null;
let asking = null;

/** What went wrong, as a sentence. `status` is 0 if there was no answer. */
export class ApiError extends Error {
  constructor(sentence, status, retryAfter = null) {
    super(sentence);
    this.status = status;
    /** Seconds that the server asks to wait, or null. */
    this.retryAfter = retryAfter;
  }
}

/** Sets the function that asks the user for the key: given a sentence, it resolves to a key or to null. */
export function setAskForKey(ask) {
  askForKey = ask;
}

/** Whether an API key is in use, so that pictures cannot be shown by their address alone. */
export const usesKey = () => key !== '';

/** An address with the query values that are not empty. */
export function address(path, query = {}) {
  const values = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') values.set(name, value);
  }
  const text = values.toString();
  return text ? `${path}?${text}` : path;
}

// One prompt, whatever number of requests were refused.
async function newKey(refused) {
  if (refused !== key) return true;
  asking ??= askForKey(
    refused === '' ? 'This server needs an API key.' : 'The server does not accept this API key.',
  ).finally(() => {
    asking = null;
  });
  const given = await asking;
  if (given === null) return false;
  key = given;
  sessionStorage.setItem(KEY, key);
  return true;
}

async function sentenceOf(response) {
  try {
    const { error } = await response.json();
    if (typeof error === 'string' && error) return error;
  } catch {
    // Not ours: a proxy's page, for example.
  }
  return `The server answered with status ${response.status}${response.statusText ? ` (${response.statusText})` : ''}.`;
}

/** The response, if its status says that all is well; asks for the key where one is needed. */
export async function request(path, options = {}) {
  for (;;) {
    const used = key;
    const headers = new Headers(options.headers);
    if (used) headers.set('Authorization', `Bearer ${used}`);
    let response;
    try {
      response = await fetch(path, { ...options, headers });
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new ApiError('The server cannot be reached.', 0);
    }
    if (response.ok) return response;
    if (response.status === 401 && (await newKey(used))) continue;
    const wait = Number(response.headers.get('Retry-After'));
    throw new ApiError(await sentenceOf(response), response.status, wait > 0 ? wait : null);
  }
}

export const getJson = async (path, query) => (await request(address(path, query))).json();

export async function sendJson(method, path, body) {
  const response = await request(path, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  return response.json();
}

export const resultAddress = (id, file) =>
  `v1/results/${encodeURIComponent(id)}${file ? `/${file}` : ''}`;

/** Shows a picture of the server in an `<img>`; with a key it is fetched, since an address carries none. */
export async function setPicture(image, path) {
  image.dataset.path = path;
  if (!usesKey()) {
    image.src = path;
    return;
  }
  image.removeAttribute('src');
  try {
    const url = URL.createObjectURL(await (await request(path)).blob());
    image.addEventListener('load', () => URL.revokeObjectURL(url), { once: true });
    // The element may have been given to another picture since.
    if (image.dataset.path === path) image.src = url;
    else URL.revokeObjectURL(url);
  } catch {
    image.dispatchEvent(new Event('error'));
  }
}

/** Saves a file of the server. With a key it is fetched as a whole first. */
export async function download(path, name) {
  const link = document.createElement('a');
  link.download = name;
  if (usesKey()) {
    link.href = URL.createObjectURL(await (await request(path)).blob());
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } else {
    link.href = path;
  }
  link.click();
}

// The lines of one event: its name, and its data as JSON.
function parseEvent(block) {
  let name = 'message';
  const data = [];
  for (const line of block.split('\n')) {
    if (line.startsWith('event:')) name = line.slice(6).trim();
    else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''));
  }
  return data.length ? { name, data: JSON.parse(data.join('\n')) } : null;
}

async function readEvents(response, receive) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value.replaceAll('\r', '')).split('\n\n');
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event) receive(event.name, event.data);
    }
  }
}

/** Receives the server's events for as long as the page lives, and connects anew after an interruption. */
export async function followEvents(receive, connection) {
  let wait = 1000;
  for (;;) {
    try {
      const response = await request('v1/events', { headers: { Accept: 'text/event-stream' } });
      connection(true);
      wait = 1000;
      await readEvents(response, receive);
    } catch {
      // Said by `connection`.
    }
    connection(false);
    await new Promise((resume) => setTimeout(resume, wait));
    wait = Math.min(2 * wait, 15_000);
  }
}
