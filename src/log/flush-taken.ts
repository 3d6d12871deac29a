/**
 * What a flush takes to its segment, and what its batches' headers say of it.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { getU64, viewOf } from "../base/bytes.ts";
import { batchHeader, digestBytes } from "./format.ts";
import type { Mark } from "./group-state.ts";
import type { LogState } from "./log-state.ts";
import type { IndexedBatch } from "./segment-index.ts";

/** Batches that go to the segment at once: the bytes of each, one after the other. */
export interface DirectRound {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
  readonly batches: number;
  /** They are durable. */
  written(): void;
}

/** All of it. */
export interface Taken {
  readonly startIndex: number;
  readonly position: number;
  readonly parts: readonly Uint8Array[];
  readonly round: DirectRound | undefined;
  /** Its batches, for the segment's index. */
  readonly index: readonly IndexedBatch[];
  /** The log's mark once it is written. */
  readonly mark: Mark;
}

/** The header of each batch in bytes that hold batches only. */
function* headersIn(bytes: Uint8Array): Generator<{ view: DataView; header: Uint8Array }> {
  for (let at = 0; at < bytes.length; ) {
    const header = bytes.subarray(at, at + batchHeader.bytes);
    const view = viewOf(header);
    yield { view, header };
    at += batchHeader.bytes + view.getUint32(batchHeader.payloadBytesAt, true);
  }
}

/** The headers of a round: each is a part of its own, before its payload. */
function* roundHeaders(round: DirectRound | undefined): Generator<{ view: DataView; header: Uint8Array }> {
  for (let i = 0; round && i < round.parts.length; i += 2) {
    const header = present(round.parts[i], "a round's part is missing");
    yield { view: viewOf(header), header };
  }
}

/**
 * What a flush writes: batches of the tail, and behind them a round, from `startIndex` on.
 * @param place Where in which segment it begins, and where it ends.
 */
export function takenOf(
  log: LogState,
  startIndex: number,
  { tailBytes, round }: { tailBytes: Uint8Array; round: DirectRound | undefined },
  place: { segment: number; position: number; endPosition: number },
): Taken {
  const parts = tailBytes.length > 0 ? [tailBytes, ...(round?.parts ?? [])] : (round?.parts ?? []);
  const headers = [...headersIn(tailBytes), ...roundHeaders(round)];
  return { startIndex, position: place.position, parts, round, ...describe(startIndex, headers, place, log) };
}

function describe(
  startIndex: number,
  headers: readonly { view: DataView; header: Uint8Array }[],
  { segment, position, endPosition }: { segment: number; position: number; endPosition: number },
  log: LogState,
): { index: IndexedBatch[]; mark: Mark } {
  const index: IndexedBatch[] = [];
  let at = position;
  let expected = startIndex;
  for (const { view } of headers) {
    const here = getU64(view, batchHeader.indexAt);
    assert(here === expected, `batch ${here} of group ${log.group} is flushed where ${expected} is due`);
    expected += 1;
    index.push({
      baseOffset: getU64(view, batchHeader.baseOffsetAt),
      index: here,
      appendTimeMicros: getU64(view, batchHeader.appendTimeAt),
      position: at,
      isControl: view.getUint8(batchHeader.kindAt) !== BatchKind.records,
    });
    at += batchHeader.bytes + view.getUint32(batchHeader.payloadBytesAt, true);
  }
  const last = present(headers.at(-1), "a flush without a batch");
  const end = {
    index: getU64(last.view, batchHeader.indexAt) + 1,
    offset: getU64(last.view, batchHeader.baseOffsetAt) + last.view.getUint32(batchHeader.offsetSpanAt, true),
    appendTimeMicros: getU64(last.view, batchHeader.appendTimeAt),
    term: getU64(last.view, batchHeader.termAt),
    digest: last.header.slice(batchHeader.digestAt, batchHeader.digestAt + digestBytes),
  };
  return { index, mark: { end, segment, position: endPosition, commitIndex: log.flushed.commitIndex } };
}
