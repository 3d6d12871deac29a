import type { Segment } from "./segment.ts";

/** Keeps the indexes of sealed segments within a budget of memory: least recently used go. */
export class IndexMemory {
  readonly #maxBytes: number;
  /** In the order of their last use, with their sizes. */
  readonly #segments = new Map<Segment, number>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The index of a segment is in use. Those that still grow are small or busy, and stay. */
  touch(segment: Segment, memoryBytes: number): void {
    this.#bytes += memoryBytes - (this.#segments.get(segment) ?? 0);
    this.#segments.delete(segment);
    this.#segments.set(segment, memoryBytes);
    for (const [oldest, bytes] of this.#segments) {
      if (this.#bytes <= this.#maxBytes || oldest === segment) return;
      if (oldest.active) continue;
      this.#segments.delete(oldest);
      this.#bytes -= bytes;
      oldest.forgetIndex();
    }
  }

  /** The segment is gone, and its index with it. */
  drop(segment: Segment): void {
    this.#bytes -= this.#segments.get(segment) ?? 0;
    this.#segments.delete(segment);
  }
}
