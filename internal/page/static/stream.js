// The page's only connection that stays open: one EventSource, which carries the
// events of the watched task and the notices of new versions together. Browsers
// allow six connections to a server over HTTP/1.1, for all tabs; one a tab is what
// a page may take.

import { takeSlot } from './slots.js';

const names = ['task_event', 'connection_close', 'reset', 'version'];

const longestPause = 30_000; // milliseconds between two attempts

/**
 * A stream that is kept open. It passes on what it receives, in order:
 *
 * - onEvent(name, data): an event; data is its text.
 * - onState(state): "connecting", "waiting" (other tabs have all connections),
 *   "live", "reconnecting", "paused" or "closed".
 * - onRefused(): the server did not answer with a stream. The stream is tried again,
 *   unless the callback closes or reopens it.
 */
export class Stream {
  #handlers;
  #params = null; // what is listened to; null while closed
  #source = null;
  #lastId = '';
  #failures = 0;
  #timer = 0;
  #taking = null; // an AbortController, from the moment that a slot is asked for
  #release = null; // gives the slot back

  constructor(handlers) {
    this.#handlers = handlers;
  }

  /** Whether there is, or is to be, a connection. */
  get isOpen() {
    return this.#params !== null;
  }

  /** Listens to what params ask for, from its beginning. */
  open(params) {
    this.close();
    this.#params = params;
    this.#lastId = '';
    this.#start();
  }

  /** Stops listening. Nothing is passed on after this. */
  close() {
    this.#stop();
    if (this.#params === null) return;
    this.#params = null;
    this.#handlers.onState('closed');
  }

  /** Gives the connection back. What comes meanwhile is passed on after resume. */
  pause() {
    if (this.#taking === null) return;
    this.#stop();
    this.#handlers.onState('paused');
  }

  /** Goes on after the last event that was passed on. */
  resume() {
    if (this.isPaused) this.#start();
  }

  get isPaused() {
    return this.#params !== null && this.#taking === null;
  }

  async #start() {
    const taking = new AbortController();
    this.#taking = taking;
    this.#failures = 0;
    this.#handlers.onState('connecting');
    const release = await takeSlot(taking.signal, () => this.#handlers.onState('waiting'));
    if (!release) return;
    if (taking.signal.aborted) {
      release();
      return;
    }
    this.#release = release;
    this.#connect('connecting');
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.#taking?.abort();
    this.#taking = null;
    this.#release?.();
    this.#release = null;
  }

  #connect(state) {
    const query = new URLSearchParams(this.#params);
    // A new EventSource does not know the position of the last one.
    if (this.#lastId) query.set('lastEventId', this.#lastId);
    const source = new EventSource(`/api/sse/stream?${query}`);
    this.#source = source;
    this.#handlers.onState(state);
    source.addEventListener('open', () => {
      this.#failures = 0;
      this.#handlers.onState('live');
    });
    for (const name of names) {
      source.addEventListener(name, (event) => this.#pass(source, name, event));
    }
    // Two things have this name: an event that the server sent, which has data,
    // and the browser's report that the connection broke, which has none.
    source.addEventListener('error', (event) => {
      if (event instanceof MessageEvent) this.#pass(source, 'error', event);
      else this.#broken(source);
    });
  }

  #pass(source, name, event) {
    if (source !== this.#source) return;
    this.#lastId = event.lastEventId;
    this.#handlers.onEvent(name, event.data);
  }

  #broken(source) {
    if (source !== this.#source) return;
    this.#handlers.onState('reconnecting');
    if (source.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    // The answer was no stream, and the browser has given up.
    source.close();
    const pause = Math.min(longestPause, 1000 * 2 ** this.#failures) * (0.5 + Math.random());
    this.#failures++;
    this.#timer = setTimeout(() => this.#connect('reconnecting'), pause);
    this.#handlers.onRefused();
  }
}
