/**
 * What a stream's log determines of it besides its records: what is committed, and what is on its way to it. A checkpoint
 * that is placed behind a change must tell of it, committed or not: both are or neither.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import type { Limits } from "../base/limits.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { AppendedBatch, LogDoor, StreamPart } from "../replica/log-door.ts";
import { RefusedError } from "../replica/replica-errors.ts";
import { encodeFence, encodeTrim, type StoredTrim } from "../wire/checkpoint.ts";
import { encodeSettings } from "../wire/settings.ts";
import { limitsOf } from "./settings.ts";

/** A change of a stream, a control batch of its log. */
export type StreamChange =
  | { readonly kind: "trim"; readonly trim: StoredTrim }
  | { readonly kind: "settings"; readonly settings: VersionedSettings }
  | { readonly kind: "fence"; readonly token: Uint8Array };

export class StreamState {
  readonly #nodeLimits: Limits;
  readonly #onPlaced: (index: number, appending: Promise<unknown>) => void;
  #part: StreamPart;
  #appendLimits: Limits;
  /** How often the log said what is so. */
  #restored = 0;
  /** Stamped and not yet committed, in order. */
  readonly #placed: { readonly index: number; readonly change: StreamChange }[] = [];

  /** @param limits The node's. @param onPlaced Told of each change that has its place; it resolves when it is committed. */
  constructor(part: StreamPart, limits: Limits, onPlaced: (index: number, appending: Promise<unknown>) => void) {
    this.#onPlaced = onPlaced;
    this.#part = part;
    this.#nodeLimits = limits;
    this.#appendLimits = limitsOf(part.settings, limits);
  }

  /** What is committed. */
  get part(): StreamPart {
    return this.#part;
  }

  /** What a batch must keep to that is appended now. While settings change, both the old and the new. */
  get appendLimits(): Limits {
    return this.#appendLimits;
  }

  /** The log says this. */
  restore({ settings, logStart, fence }: StreamPart): void {
    // What is on its way from an earlier term is in there, or will never be.
    this.#placed.length = 0;
    this.#restored += 1;
    this.#part = { ...this.#part, settings, logStart, fence };
    this.#appendLimits = limitsOf(settings, this.#nodeLimits);
  }

  /**
   * Appends a change; when that resolves it is in force. Changes are appended one at a time.
   * @param rolls A segment begins with the batch before it.
   */
  async append(door: LogDoor, change: StreamChange, rolls = false): Promise<AppendedBatch> {
    if (change.kind === "settings") this.#appendLimits = limitsOf(change.settings, this.#appendLimits);
    let restored = this.#restored;
    try {
      const appending = door.append({
        ...batchOf(change),
        recordCount: 0,
        frees: true,
        rolls,
        admit: () => {
          if (change.kind === "trim") checkBase(door, change.trim);
        },
        stamped: (index) => {
          restored = this.#restored;
          this.#dropRefused(index);
          this.#placed.push({ index, change });
          this.#onPlaced(index, appending);
          // What is stamped behind it goes by it.
          if (change.kind === "settings") door.endSegmentsBy(change.settings);
        },
      });
      const appended = await appending;
      // What the log said since knows of it already, and of what came after it.
      if (restored === this.#restored) this.#part = changed(this.#part, change);
      return appended;
    } finally {
      const at = this.#placed.findIndex((placed) => placed.change === change);
      if (at >= 0) this.#placed.splice(at, 1);
      if (change.kind === "settings") {
        this.#appendLimits = limitsOf(this.#part.settings, this.#nodeLimits);
        door.endSegmentsBy(this.#part.settings);
      }
    }
  }

  /** State as all that is placed below `index` makes it. */
  asOf(index: number): StreamPart {
    this.#dropRefused(index);
    return this.#placed.reduce((part, { change }) => changed(part, change), this.#part);
  }

  /** What has a place that is given again was refused. */
  #dropRefused(index: number): void {
    while ((this.#placed.at(-1)?.index ?? -1) >= index) this.#placed.pop();
  }
}

/**
 * Every replica lets its files go by a trim. Which checkpoint it names was looked up before, and if another node led since, that may
 * have been cut off. @throws {RefusedError}
 */
function checkBase(door: LogDoor, { baseIndex }: StoredTrim): void {
  if (baseIndex <= door.baseIndex || door.segmentSizes().some(({ firstIndex }) => firstIndex === baseIndex)) return;
  throw new RefusedError(`no segment begins at index ${baseIndex} any more`);
}

function batchOf(change: StreamChange): { kind: BatchKind; payload: Uint8Array } {
  switch (change.kind) {
    case "trim":
      return { kind: BatchKind.trim, payload: encodeTrim(change.trim) };
    case "settings":
      return { kind: BatchKind.settings, payload: encodeSettings(change.settings) };
    case "fence":
      return { kind: BatchKind.fence, payload: encodeFence(change.token) };
  }
}

function changed(part: StreamPart, change: StreamChange): StreamPart {
  switch (change.kind) {
    case "trim":
      return { ...part, logStart: Math.max(part.logStart, change.trim.logStart) };
    case "settings":
      return { ...part, settings: change.settings };
    case "fence":
      return { ...part, fence: change.token };
  }
}
