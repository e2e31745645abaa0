// The state of a task, derived from its events. This file does not touch the page, and accepts every
// event, also malformed ones.

const finals = {
  task_completed: 'completed',
  task_failed: 'failed',
  task_cancelled: 'cancelled',
};

/** Whether a task with this status is over. */
export function isFinal(status) {
  return ['completed', 'failed', 'cancelled', 'missing'].includes(status);
}

/**
 * A task of which no event has come yet. Its status is "waiting", "running",
 * "completed", "failed", "cancelled", or "missing" if the server does not know it.
 */
export function newTask(id, type = '') {
  return {
    id,
    type, // no event has it
    status: 'waiting',
    text: '', // of the latest progress
    value: null, // 0 to 1; null while unknown
    detail: {}, // the whole data of the latest progress
    startedAt: null, // server time, milliseconds
    endedAt: null,
    result: undefined,
    error: '',
    elsewhere: '', // path of a result that was too large for an event
    unread: '', // why that could not be read
    incomplete: false, // the server no longer has the first events
    closed: false, // the last event has come
  };
}

/** The data of an event, decoded; undefined if it is not JSON. */
export function decode(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

/** Applies an event. body is its decoded data. */
export function apply(task, name, body) {
  switch (name) {
    case 'task_event':
      applyTaskEvent(task, body);
      break;
    case 'reset':
      Object.assign(task, newTask(task.id, task.type), { incomplete: true });
      break;
    case 'error': // the server does not know the task; the stream goes on if it has version notices
      task.status = 'missing';
      task.closed = true;
      break;
    case 'connection_close':
      task.closed = true;
      if (body?.reason === 'task_not_found') task.status = 'missing';
      if (body?.reason === 'access_expired') task.error = 'The right to read this task has expired.';
      break;
  }
}

function applyTaskEvent(task, body) {
  const at = Date.parse(body?.timestamp);
  const data = body?.data;
  const final = finals[body?.event_type];
  if (final) {
    task.status = final;
    task.endedAt = at;
    applyEnd(task, data);
    return;
  }
  if (isFinal(task.status)) return; // a final status never changes
  task.status = 'running';
  if (body?.event_type === 'task_started') task.startedAt = at;
  if (body?.event_type === 'progress_update') {
    if (typeof data?.text === 'string') task.text = data.text;
    if (isShare(data?.value)) task.value = data.indeterminate === true ? null : data.value;
    task.detail = data ?? {};
  }
}

function applyEnd(task, data) {
  if (data?.truncated === true && typeof data.status_url === 'string') {
    task.elsewhere = data.status_url;
  }
  if (task.status === 'completed') {
    task.value = 1;
    if (!task.elsewhere) task.result = data ?? null;
  } else if (task.status === 'failed') {
    task.error = typeof data?.error === 'string' ? data.error : 'The task failed.';
  }
}

function isShare(value) {
  return typeof value === 'number' && value >= 0 && value <= 1;
}

/** Whether the end of a task is not, or not wholly, in its events. */
export function endIsElsewhere(task) {
  return task.elsewhere !== '' || (task.closed && !isFinal(task.status));
}

/** Adds what the status endpoint knows and no event has said. */
export function complete(task, info) {
  task.type ||= info.type;
  if (info.start_time) task.startedAt ??= Date.parse(info.start_time);
  if (!isFinal(info.status) || !endIsElsewhere(task)) return;
  task.elsewhere = '';
  task.status = info.status;
  task.endedAt ??= Date.parse(info.end_time);
  if (info.status === 'completed') {
    task.value = 1;
    task.result = info.result;
  } else if (info.status === 'failed') {
    task.error = info.error ?? task.error;
  }
}
