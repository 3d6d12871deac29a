/**
 * Knows which calls are open, so that a node that stops can let them end.
 * @module
 */
export class Drain {
  #openCalls = 0;
  #isDraining = false;
  readonly #listeners = new Set<() => void>();
  #wakeWhenIdle: (() => void) | undefined;

  /** True once the node stops: new calls are refused. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  get openCalls(): number {
    return this.#openCalls;
  }

  /** A call begins; it must `leave` once. */
  enter(): void {
    this.#openCalls++;
  }

  leave(): void {
    this.#openCalls--;
    if (this.#openCalls === 0) this.#wakeWhenIdle?.();
  }

  /** Calls `listener` when the node begins to stop, until the returned function is called. */
  onDrain(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Refuses new calls from now on; resolves when the last open one has ended. */
  begin(): Promise<void> {
    this.#isDraining = true;
    for (const listener of this.#listeners) listener();
    if (this.#openCalls === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wakeWhenIdle = resolve;
    });
  }
}
