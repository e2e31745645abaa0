// The server's endpoints, except for the stream of events.

import { accessOf, keepAccess } from './access.js';

/** A refusal of the server, with the status of its answer; 0 if there was none. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

const unreachable = 'The server cannot be reached.';
const whenReached = [];

/** Calls fn whenever the server has answered. */
export function onReached(fn) {
  whenReached.push(fn);
}

/** Call it when the server has answered by another way than a call. */
export function reached() {
  for (const fn of whenReached) fn();
}

/** Whether an error says that the server could not be reached. */
export function isUnreachable(error) {
  return error instanceof Refused && error.message === unreachable;
}

let skew = 0; // how far the server's clock is ahead of ours, milliseconds

/** The time of the server's clock, to about a second. */
export function serverNow() {
  return Date.now() + skew;
}

async function call(method, path, body) {
  const request = { method, headers: { Accept: 'application/json' } };
  if (body !== undefined) {
    request.headers['Content-Type'] = 'application/json';
    request.body = JSON.stringify(body);
  }
  let response;
  let answer = null;
  try {
    response = await fetch(path, request);
    const access = response.status === 401 && accessOf(taskOf(path));
    if (access) { // only now: a proxy in front may have asked for another Authorization
      request.headers.Authorization = `Bearer ${access}`;
      response = await fetch(path, request);
    }
    compareClocks(response.headers.get('Date'));
    if (response.status === 401 && hasLogin()) location.assign('/login');
    answer = await response.json();
  } catch {
    if (!response) throw new Refused(0, unreachable);
  }
  reached();
  if (!response.ok || answer === null) {
    throw new Refused(response.status, errorText(answer) ?? `The server answered with status ${response.status}.`);
  }
  return answer;
}

// Only then the page has the button to log out.
function hasLogin() {
  return document.querySelector('[action="/logout"]') !== null;
}

function errorText(answer) {
  const error = answer?.error?.message ?? answer?.error;
  return typeof error === 'string' ? error : undefined;
}

// The header has whole seconds, so a difference below two does not count.
function compareClocks(date) {
  const theirs = Date.parse(date ?? '');
  if (Number.isNaN(theirs)) return;
  const ahead = theirs - Date.now();
  skew = Math.abs(ahead) < 2000 ? 0 : ahead;
}

/** The id of the task that a path is about, or "". */
function taskOf(path) {
  const id = /^\/api\/tasks\/([^/?]+)/.exec(path)?.[1] ?? '';
  try {
    return decodeURIComponent(id);
  } catch {
    return '';
  }
}

export const taskPath = (id) => `/api/tasks/${encodeURIComponent(id)}`;

/** Starts a task, and keeps the right to read it. */
export async function startTask(type, params) {
  const started = await call('POST', '/api/tasks', { type, params });
  keepAccess(started.task_id, started.access);
  return started;
}
export const showTask = (id) => call('GET', taskPath(id));
export const listTasks = (limit) => call('GET', `/api/tasks?limit=${limit}`);
export const cancelTask = (id) => call('POST', `${taskPath(id)}/cancel`);

/** The document at a path that an event names. The path must be on this server. */
export function follow(path) {
  const url = new URL(path, location.origin);
  if (url.origin !== location.origin) throw new Refused(0, 'The result is kept on another server.');
  return call('GET', url.pathname + url.search);
}
