// The page: the task that is shown, its stream, and the address bar. Everything on the page comes
// from the stream, from its first event on. So a reload, another tab and a visit after the end show
// the same.

import { accessOf } from './access.js';
import { Refused, cancelTask, follow, isUnreachable, onReached, reached, showTask } from './api.js';
import { byId } from './dom.js';
import { setUpForm } from './form.js';
import { EventLog } from './log.js';
import { apply, complete, decode, endIsElsewhere, isFinal, newTask } from './model.js';
import { Recent } from './recent.js';
import { limited } from './slots.js';
import { Stream } from './stream.js';
import { VersionNotice } from './version.js';
import { TaskView } from './view.js';

const drawPause = 40; // milliseconds; events come faster than people read
const tickPause = 500;
const peekPause = 5000;
const narrow = matchMedia('(max-width: 52rem)');

class Page {
  #requestId = crypto.getRandomValues(new BigUint64Array(2)).join('-');
  #task = null; // what is shown; null if none is chosen
  #link = 'connecting'; // the state of its stream
  #cancelling = false;
  #uncancelled = ''; // why the task could not be cancelled
  #away = false; // because the server could not be reached
  #asked = new Set(); // what the status endpoint was asked for
  #drawing = 0;
  #view = new TaskView();
  #log = new EventLog(byId('log'), byId('count'), byId('hidden-events'));
  #recent = new Recent((id) => this.#go(id));
  #version = new VersionNotice();
  #stream = new Stream({
    onEvent: (name, data) => this.#take(name, data),
    onState: (state) => this.#linkIs(state),
    onRefused: () => this.#refused(),
  });

  run() {
    setUpForm((id, type) => this.#go(id, type));
    byId('cancel').addEventListener('click', () => this.#cancel());
    addEventListener('popstate', () => this.#watch(chosen()));
    addEventListener('pageshow', (event) => {
      if (event.persisted) this.#watch(chosen()); // the browser has closed its connection
    });
    document.addEventListener('visibilitychange', () => this.#seenOrHidden());
    setInterval(() => {
      if (this.#task && !isFinal(this.#task.status)) this.#view.tick(this.#task);
    }, tickPause);
    setInterval(() => this.#peek(), peekPause);
    onReached(() => {
      if (!this.#away) return;
      this.#away = false;
      this.#uncancelled = '';
      this.#drawSoon();
    });
    this.#watch(chosen());
    this.#recent.refresh();
  }

  /** Shows a task because the reader asked for it. */
  #go(id, type) {
    if (id !== chosen()) history.pushState(null, '', `/?task=${encodeURIComponent(id)}`);
    this.#watch(id, type);
    byId('task').focus({ preventScroll: true });
    if (narrow.matches) byId('task').scrollIntoView();
    if (type) this.#recent.refresh(); // it is a new one
  }

  #watch(id, type) {
    this.#stream.close();
    this.#task = id ? newTask(id, type ?? this.#recent.typeOf(id)) : null;
    this.#cancelling = false;
    this.#uncancelled = '';
    this.#asked.clear();
    this.#log.clear();
    this.#recent.mark(id);
    if (narrow.matches) byId('start').open = !id;
    this.#listen();
    this.#draw();
  }

  /** Opens the one stream, for the task unless it is over, and for versions. */
  #listen() {
    if (!this.#isUseful()) return;
    const params = new URLSearchParams({ request_id: this.#requestId });
    if (this.#isLive()) {
      params.set('task_id', this.#task.id);
      const access = accessOf(this.#task.id); // EventSource sends no headers
      if (access) params.set('access', access);
    }
    this.#stream.open(params);
  }

  #isLive() {
    return this.#task !== null && !this.#task.closed;
  }

  // A hidden tab closes its connection where there are few of them, or if it only waits for a
  // version.
  #isUseful() {
    return !document.hidden || (this.#isLive() && !limited);
  }

  #seenOrHidden() {
    if (!this.#isUseful()) this.#stream.pause();
    else if (this.#stream.isPaused) this.#stream.resume();
    else if (!this.#stream.isOpen) this.#listen();
    this.#drawSoon();
  }

  /** Keeps the title of a hidden tab without a connection up to date. */
  async #peek() {
    const task = this.#task;
    if (!document.hidden || !this.#isLive() || this.#isUseful() || this.#asked.has('unknown')) return;
    try {
      const info = await showTask(task.id);
      if (task === this.#task && document.hidden) this.#view.title(seenAs(task, info));
    } catch (error) {
      if (error.status === 404) this.#asked.add('unknown'); // written by another program
    }
  }

  #linkIs(state) {
    if (state === 'live') reached();
    if (!this.#isLive()) return; // this one is for versions
    this.#link = state;
    this.#drawSoon();
  }

  #take(name, data) {
    const body = decode(data);
    if (name === 'version') {
      this.#version.take(body);
      return;
    }
    const task = this.#task;
    if (!this.#isLive()) return;
    if (name === 'reset') {
      this.#log.clear();
      this.#asked.clear();
    }
    const before = task.status;
    apply(task, name, body);
    this.#log.add(name, body, data);
    if (task.closed) this.#over();
    if (name === 'task_event' || task.closed) this.#askIfNeeded();
    if (task.status !== before) this.#recent.refresh();
    this.#drawSoon();
  }

  /** The task's last event has come: only versions can still come. */
  #over() {
    this.#link = 'ended';
    this.#stream.close();
    this.#listen();
  }

  /** Fetches what events do not have: the type, and a result that is too large. */
  #askIfNeeded() {
    const task = this.#task;
    task.type ||= this.#recent.typeOf(task.id);
    if (endIsElsewhere(task)) this.#askOnce('end');
    else if (task.status !== 'missing' && (!task.type || task.startedAt === null)) this.#askOnce('beginning');
  }

  async #askOnce(what) {
    if (this.#asked.has(what)) return;
    this.#asked.add(what);
    const task = this.#task;
    try {
      complete(task, await (task.elsewhere ? follow(task.elsewhere) : showTask(task.id)));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (task.elsewhere) task.unread = error.message;
      if (task.closed && error.status === 404 && !isFinal(task.status)) task.status = 'missing';
    }
    this.#drawSoon();
  }

  /** The server refuses the stream: for good only if it does not know the task. */
  async #refused() {
    const task = this.#task;
    if (!this.#isLive()) return;
    try {
      await showTask(task.id);
    } catch (error) {
      if (![401, 403, 404].includes(error.status) || task !== this.#task || task.closed) return;
      task.status = 'missing';
      if (error.status !== 404) task.error = 'This task is read by whoever has started it, or has logged in.';
      task.closed = true;
      this.#over();
      this.#drawSoon();
    }
  }

  async #cancel() {
    const task = this.#task;
    this.#cancelling = true;
    this.#uncancelled = '';
    this.#draw();
    try {
      await cancelTask(task.id);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (task === this.#task) {
        this.#cancelling = false; // its end is on the way, or it can be tried again
        this.#uncancelled = uncancelled(error);
        this.#away = isUnreachable(error);
      }
    }
    this.#drawSoon();
  }

  #drawSoon() {
    this.#drawing ||= setTimeout(() => this.#draw(), drawPause);
  }

  #draw() {
    clearTimeout(this.#drawing);
    this.#drawing = 0;
    this.#log.flush();
    if (this.#task) {
      this.#view.show(this.#task, this.#link, this.#cancelling, this.#uncancelled);
      this.#recent.know(this.#task);
    } else {
      this.#view.clear();
    }
  }
}

/** Why a task was not cancelled, in words. */
function uncancelled(error) {
  switch (error.status) {
    case 0: return 'The server cannot be reached: the task was not cancelled.';
    case 404: return 'This server cannot cancel the task: another program runs it, or it has just ended.';
    case 401: case 403: return 'You may read this task, but not cancel it.';
    default: return `The task was not cancelled: ${error.message}`;
  }
}

/** A task as its status endpoint describes it. */
function seenAs(task, info) {
  const status = info.status === 'pending' ? 'waiting' : info.status;
  return { ...task, type: task.type || info.type, status, value: info.progress?.value ?? task.value };
}

/** The id of the task that the address names, or "". */
function chosen() {
  return new URLSearchParams(location.search).get('task') ?? '';
}

new Page().run();
