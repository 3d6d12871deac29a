/** Knows time. The only way for the rest to learn it or to be woken by it. */
export interface Clock {
  /** Wall time, microseconds since 1970, whole. May jump. */
  nowMicros(): number;
  /** Time that never goes back, milliseconds from some moment on. */
  monotonicMs(): number;
  /** Calls `wake` once after `delayMs`, at the earliest. Holds no process open. */
  after(delayMs: number, wake: () => void): Timer;
}

/** A call to come. */
export interface Timer {
  /** Takes it back; does nothing if it has happened. */
  cancel(): void;
}

/** The machine's clock; its wall time has milliseconds. */
export const systemClock: Clock = {
  nowMicros: () => Date.now() * 1000,
  monotonicMs: () => performance.now(),
  after(delayMs, wake) {
    const timer = setTimeout(wake, delayMs);
    timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
};
