/**
 * Reads a log: from its segments, then from its tail. A flush may move batches from one to the other meanwhile, so each
 * step looks anew where its next batch stands.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { type BatchHeader, BatchKind, batchHeaderBytes, type StoredBatch } from "../base/batch.ts";
import type { TailraceError } from "../base/errors.ts";
import { batchBytes, readBatch, readHeader } from "./batch-reader.ts";
import type { LogContext } from "./context.ts";
import type { LogState } from "./log-state.ts";
import { readRing } from "./ring-reader.ts";
import { damagedAt, isDamage, missingIn } from "./segment.ts";
import type { Segments, Wanted } from "./segments.ts";
import type { TailEntry } from "./tail.ts";
import type { LogReadRequest } from "./types.ts";
import type { Unsynced } from "./unsynced.ts";

/** Of a tail so much is read at once for its headers. */
const headerScanBytes = 256 << 10;

/** Reading of one log. */
export class LogReader {
  readonly #log: LogState;
  readonly #segments: Segments;
  readonly #context: LogContext;
  readonly #unsynced: Unsynced;

  constructor(log: LogState, segments: Segments, context: LogContext, unsynced: Unsynced) {
    this.#log = log;
    this.#segments = segments;
    this.#context = context;
    this.#unsynced = unsynced;
  }

