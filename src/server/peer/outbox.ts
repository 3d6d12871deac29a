/**
 * What waits to be sent in one direction of a session: small messages overtake batches, and nothing else overtakes anything.
 * @module
 */

/** Small messages that wait, at most: a peer that reads reads these first. */
const smallMax = 100_000;
/** Bytes of large messages that go with others. */
const togetherMaxBytes = 16 * 1024;

/** Messages to send, given out as the other side takes them. */
export class Outbox<T> implements AsyncIterable<readonly T[]> {
  readonly #maxBytes: number;
  #small: T[] = [];
  readonly #large: { readonly message: T; readonly bytes: number }[] = [];
  #bytes = 0;
  #wake: () => void = () => {};
  #isOver = false;
  readonly #overflowed: () => void;

  /** @param maxBytes Of large messages that wait. @param overflowed More did: the other side takes nothing. */
  constructor(maxBytes: number, overflowed: () => void) {
    this.#maxBytes = maxBytes;
    this.#overflowed = overflowed;
  }

  /** Small ones go together, in order. */
  add(messages: readonly T[]): void {
    if (this.#isOver) return;
    this.#small.push(...messages);
    if (this.#small.length > smallMax) this.#overflowed();
    this.#wake();
  }

  /** A large one: small ones go before it. */
  addLarge(message: T, bytes: number): void {
    if (this.#isOver) return;
    this.#large.push({ message, bytes });
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) this.#overflowed();
    this.#wake();
  }

  /** Nothing more is sent, nor kept: who takes what was given out last may never ask for more. */
  end(): void {
    this.#isOver = true;
    this.#small = [];
    this.#large.length = 0;
    this.#bytes = 0;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<readonly T[]> {
    while (!this.#isOver) {
      const messages = this.#take();
      if (messages.length > 0) {
        yield messages;
        continue;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = () => {};
    }
  }

  /** All small ones, and large ones as far as they are none: each envelope costs more than they do. */
  #take(): readonly T[] {
    const messages = this.#small;
    this.#small = [];
    let bytes = 0;
    for (let next = this.#large[0]; next; next = this.#large[0]) {
      if (messages.length > 0 && bytes + next.bytes > togetherMaxBytes) break;
      this.#large.shift();
      messages.push(next.message);
      bytes += next.bytes;
    }
    this.#bytes -= bytes;
    return messages;
  }
}
