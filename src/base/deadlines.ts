/**
 * When each of many things is due, by number. The earliest is known at once.
 * @module
 */

interface Entry {
  readonly key: number;
  readonly atMs: number;
}

/** Due times: a heap, in which entries that were replaced stay until they come up. */
export class Deadlines {
  readonly #heap: Entry[] = [];
  readonly #at = new Map<number, number>();

  /** When the first is due; Infinity: nothing is. */
  get nextMs(): number {
    for (;;) {
      const first = this.#heap[0];
      if (!first) return Number.POSITIVE_INFINITY;
      if (this.#at.get(first.key) === first.atMs) return first.atMs;
      this.#pop();
    }
  }

  /** It is due then, and not when it was before; Infinity: never. */
  set(key: number, atMs: number): void {
    const before = this.#at.get(key);
    if (before === atMs) return;
    if (atMs === Number.POSITIVE_INFINITY) {
      this.#at.delete(key);
      return;
    }
    this.#at.set(key, atMs);
    this.#push({ key, atMs });
  }

  /** Takes out the next one that is due by then. */
  takeDue(nowMs: number): number | undefined {
    if (this.nextMs > nowMs) return undefined;
    const first = this.#pop();
    if (first) this.#at.delete(first.key);
    return first?.key;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      const above = heap[parent];
      if (!above || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (!first || !last || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      const [left, right] = [heap[child], heap[child + 1]];
      if (left && right && isBefore(right, left)) child += 1;
      const below = heap[child];
      if (!below || !isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.key < b.key);
}
