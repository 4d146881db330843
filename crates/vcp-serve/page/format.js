// Numbers, times and names as people read them.

/** A score or a value of the map: three digits after the point. */
export const value = (number) => (Number.isFinite(number) ? number.toFixed(3) : '–');

/** A count with separators between thousands. */
export const count = (number) => number.toLocaleString('en-GB');

/** `1 photo`, `12 photos`. */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

export function percent(part, whole) {
  if (whole === 0) return '–';
  const rate = (100 * part) / whole;
  return `${rate > 0 && rate < 10 ? rate.toFixed(1) : Math.round(rate)} %`;
}

const sameDay = (one, other) => one.toDateString() === other.toDateString();
const two = (number) => String(number).padStart(2, '0');
const day = (time) => `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
const clock = (time) => `${two(time.getHours())}:${two(time.getMinutes())}`;

/** The time of a result, in local time: without the day if it was today. */
export function moment(text) {
  const time = new Date(text);
  const seconds = `${clock(time)}:${two(time.getSeconds())}`;
  return sameDay(time, new Date()) ? seconds : `${day(time)} ${seconds}`;
}

/** The time on an axis or in a list: with the day or without. */
export function shortTime(text, withDay) {
  const time = new Date(text);
  return withDay ? `${day(time).slice(5)} ${clock(time)}` : clock(time);
}

export const milliseconds = (number) =>
  number >= 10_000 ? `${(number / 1000).toFixed(1)} s` : `${Math.round(number)} ms`;

export function bytes(number) {
  for (const [unit, size] of [['GB', 1e9], ['MB', 1e6], ['kB', 1e3]]) {
    if (number >= size) return `${Math.round(number / size)} ${unit}`;
  }
  return `${number} bytes`;
}

/** The last part of a path that a client named. */
export const fileName = (path) => path.split(/[\\/]/).pop() || path;

export const shortDigest = (digest) => (digest ? digest.slice(0, 12) : '–');
