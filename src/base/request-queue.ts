/**
 * The requests of a streaming call, as they come. An object and no generator, since a generator that waits for a promise
 * can't be ended from outside.
 */
export class RequestQueue<T> implements AsyncIterable<T>, AsyncIterator<T, undefined> {
  readonly #waiting: T[] = [];
  #taker: ((result: IteratorResult<T, undefined>) => void) | undefined;
  #isClosed = false;

  /** Adds a request; how many may wait is the caller's to bound. */
  push(request: T): void {
    if (this.#isClosed) return;
    if (this.#taker === undefined) this.#waiting.push(request);
    else this.#hand({ done: false, value: request });
  }

  /** No more requests: the call's sending side ends after those that wait. */
  close(): void {
    this.#isClosed = true;
    this.#hand({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterator<T, undefined> {
    return this;
  }

  next(): Promise<IteratorResult<T, undefined>> {
    const value = this.#waiting.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    if (this.#isClosed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => {
      this.#taker = resolve;
    });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#waiting.length = 0;
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** Connect tells a sender that the call has failed by throwing into it. */
  throw(): Promise<IteratorResult<T, undefined>> {
    return this.return();
  }

  #hand(result: IteratorResult<T, undefined>): void {
    const taker = this.#taker;
    this.#taker = undefined;
    taker?.(result);
  }
}
