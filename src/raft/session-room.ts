/**
 * How much may be on its way to one node that follows, all its groups together: what is read for it, and what it was sent and
 * has not acknowledged. So both sides hold no more of it in memory, however many groups are behind.
 * Those that find no room wait for their turn. One that has nothing on its way, such as one that is appended to now and then, goes
 * in turns with those that are behind: it does not wait for all that they lack.
 * @module
 */

/** The room of one session. */
export class SessionRoom {
  readonly #maxBytes: number;
  #bytes = 0;
  /** Groups that wait, in order: with nothing on their way, and others. */
  readonly #idle = new Set<number>();
  readonly #busy = new Set<number>();
  #isBusyNext = false;

  /** @param maxBytes Nothing more is begun when there are as many; what was begun then may pass it. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Whether one that waits may go on. */
  get isDue(): boolean {
    return this.#hasRoom && this.#idle.size + this.#busy.size > 0;
  }

  /** So many bytes more are on their way; fewer, below 0. */
  change(bytes: number): void {
    this.#bytes += bytes;
  }

  /** Whether a group may go on now; otherwise it waits. @param isBusy Something of it is on its way. */
  enter(group: number, isBusy: boolean): boolean {
    const isWaiting = this.#idle.has(group) || this.#busy.has(group);
    if (!isWaiting && this.#hasRoom && !this.isDue) return true;
    if (!isWaiting) (isBusy ? this.#busy : this.#idle).add(group);
    return false;
  }

  /** It waits no more. */
  leave(group: number): void {
    this.#idle.delete(group);
    this.#busy.delete(group);
  }

  /** The group whose turn it is, which waits no more; undefined: none's. */
  next(): number | undefined {
    if (!this.#hasRoom) return undefined;
    const [first, second] = this.#isBusyNext ? [this.#busy, this.#idle] : [this.#idle, this.#busy];
    this.#isBusyNext = !this.#isBusyNext;
    const [group] = first.size > 0 ? first : second;
    if (group !== undefined) this.leave(group);
    return group;
  }

  get #hasRoom(): boolean {
    return this.#bytes < this.#maxBytes;
  }
}
