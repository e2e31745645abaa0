// Browsers open six connections to a server over HTTP/1.1, for all tabs together.
// If each of six tabs kept a stream open, a seventh could not even load its page. So the streams of all tabs share a few slots, which are locks that the
// browser keeps; over HTTP/2 and later there is no such limit.

const slots = 5; // one connection is left for everything else

const protocol = performance.getEntriesByType('navigation')[0]?.nextHopProtocol ?? '';

/** Whether this page's connections are few. */
export const limited = !/^h[23]/.test(protocol);

/** How many streams there may be in all tabs. */
export const mostStreams = slots;

/**
 * Takes a slot. Returns a function that gives it back, or null if signal was aborted
 * meanwhile. onWaiting is called if none is free at once.
 */
export async function takeSlot(signal, onWaiting) {
  if (!limited || !navigator.locks) return () => {}; // no locks without https, but on localhost
  for (let i = 0; i < slots; i++) {
    const release = await request(i, { ifAvailable: true });
    if (release && signal.aborted) release();
    if (signal.aborted) return null;
    if (release) return release;
  }
  onWaiting();
  return firstOf(signal);
}

// Waits for the first free slot, and releases any other that it gets.
function firstOf(signal) {
  const others = new AbortController();
  signal.addEventListener('abort', () => others.abort());
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(null));
    for (let i = 0; i < slots; i++) {
      request(i, { signal: others.signal }).then((release) => {
        if (!release) return;
        if (others.signal.aborted) {
          release();
          return;
        }
        others.abort();
        resolve(release);
      });
    }
  });
}

// Resolves to a function that releases the lock, or to null.
function request(i, options) {
  return new Promise((resolve) => {
    navigator.locks.request(`tidegate-stream-${i}`, options, (lock) => {
      if (lock) return new Promise((release) => resolve(release));
      resolve(null);
      return undefined;
    }).catch(() => resolve(null)); // aborted
  });
}
