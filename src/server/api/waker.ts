/** Lets one waiter sleep until any of several sources wakes it. A wake while nobody sleeps is kept for the next. */
export class Waker {
  #isWoken = false;
  #resume: (() => void) | undefined;

  /** May be given away as a listener as it is. */
  readonly wake = (): void => {
    const resume = this.#resume;
    if (resume === undefined) {
      this.#isWoken = true;
      return;
    }
    this.#resume = undefined;
    resume();
  };

  /** Resolves at the next wake, at once if there was one since the last sleep. */
  sleep(): Promise<void> {
    if (this.#isWoken) {
      this.#isWoken = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }
}
