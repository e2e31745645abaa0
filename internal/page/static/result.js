// The result of a task: a table for checksums, JSON for everything else.

import { bytes, count, cut, make } from './dom.js';

const rowLimit = 500;
const jsonLimit = 50_000; // characters

/** A line that sums the result up, and the elements that show it. */
export function present(result) {
  const files = checksums(result);
  if (!files) return { summary: '', body: json(result) };
  return { summary: summary(files, result), body: [...fileTable(files), ...skippedTable(result.skipped)] };
}

/** The files of a checksum task's result; undefined for another result. */
function checksums(result) {
  const files = result?.files;
  const isFile = (f) => typeof f?.path === 'string' && typeof f.sha256 === 'string';
  return Array.isArray(files) && files.every(isFile) ? files : undefined;
}

function summary(files, result) {
  const total = result.total_files ?? files.length;
  const size = result.total_bytes ?? files.reduce((sum, f) => sum + (f.bytes ?? 0), 0);
  const skipped = result.total_skipped > 0 ? `, ${count(result.total_skipped)} skipped` : '';
  return `${count(total)} ${total === 1 ? 'file' : 'files'}, ${bytes(size)}${skipped}`;
}

function fileTable(files) {
  return table('Files', files, [
    { title: 'Path', class: 'path', of: (f) => f.path },
    { title: 'Bytes', class: 'number', of: (f) => (typeof f.bytes === 'number' ? count(f.bytes) : '') },
    { title: 'SHA-256', class: 'digest', of: (f) => f.sha256 },
  ]);
}

function skippedTable(skipped) {
  if (!Array.isArray(skipped) || skipped.length === 0) return [];
  return [make('h4', {}, 'Skipped'), ...table('Skipped files', skipped, [
    { title: 'Path', class: 'path', of: (s) => String(s?.path) },
    { title: 'Reason', class: 'reason', of: (s) => String(s?.reason) },
  ])];
}

// The roles are those that the elements have anyway; the style sheet takes them
// away where it lays a table out for a narrow screen.
function table(name, items, columns) {
  const head = columns.map((c) => make('th', { role: 'columnheader', scope: 'col', class: c.class }, c.title));
  const rows = items.slice(0, rowLimit).map((item) =>
    make('tr', { role: 'row' }, ...columns.map((c) => make('td', { role: 'cell', class: c.class }, c.of(item)))));
  const scroll = make('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': name },
    make('table', { role: 'table' },
      make('thead', { role: 'rowgroup' }, make('tr', { role: 'row' }, ...head)),
      make('tbody', { role: 'rowgroup' }, ...rows)));
  const hidden = items.length - rowLimit;
  return [scroll, ...remark(hidden, `${count(hidden)} more are in the download.`)];
}

function json(result) {
  const text = JSON.stringify(result, null, 2);
  return [
    make('pre', { tabindex: '0' }, cut(text, jsonLimit)),
    ...remark(text.length - jsonLimit, 'The rest is in the download.'),
  ];
}

function remark(hidden, text) {
  return hidden > 0 ? [make('p', { class: 'hint' }, text)] : [];
}
