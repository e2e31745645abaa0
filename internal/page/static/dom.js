// Functions for all parts of the page: find and make elements, and format numbers for people. Text
// enters the page as text only, never as HTML.

/** The element with this id, which must exist. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`no element #${id}`);
  return found;
}

/** A new element. Children are elements or strings; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

/** Shows text in an element, or hides the element if there is none. */
export function showText(element, text) {
  setText(element, text);
  element.hidden = !text;
}

/** Sets the text of an element, and leaves the page alone if it is there already. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** At most `limit` characters of text, with a mark where it was cut. */
export function cut(text, limit) {
  return text.length <= limit ? text : `${text.slice(0, limit)}…`;
}

const units = ['kB', 'MB', 'GB', 'TB', 'PB'];

/** A number of bytes, as in "3.4 MB". */
export function bytes(n) {
  if (n < 1000) return `${n} B`;
  let unit = -1;
  do {
    n /= 1000;
    unit++;
  } while (n >= 999.5 && unit < units.length - 1);
  return `${n < 9.95 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

/** A number with its thousands set apart, as the reader is used to. */
export function count(n) {
  return n.toLocaleString();
}

/** A duration. While it is still growing, its fractions only flicker. */
export function duration(milliseconds, growing) {
  const seconds = Math.max(0, milliseconds) / 1000;
  if (seconds < 60) return growing ? `${Math.floor(seconds)} s` : `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const whole = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor(whole / 60) % 60)} min`;
}

/** How long ago something was, as in "5 min ago". */
export function ago(milliseconds) {
  const minutes = Math.floor(milliseconds / 60_000);
  if (minutes < 1) return 'just now';
  if (minutes < 60) return `${minutes} min ago`;
  if (minutes < 48 * 60) return `${Math.floor(minutes / 60)} h ago`;
  return `${Math.floor(minutes / 1440)} days ago`;
}

/** A share from 0 to 1. Only 1 is shown as 100 %. */
export function percent(share) {
  return `${Math.floor(share * 100 + 1e-9)} %`;
}
