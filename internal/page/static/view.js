// The part of the page that shows one task.

import { accessOf } from './access.js';
import { serverNow, taskPath } from './api.js';
import { byId, bytes, count, duration, percent, setText, showText } from './dom.js';
import { isFinal } from './model.js';
import { present } from './result.js';
import { mostStreams } from './slots.js';

const stateNames = {
  waiting: 'Waiting',
  running: 'Running',
  completed: 'Completed',
  failed: 'Failed',
  cancelled: 'Cancelled',
  missing: 'Not found',
};

const linkNames = {
  connecting: 'Connecting',
  live: 'Live',
  reconnecting: 'Reconnecting',
  waiting: 'Waiting',
  paused: 'Paused',
  closed: 'Closed',
  ended: 'Ended',
};

const linkWords = {
  reconnecting: 'The connection is lost; trying again. Nothing will be missed.',
  waiting: `${mostStreams} other windows of this server are open, as many as a browser can follow at once over HTTP/1.1. ` +
    'This one goes on when one of them is closed or hidden. Nothing will be missed.',
};

const missingText = 'Task not found. It was removed, or has been forgotten after a while or a restart of the server.';

export class TaskView {
  #shownResult = []; // what the result on the page was made of
  #announced = '';

  /** Shows nothing, where no task is chosen. */
  clear() {
    byId('watched').hidden = true;
    byId('nothing').hidden = false;
    byId('task').setAttribute('aria-labelledby', 'nothing-title');
    document.title = 'Tidegate';
    this.#announced = '';
  }

  /**
   * Shows a task as it is now. link is the state of its stream,
   * uncancelled why it could not be cancelled, or "".
   */
  show(task, link, cancelling, uncancelled) {
    byId('watched').hidden = false;
    byId('nothing').hidden = true;
    byId('task').setAttribute('aria-labelledby', 'title');
    byId('task').dataset.state = task.status;
    setText(byId('title'), task.type || 'Task');
    setText(byId('id'), task.id);
    setText(byId('state'), stateNames[task.status]);
    const cancel = byId('cancel');
    cancel.hidden = isFinal(task.status);
    cancel.disabled = cancelling;
    setText(cancel, cancelling ? 'Cancelling…' : 'Cancel');
    this.#showProgress(task);
    this.#showWords(task, link, uncancelled);
    this.#showResult(task);
    byId('link').dataset.state = link;
    setText(byId('link'), linkNames[link]);
    this.title(task);
    this.#announce(task);
  }

  /** Shows the state of the task in the title of the tab. */
  title(task) {
    document.title = `${titleState(task)} ${task.type || 'Task'} · Tidegate`;
  }

  /** Shows how long a task has run; to be called now and then while it does. */
  tick(task) {
    setText(byId('elapsed'), elapsed(task));
  }

  #showProgress(task) {
    const bar = byId('bar');
    const unknown = task.value === null && !isFinal(task.status);
    if (unknown) bar.removeAttribute('value');
    else bar.value = task.value ?? 0;
    const share = unknown || task.status === 'missing' ? '' : percent(task.value ?? 0);
    bar.setAttribute('aria-valuetext', [share, task.text].filter(Boolean).join(', ') || 'Unknown');
    setText(byId('percent'), share);
    setText(byId('detail'), task.status === 'completed' ? '' : amounts(task.detail));
    setText(byId('text'), task.text || (task.status === 'waiting' ? 'Waiting for the task to start' : ''));
    this.tick(task);
  }

  #showWords(task, link, uncancelled) {
    const lost = linkWords[link] ?? '';
    const incomplete = task.incomplete ? 'The server no longer has the first events of this task. The list below was cleared and begins with those it has.' : '';
    showText(byId('notice'), [lost, incomplete, isFinal(task.status) ? '' : uncancelled].filter(Boolean).join(' '));
    showText(byId('problem'), task.status === 'missing' ? task.error || missingText : task.error);
  }

  #showResult(task) {
    byId('result').hidden = task.status !== 'completed';
    if (task.status !== 'completed') return;
    const shown = [task, task.result, task.unread];
    if (shown.every((part, i) => part === this.#shownResult[i])) return;
    this.#shownResult = shown;
    const access = accessOf(task.id);
    byId('download').href = taskPath(task.id) + (access ? `?access=${access}` : '');
    byId('download').download = `${task.type || 'task'}-${task.id}.json`;
    const { summary, body } = shownResult(task);
    setText(byId('result-summary'), summary);
    byId('result-body').replaceChildren(...body);
  }

  // A screen reader reads changes of state only: progress would never end.
  #announce(task) {
    const words = `${task.type || 'Task'}: ${stateNames[task.status]}`;
    if (words === this.#announced) return;
    this.#announced = words;
    setText(byId('announce'), words);
  }
}

/** How much is done of how much, where the task reports it. */
function amounts(detail) {
  const { files_done: files, files_total: allFiles, bytes_done: done, bytes_total: all } = detail;
  const parts = [];
  if (Number.isFinite(files) && Number.isFinite(allFiles)) parts.push(`${count(files)} of ${count(allFiles)} files`);
  if (Number.isFinite(done) && Number.isFinite(all)) parts.push(`${bytes(done)} of ${bytes(all)}`);
  return parts.join(', ');
}

function shownResult(task) {
  if (task.unread) return { summary: `cannot be shown: ${task.unread}`, body: [] };
  if (task.elsewhere) return { summary: 'large, being fetched…', body: [] };
  return present(task.result);
}

function elapsed(task) {
  if (task.startedAt === null) return '';
  if (task.endedAt !== null) return duration(task.endedAt - task.startedAt, false);
  return duration(serverNow() - task.startedAt, true);
}

function titleState(task) {
  switch (task.status) {
    case 'completed': return '✓';
    case 'failed': case 'missing': return '✗';
    case 'cancelled': return '–';
    default: return task.value === null ? '…' : percent(task.value);
  }
}
