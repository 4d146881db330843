// The line that says how far the watched folder is.

import { byId, element, show } from './dom.js';
import { count } from './format.js';

function mqtt({ connected, backlog }) {
  if (connected) return backlog > 0 ? `MQTT: ${count(backlog)} to send` : null;
  return `MQTT: not connected, ${count(backlog)} to send`;
}

/** Shows the status of the watched folder; nothing where none is watched. */
export function drawWatch(status) {
  const box = byId('watch');
  box.hidden = !status;
  if (!status) return;
  const parts = [
    status.running ? null : 'not watched at the moment',
    `${count(status.waiting)} waiting`,
    `${count(status.inspected)} inspected`,
    status.failed > 0 && `${count(status.failed)} failed`,
    `${count(status.last_minute)} in the last minute`,
    status.mqtt && mqtt(status.mqtt),
  ];
  show(box,
    element('strong', {}, `Folder ${status.folder}`),
    parts.filter(Boolean).map((part) => element('span', {}, part)),
    status.last_error && element('span', { class: 'error' }, status.last_error));
}
