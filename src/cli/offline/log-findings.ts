/**
 * What a check has found of a log so far: where its chain of batches has come to, what is damaged on the way, and how much
 * is lost by it. A gap is open from a damage on until something whole comes.
 * @module
 */
import type { StoredBatch } from "../../base/batch.ts";
import { batchBytes } from "../../log/batch-reader.ts";
import type { LogPosition } from "../../log/types.ts";
import type { Finding, Lost } from "./finding.ts";
import { type ChainEnd, endAfter } from "./standing.ts";

/** Where a whole batch stands: a path within the data folder, and a position. */
export interface BatchPlace {
  readonly file: string;
  readonly position: number;
  /** All before it is whole, from the base on. */
  readonly isConnected: boolean;
}

/** Bytes that stand behind the last batch of a sealed segment. */
export interface Excess {
  readonly file: string;
  readonly position: number;
}

/** Who is told of what is whole. */
export interface BatchVisitor {
  /** Called for each batch that is whole, in order; what it gets is good only until it returns. */
  readonly visit?: (batch: StoredBatch, place: BatchPlace) => void;
  /** Told how many more bytes were looked at. */
  readonly progress?: (bytes: number) => void;
}

/** What is missing from a place on, until something whole comes. */
interface Gap {
  /** All before it is whole. */
  readonly isFirst: boolean;
  readonly from: { readonly index: number; readonly offset: number };
  readonly finding: Finding & { lost?: Lost };
}

/** See the module's description. */
export class LogFindings {
  readonly all: Finding[] = [];
  /** What is whole, wherever it stands. */
  readonly counts = { batches: 0, records: 0, bytes: 0 };
  readonly excess: Excess[] = [];
  /** Where the chain has come to. */
  end: ChainEnd;
  /** Where it ended as long as all was whole, from the base on; `undefined`: its first batch is not. */
  wholeEnd: LogPosition | undefined;
  readonly #group: number;
  readonly #visitor: BatchVisitor;
  #isWhole = true;
  #gap: Gap | undefined;

  constructor(group: number, start: ChainEnd, visitor: BatchVisitor) {
    this.#group = group;
    this.end = start;
    this.#visitor = visitor;
  }

  /** All is whole so far. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Something is missing, and nothing whole came after it yet. */
  get isInGap(): boolean {
    return this.#gap !== undefined;
  }

  /** Takes the next batch that is whole. */
  take(batch: StoredBatch, file: string, position: number): void {
    this.closeGap({ index: batch.index, offset: batch.baseOffset });
    this.#visitor.visit?.(batch, { file, position, isConnected: this.#isWhole });
    this.counts.batches += 1;
    this.counts.records += batch.recordCount;
    this.counts.bytes += batchBytes(batch);
    this.#visitor.progress?.(batchBytes(batch));
    const end = endAfter(batch);
    this.end = end;
    if (this.#isWhole) this.wholeEnd = end;
  }

  /** Something is damaged here. */
  damage(file: string, position: number, what: string): void {
    const finding = { kind: "damage" as const, file, position, group: this.#group, what };
    this.all.push(finding);
    this.#gap ??= { isFirst: this.#isWhole, finding, from: { index: this.end.index, offset: this.end.offset } };
    this.#isWhole = false;
  }

  /** Something is not as it would be after a clean stop, and no damage. */
  note(kind: "crash" | "note", file: string, position: number, what: string): void {
    this.all.push({ kind, file, position, group: this.#group, what });
  }

  /** Something whole is here again: what is lost is known. */
  closeGap(at: { readonly index: number; readonly offset: number }): void {
    if (!this.#gap) return;
    const { finding, from, isFirst } = this.#gap;
    this.#gap = undefined;
    if (at.index <= from.index) {
      // Nothing is missing: what is bad stands behind the last batch of its file, and the next file goes on from there.
      this.#isWhole = isFirst && this.end.digest !== undefined;
      if (this.#isWhole) this.excess.push({ file: finding.file, position: finding.position });
      return;
    }
    finding.lost = { firstIndex: from.index, endIndex: at.index, firstOffset: from.offset, endOffset: at.offset };
  }

  /** What is lost by the last damage, if anything, can't be told. */
  forgetGap(): void {
    this.#gap = undefined;
  }
}
