// The list of events. Every event is counted; the newest are shown.

import { bytes, count, cut, make, percent, setText, showText } from './dom.js';

const rowLimit = 2000;
const textLimit = 500; // characters of one event
const jsonLimit = 160; // characters of JSON, which was not written for people

const clock = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3, hourCycle: 'h23',
});

/** Collects events as they come. flush puts them into the page. */
export class EventLog {
  #list;
  #counter;
  #note;
  #total = 0;
  #waiting = []; // newest last, rowLimit at most

  constructor(list, counter, note) {
    this.#list = list;
    this.#counter = counter;
    this.#note = note;
  }

  clear() {
    this.#total = 0;
    this.#waiting = [];
    this.#list.replaceChildren();
    this.flush();
  }

  add(name, body, raw) {
    this.#total++;
    this.#waiting.push({ name, body, raw });
    if (this.#waiting.length > 2 * rowLimit) this.#waiting = this.#waiting.slice(-rowLimit);
  }

  flush() {
    const list = this.#list;
    const events = this.#waiting.slice(-rowLimit);
    this.#waiting = [];
    // Keep the position of a reader who has scrolled back.
    const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
    list.append(...events.map(row));
    for (let extra = list.childElementCount - rowLimit; extra > 0; extra--) {
      list.firstElementChild.remove();
    }
    if (events.length > 0 && atEnd) list.scrollTop = list.scrollHeight;
    const hidden = this.#total - list.childElementCount;
    setText(this.#counter, count(this.#total));
    showText(this.#note, hidden > 0 ? `The newest ${count(rowLimit)} are shown; ${count(hidden)} before them are not.` : '');
  }
}

function row({ name, body, raw }) {
  const type = name === 'task_event' && typeof body?.event_type === 'string' ? body.event_type : name;
  const made = make('li', { 'data-type': type }, time(body?.timestamp),
    make('span', { class: 'type' }, cut(type, 60)),
    make('span', { class: 'text' }, cut(describe(type, body, raw), textLimit)));
  if (type === 'progress_update' && typeof body.data?.value === 'number' && body.data.indeterminate !== true) {
    made.append(make('span', { class: 'share' }, percent(body.data.value)));
  }
  return made;
}

function time(timestamp) {
  const at = new Date(timestamp);
  if (Number.isNaN(at.getTime())) return make('span', { class: 'time' });
  return make('time', { class: 'time', datetime: timestamp, title: timestamp }, clock.format(at));
}

function describe(type, body, raw) {
  const data = body?.data;
  switch (type) {
    case 'task_started':
      return 'The task has started';
    case 'progress_update':
      return words(data?.text, json(data));
    case 'task_retrying':
      return `Attempt ${words(String(data?.attempt), '?')} failed: ${words(data?.reason, json(data))}`;
    case 'task_completed':
      return data?.truncated === true && typeof data.bytes === 'number' ? `The result has ${bytes(data.bytes)}` : json(data);
    case 'task_failed':
      return words(data?.error, json(data));
    case 'task_cancelled':
      return 'The task was cancelled';
    case 'connection_close':
      return `The stream ends: ${words(body?.reason, raw)}`;
    case 'reset':
      return 'The server no longer has the first events of this task; the list begins anew';
    case 'error':
      return words(body?.error, raw);
    default:
      return raw;
  }
}

const words = (value, otherwise) => (typeof value === 'string' ? value : otherwise);
const json = (value) => cut(JSON.stringify(value) ?? '', jsonLimit);
