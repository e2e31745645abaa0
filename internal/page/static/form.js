// The form that starts a task.

import { Refused, isUnreachable, onReached, startTask } from './api.js';
import { byId, showText } from './dom.js';

/** Makes the form work; onStarted(id, type) is called for each task it starts. */
export function setUpForm(onStarted) {
  const form = byId('form');
  const problem = byId('form-problem');
  const submit = byId('submit');
  let away = false; // the form shows that the server cannot be reached
  onReached(() => {
    if (away) showText(problem, '');
    away = false;
  });
  form.addEventListener('change', () => {
    showFields(form);
    showText(problem, '');
  });
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    submit.disabled = true;
    showText(problem, '');
    try {
      const type = form.elements.type.value;
      const { task_id: id } = await startTask(type, params(form));
      onStarted(id, type);
    } catch (error) {
      showText(problem, explain(error));
      away = isUnreachable(error);
    } finally {
      submit.disabled = false;
    }
  });
  showFields(form); // browsers may keep what was chosen before a reload
}

function showFields(form) {
  for (const fields of form.querySelectorAll('[data-for]')) {
    fields.hidden = fields.dataset.for !== form.elements.type.value;
    fields.disabled = fields.hidden; // only visible fields are checked and sent
  }
}

function params(form) {
  const fields = form.querySelector('[data-for]:not([hidden])');
  const found = {};
  for (const input of fields.querySelectorAll('input')) {
    found[input.name] = input.type === 'number' ? input.valueAsNumber : input.value;
  }
  return found;
}

// The server's error about a path, in words for the person who typed it.
const pathWords = [
  ['not a directory', 'A part of this path is a file, not a directory.'],
  ['does not exist', 'There is nothing at this path, or it may not be read.'],
  ['symbolic link', 'This path goes through a symbolic link, which is not followed.'],
  ['neither a directory nor a regular file', 'This is neither a directory nor a file with content.'],
  ['files of its own', 'This is not a place with files of its own.'],
  ['permission denied', 'The server may not read this.'],
  ['NUL', 'This path has a character that no path can have.'],
];

function explain(error) {
  if (!(error instanceof Refused)) throw error;
  const unknown = /^Unknown task type: (\w+)/.exec(error.message)?.[1];
  if (unknown === 'checksum') return 'This server computes no checksums: see its settings --task-types and --checksum-root.';
  if (unknown) return 'This server does not run tasks of this type: see its setting --task-types.';
  const [, params] = /^bad parameters: (.*)$/s.exec(error.message) ?? [];
  if (params === undefined) return error.message;
  const words = params.startsWith('path') && pathWords.find(([part]) => params.includes(part))?.[1];
  return words || `${params[0].toUpperCase()}${params.slice(1)}.`;
}