  /** Reads whole batches in order, up to what is damaged. @throws {TailraceError} `damaged`: the first one is. */
  async read(request: LogReadRequest): Promise<StoredBatch[]> {
    const batches: StoredBatch[] = [];
    const durableBelow = () => Math.min(request.belowIndex, this.#log.durable.index);
    let belowIndex = durableBelow();
    let wanted = wantedFrom(request.from);
    let bytes = 0;
    while (bytes < request.maxBytes) {
      const maxBytes = request.maxBytes - bytes;
      let more = await this.#inOrder(wanted, { belowIndex, maxBytes }).catch((error: unknown) => {
        if (batches.length === 0 || !isDamage(error)) throw error;
        return [];
      });
      if (request.unsynced && more.length === 0) {
        // What is wanted may have become durable while it was looked for.
        const before = belowIndex;
        belowIndex = durableBelow();
        if (belowIndex > before) continue;
        const limit = { belowIndex: request.belowIndex, maxBytes, isFirst: batches.length === 0 };
        more = this.#readUnsynced(wanted, limit);
      }
      // A soft limit: only the first batch may pass it.
      const last = more.at(-1);
      if (!last) break;
      for (const batch of more) {
        if (batches.length > 0 && bytes + batchBytes(batch) > request.maxBytes) return batches;
        batches.push(batch);
        bytes += batchBytes(batch);
      }
      wanted = wantedFrom({ index: last.index + 1 });
    }
    return batches;
  }

  /** Where the first batch at or after a time stands. */
  async findTime(micros: number, belowIndex: number): Promise<{ index: number; offset: number }> {
    const wanted: Wanted = {
      key: "appendTimeMicros",
      value: micros,
      wanted: ({ appendTimeMicros }) => appendTimeMicros >= micros,
    };
    const limit = { belowIndex: Math.min(belowIndex, this.#log.durable.index), maxBytes: 1 };
    const [found] = await this.#step(wanted, limit);
    if (found) {
      // A file that is gone before it would have held an earlier one.
      const { index } = found;
      if (index > this.#log.base.index) await this.read({ from: { index: index - 1 }, belowIndex: index, maxBytes: 1 });
      return { index, offset: found.baseOffset };
    }
    return { index: this.#log.commit.index, offset: this.#log.commit.offset };
  }

  /** Offset of the first record at or after the batch at `index`, which is here. */
  async offsetAt(index: number): Promise<number> {
    const [batch] = await this.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
    return present(batch, `batch ${index} of group ${this.#log.group} is not there`).baseOffset;
  }

  /** The newest checkpoint. */
  async lastCheckpoint(): Promise<StoredBatch> {
    const { tail, flushed, base } = this.#log;
    // The segment that grows may begin with one that is not durable yet.
    const index = tail.lastCheckpoint ?? Math.max(flushed.segment, base.index);
    const [checkpoint] = await this.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
    assert(checkpoint?.kind === BatchKind.checkpoint, `group ${this.#log.group} has no checkpoint at ${index}`);
    return checkpoint;
  }

  /** Headers of some batches from `index` on; none: it is the end. */
  async headers(index: number): Promise<BatchHeader[]> {
    const { tail, durable, base } = this.#log;
    const from = Math.max(index, base.index);
    for (;;) {
      if (from >= tail.startIndex) {
        const headers = await this.#tailHeaders(from);
        if (headers) return headers;
        continue;
      }
      const headers = await this.#segments.headers(from, durable.index);
      const first = headers[0]?.index;
      if (first !== from) throw this.#missing(`batch ${from}`);
      return headers;
    }
  }

  /** The header of a durable batch. */
  async headerAt(index: number): Promise<BatchHeader> {
    const { tail, group } = this.#log;
    const { journal, hash } = this.#context;
    for (;;) {
      if (index < tail.startIndex) {
        const header = await this.#segments.headerAt(index);
        if (header?.index !== index) throw this.#missing(`batch ${index}`);
        return header;
      }
      const { ringPosition } = tail.entry(index);
      const header = readHeader(await journal.read(ringPosition, batchHeaderBytes), group, hash);
      // It may have moved to a segment meanwhile.
      if (index < tail.startIndex) continue;
      if (header?.index !== index) throw this.#damagedInRing(ringPosition);
      return header;
    }
  }

  /** Indexes of the durable control batches from `index` on. */
  async controls(index: number): Promise<number[]> {
    const { tail, durable, base } = this.#log;
    // The tail first: what moves to a segment meanwhile is met twice, and nothing is missed.
    const inTail = tail.controls.filter((control) => control >= index);
    const inSegments = index < tail.startIndex ? await this.#segments.controls(Math.max(index, base.index)) : [];
    const found = new Set([...inSegments, ...inTail].filter((control) => control < durable.index));
    return [...found].sort((a, b) => a - b);
  }

  /** `undefined`: they moved to a segment meanwhile. */
  async #tailHeaders(index: number): Promise<BatchHeader[] | undefined> {
    const { tail, group } = this.#log;
    const { journal, hash } = this.#context;
    const entries: TailEntry[] = [];
    let bytes = 0;
    for (let next = index; next < tail.endIndex && bytes < headerScanBytes; next++) {
      const entry = tail.entry(next);
      entries.push(entry);
      bytes += entry.bytes;
    }
    const stored = new Uint8Array(bytes);
    await readRing(journal, entries, stored);
    if (index < tail.startIndex) return undefined;
    let at = 0;
    return entries.map((entry, i) => {
      const header = readHeader(stored.subarray(at, at + entry.bytes), group, hash);
      if (header?.index !== index + i) throw this.#damagedInRing(entry.ringPosition);
      at += entry.bytes;
      return header;
    });
  }

  /** Some batches from the first one wanted on, none passed over. @throws {TailraceError} `damaged`: one is missing. */
  async #inOrder(wanted: Wanted, limit: { belowIndex: number; maxBytes: number }): Promise<StoredBatch[]> {
    const batches = await this.#step(wanted, limit);
    if (batches.length > 0) this.#checkOrder(wanted, batches);
    else if (wanted.key === "index" && wanted.value >= this.#log.base.index && wanted.value < limit.belowIndex) {
      throw this.#missing(`batch ${wanted.value}`);
    }
    return batches;
  }

  /** Some batches from the first one wanted on; none: there is none. */
  async #step(wanted: Wanted, limit: { belowIndex: number; maxBytes: number }): Promise<StoredBatch[]> {
    const { tail } = this.#log;
    for (;;) {
      const { startIndex } = tail;
      const tailOnly = wanted.key === "index" && wanted.value >= startIndex;
      if (!tailOnly && startIndex > this.#log.base.index) {
        const found = await this.#readSegments(wanted, limit);
        if (!found) continue;
        if (found.length > 0) return found;
      }
      // What is wanted may have moved to a segment while those were read: then it is there now.
      if (tail.startIndex !== startIndex) continue;
      const found = await this.#readTail(wanted, limit);
      if (found) return found;
    }
  }

  /** `undefined`: the base moved meanwhile, and a file that was to be read is gone with what was below it. */
  async #readSegments(
    wanted: Wanted,
    limit: { belowIndex: number; maxBytes: number },
  ): Promise<StoredBatch[] | undefined> {
    const { index } = this.#log.base;
    try {
      return await this.#segments.read(wanted, limit);
    } catch (error) {
      if (this.#log.base.index > index) return undefined;
      throw error;
    }
  }

  /** `undefined`: what is wanted moved to a segment meanwhile. */
  async #readTail(wanted: Wanted, limit: { belowIndex: number; maxBytes: number }): Promise<StoredBatch[] | undefined> {
    const { tail, group } = this.#log;
    const { journal, hash } = this.#context;
    const batches: StoredBatch[] = [];
    let bytes = 0;
    for (let index = this.#firstInTail(wanted); index < Math.min(tail.endIndex, limit.belowIndex); index++) {
      // The tail may have moved to a segment while the batch before was read.
      if (index < tail.startIndex) return batches.length > 0 ? batches : undefined;
      const entry = tail.entry(index);
      if (batches.length > 0 && bytes + entry.bytes > limit.maxBytes) return batches;
      const stored = await journal.read(entry.ringPosition, entry.bytes);
      const batch = readBatch(stored, group, hash);
      if (!batch || batch.index !== index) throw this.#damagedInRing(entry.ringPosition);
      if (batches.length === 0 && !wanted.wanted(batch)) continue;
      batches.push(batch);
      bytes += entry.bytes;
      if (bytes >= limit.maxBytes) break;
    }
    return batches;
  }

  /** What is on its way to the disk, copied in this turn: in the next it may be durable, or taken back. */
  #readUnsynced(wanted: Wanted, limit: { belowIndex: number; maxBytes: number; isFirst: boolean }): StoredBatch[] {
    const { group } = this.#log;
    const batches: StoredBatch[] = [];
    let bytes = 0;
    for (const unsynced of this.#unsynced(wanted.key === "index" ? wanted.value : 0)) {
      if (unsynced.index >= limit.belowIndex) break;
      // What is not given need not be copied.
      const mayPass = limit.isFirst && batches.length === 0;
      if (!mayPass && bytes + unsynced.bytes > limit.maxBytes) break;
      if (batches.length === 0 && !wanted.wanted(unsynced)) continue;
      const batch = readBatch(unsynced.copy(), group, this.#context.hash);
      batches.push(present(batch, `batch ${unsynced.index} of group ${group} changed on its way to the disk`));
      bytes += unsynced.bytes;
    }
    return batches;
  }

  /** A file that is gone, or another log's, is not to be read over. */
  #checkOrder(wanted: Wanted, batches: readonly StoredBatch[]): void {
    const { base } = this.#log;
    const first = batches[0]?.index ?? 0;
    // Offsets are dense: none is left out before the first batch.
    if (wanted.key === "baseOffset" && (batches[0]?.baseOffset ?? 0) > Math.max(wanted.value, base.offset)) {
      throw this.#missing(`offset ${wanted.value}`);
    }
    let next = wanted.key === "index" ? Math.max(wanted.value, base.index) : first;
    for (const { index } of batches) {
      if (index !== next) throw this.#missing(`batch ${next}`);
      next += 1;
    }
  }

  #damagedInRing(ringPosition: number): TailraceError {
    const { journal, settings } = this.#context;
    const slot = journal.slotOf(ringPosition);
    return damagedAt(`journal/${slot}`, ringPosition - slot * settings.journalFileBytes, this.#log.group);
  }

  #missing(what: string): TailraceError {
    return missingIn(this.#segments.folder, what, this.#log.group);
  }

  #firstInTail(wanted: Wanted): number {
    const { tail } = this.#log;
    switch (wanted.key) {
      case "index":
        return Math.max(wanted.value, tail.startIndex);
      case "appendTimeMicros":
        return tail.firstAtTime(wanted.value);
      case "baseOffset":
        // The batch that holds the offset begins before it.
        return Math.max(tail.firstAtOffset(wanted.value) - 1, tail.startIndex);
    }
  }
}

function wantedFrom(from: LogReadRequest["from"]): Wanted {
  if ("index" in from) {
    const { index } = from;
    return { key: "index", value: index, wanted: (batch) => batch.index >= index };
  }
  const { offset } = from;
  return {
    key: "baseOffset",
    value: offset,
    wanted: ({ baseOffset, recordCount }) => baseOffset >= offset || baseOffset + recordCount > offset,
  };
}
