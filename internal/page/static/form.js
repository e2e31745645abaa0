// The form that starts a task.

import { Refused, startTask } from './api.js';
import { byId, showText } from './dom.js';

/** Makes the form work; onStarted(id, type) is called for each task it starts. */
export function setUpForm(onStarted) {
  const form = byId('form');
  const problem = byId('form-problem');
  const submit = byId('submit');
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
    } finally {
      submit.disabled = false;
    }
  });
  showFields(form); // browsers may keep what was chosen before a reload
}

function showFields(form) {
  for (const fields of form.querySelectorAll('[data-for]')) {
    fields.hidden = fields.dataset.for !== form.elements.type.value;
    fields.disabled = fields.hidden; // so that only what is seen is checked and sent
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

function explain(error) {
  if (!(error instanceof Refused)) throw error;
  if (error.message === 'Unknown task type: checksum') {
    return 'This server computes no checksums: it was started with an empty --checksum-root.';
  }
  return error.message;
}
