// The access tokens of the tasks that this tab has started. They read the task where the server
// requires one. They last in this tab, also after a reload.

const prefix = 'access:';

/** Keeps the access token in the answer to the start of a task. */
export function keepAccess(id, token) {
  if (typeof token !== 'string') return;
  try {
    sessionStorage.setItem(prefix + id, token);
  } catch {
    // Without session storage, everybody who is logged in can still read the task.
  }
}

/** The token of a task, or "". */
export function accessOf(id) {
  try {
    return sessionStorage.getItem(prefix + id) ?? '';
  } catch {
    return '';
  }
}
