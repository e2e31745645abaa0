// The list of recent tasks. It has no stream: the page fetches it again when something has changed,
// and now and then while the page is visible.

import { listTasks, serverNow } from './api.js';
import { ago, byId, make, percent, setText } from './dom.js';
import { isFinal } from './model.js';

const pageSize = 12;
const mostShown = 500;
const pauseBusy = 4_000; // milliseconds, while a task in the list runs
const pauseIdle = 20_000;
const pauseAway = 3_000; // while the server cannot be reached

export class Recent {
  #list = byId('recent');
  #empty = byId('recent-empty');
  #more = byId('more');
  #tasks = [];
  #known = null; // the task that the page shows: its events are ahead of the list
  #watched = '';
  #shown = pageSize;
  #timer = 0;
  #asking = false;
  #again = false;

  /** onChoose(id) is called when a task is clicked. */
  constructor(onChoose) {
    this.#list.addEventListener('click', (event) => {
      const link = event.target.closest('a');
      if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      onChoose(link.dataset.id);
    });
    this.#more.addEventListener('click', () => {
      this.#shown = Math.min(this.#shown + pageSize, mostShown);
      this.refresh();
    });
    document.addEventListener('visibilitychange', () => this.refresh());
  }

  /** The type of a task in the list, or "". */
  typeOf(id) {
    return this.#tasks.find((task) => task.task_id === id)?.type ?? '';
  }

  /** Marks the task that the page shows. */
  mark(id) {
    this.#watched = id;
    for (const link of this.#list.querySelectorAll('a')) mark(link, id);
  }

  /** Updates the task that the page shows, without fetching the list. */
  know(task) {
    this.#known = task;
    const shown = this.#list.querySelector(`a[data-id="${CSS.escape(task.id)}"]`);
    const listed = this.#tasks.find((other) => other.task_id === task.id);
    if (!shown || !listed) return;
    setText(shown.querySelector('.status'), this.#status(listed));
  }

  // A list that was fetched while the task ended may still say that it runs.
  #status(listed) {
    const known = this.#known;
    if (known?.id !== listed.task_id || known.status === 'waiting' || isFinal(listed.status)) return status(listed);
    if (isFinal(known.status)) return known.status === 'missing' ? listed.status : known.status;
    return known.value === null ? 'running' : `running, ${percent(known.value)}`;
  }

  /** Fetches the list again, unless the page is hidden. */
  async refresh() {
    clearTimeout(this.#timer);
    if (document.hidden) return;
    if (this.#asking) {
      this.#again = true;
      return;
    }
    this.#asking = true;
    let away = false;
    try {
      const page = await listTasks(this.#shown);
      this.#show(page.tasks, Boolean(page.next));
    } catch {
      away = true; // keep the list; the next attempt may succeed
    }
    this.#asking = false;
    if (this.#again) {
      this.#again = false;
      this.refresh();
      return;
    }
    const busy = this.#tasks.some((task) => !isFinal(task.status));
    this.#timer = setTimeout(() => this.refresh(), away ? pauseAway : busy ? pauseBusy : pauseIdle);
  }

  #show(tasks, more) {
    this.#tasks = tasks;
    this.#empty.hidden = tasks.length > 0;
    this.#more.hidden = !more || this.#shown >= mostShown;
    // A new list would lose the focus of the keyboard.
    const focused = document.activeElement?.dataset?.id;
    this.#list.replaceChildren(...tasks.map((task) => entry(task, this.#watched, this.#status(task))));
    if (focused) this.#list.querySelector(`a[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
}

function entry(task, watched, words) {
  const link = make('a', {
    href: `/?task=${encodeURIComponent(task.task_id)}`,
    'data-id': task.task_id,
    'data-state': task.status,
    title: task.task_id,
  },
  make('span', { class: 'type' }, task.type),
  make('span', { class: 'when' }, ago(serverNow() - Date.parse(task.created_at))),
  make('span', { class: 'status' }, words));
  mark(link, watched);
  return make('li', {}, link);
}

function mark(link, watched) {
  if (link.dataset.id === watched) link.setAttribute('aria-current', 'true');
  else link.removeAttribute('aria-current');
}

function status(task) {
  const value = task.progress?.value;
  const share = typeof value === 'number' && task.progress.indeterminate !== true;
  return task.status === 'running' && share ? `running, ${percent(value)}` : task.status;
}
