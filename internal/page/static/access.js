// The access tokens of the tasks that this tab has started: where the server asks
// for one, they read the task. They are good in this tab, and after a reload.

const prefix = 'access:';

/** Keeps the token that the start of a task was answered with. */
export function keepAccess(id, token) {
  if (typeof token !== 'string') return;
  try {
    sessionStorage.setItem(prefix + id, token);
  } catch {
    // Without storage the task is read by whoever is logged in.
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
