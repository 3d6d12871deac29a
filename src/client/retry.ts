/**
 * How long to wait before the next try.
 * @module
 */

const firstDelayMs = 100;
const lastDelayMs = 5_000;

/** Doubles from try to try; by chance between half and whole, so that not all clients of a node return at once. */
export function backoffMs(failedTries: number): number {
  const most = Math.min(lastDelayMs, firstDelayMs * 2 ** failedTries);
  return Math.round(most * (0.5 + Math.random() / 2));
}

/** Resolves after `delayMs`, or when the signal aborts. */
export function pause(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, delayMs);
    signal.addEventListener("abort", done);
    if (signal.aborted) done();
  });
}
