/**
 * What a stream's log determines of it besides its records: what is committed, and what is on its way to it. A checkpoint
 * that is placed behind a change must tell of it, committed or not: both are or neither.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import type { LogDoor, StreamPart } from "../replica/log-door.ts";
import { encodeTrim, type StoredTrim } from "../wire/checkpoint.ts";

/** A change of a stream, a control batch of its log. */
export type StreamChange = { readonly kind: "trim"; readonly trim: StoredTrim };

export class StreamState {
  #part: StreamPart;
  /** Stamped and not yet committed, in order. */
  readonly #placed: { readonly index: number; readonly change: StreamChange }[] = [];

  constructor(part: StreamPart) {
    this.#part = part;
  }

  /** What is committed. */
  get part(): StreamPart {
    return this.#part;
  }

  /** The log says this. */
  restore({ settings, logStart }: StreamPart): void {
    this.#part = { ...this.#part, settings, logStart };
  }

  /** Appends a change; when that resolves it is in force. */
  async append(door: LogDoor, change: StreamChange): Promise<void> {
    try {
      await door.append({
        ...batchOf(change),
        recordCount: 0,
        frees: true,
        stamped: (index) => {
          this.#dropRefused(index);
          this.#placed.push({ index, change });
        },
      });
    } finally {
      const at = this.#placed.findIndex((placed) => placed.change === change);
      if (at >= 0) this.#placed.splice(at, 1);
    }
    this.#part = changed(this.#part, change);
  }

  /** State for a checkpoint at `index`. */
  asOf(index: number): StreamPart {
    this.#dropRefused(index);
    return this.#placed.reduce((part, { change }) => changed(part, change), this.#part);
  }

  /** What has a place that is given again was refused. */
  #dropRefused(index: number): void {
    while ((this.#placed.at(-1)?.index ?? -1) >= index) this.#placed.pop();
  }
}

function batchOf(change: StreamChange): { kind: BatchKind; payload: Uint8Array } {
  return { kind: BatchKind.trim, payload: encodeTrim(change.trim) };
}

function changed(part: StreamPart, change: StreamChange): StreamPart {
  return { ...part, logStart: Math.max(part.logStart, change.trim.logStart) };
}
