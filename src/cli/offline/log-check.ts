/**
 * Looks at one log as a start would, and further: all of its batches from the base on, not only those above its mark.
 * - Below the mark every batch must follow the one before it. Where one does not, the rest is looked at for all that, to
 *   tell what is lost from what is whole behind it.
 * - Above it the first that does not follow ends the segments, which is what a crash leaves.
 * - Then come the batches that only the journal has.
 * @module
 */
import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { sameBytes } from "../../base/bytes.ts";
import type { DiskFile, DiskReads } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { batchBytes } from "../../log/batch-reader.ts";
import { batchBeyond, batchFarBeyond } from "../../log/damage-search.ts";
import { FileWindow } from "../../log/file-window.ts";
import { parseSegmentName, segmentName } from "../../log/format.ts";
import type { Mark } from "../../log/group-state.ts";
import { SegmentIndex } from "../../log/segment-index.ts";
import type { LogPosition } from "../../log/types.ts";
import type { Finding, Lost } from "./finding.ts";
import { findingOfIndex } from "./index-check.ts";
import type { KnownLog } from "./known-log.ts";
import { type ChainEnd, endAfter, type Standing, standingAt, whyNotAfter } from "./standing.ts";

/** Segments are read in pieces of this. */
const pieceBytes = 1 << 20;

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

/** What a check stands on. */
export interface CheckContext {
  readonly disk: DiskReads;
  readonly hash: Hash;
  /** The data folder, absolute. */
  readonly path: string;
  /** The last stop was clean: nothing beyond marks counts. */
  readonly isClean: boolean;
  /** Called for each batch that is whole, in order; what it gets is good only until it returns. */
  readonly visit?: (batch: StoredBatch, place: BatchPlace) => void;
  /** Told how many more bytes were looked at. */
  readonly progress?: (bytes: number) => void;
}

/** What was found of a log. */
export interface CheckedLog {
  readonly known: KnownLog;
  readonly findings: readonly Finding[];
  /** What is whole, wherever it stands. */
  readonly batches: number;
  readonly records: number;
  readonly bytes: number;
  /** Of those, batches that only the journal has. */
  readonly tailBatches: number;
  readonly segments: readonly { readonly firstIndex: number; readonly sizeBytes: number }[];
  /** Where what is whole from the base on ends; `undefined`: its first batch is lost. */
  readonly end: LogPosition | undefined;
  /** The same in its segments: the end of the batches below `end` there; `undefined`: none of them is in a segment. */
  readonly inSegments: Mark | undefined;
  /** Where it ended before anything was lost, as far as mark, segments and journal tell. */
  readonly knownEnd: { readonly index: number; readonly offset: number };
  readonly excess: readonly Excess[];
}

/** @throws {DataFolderError} Something was written by a newer version. */
export async function checkLog(known: KnownLog, context: CheckContext): Promise<CheckedLog> {
  return await new LogCheck(known, context).run();
}

/** What is missing from a place on, until something whole comes. */
interface Gap {
  /** All before it is whole. */
  readonly isFirst: boolean;
  readonly from: { readonly index: number; readonly offset: number };
  readonly finding: Finding & { lost?: Lost };
}

class LogCheck {
  readonly #known: KnownLog;
  readonly #context: CheckContext;
  readonly #folder: string;
  readonly #findings: (Finding & { lost?: Lost })[] = [];
  readonly #segments: { firstIndex: number; sizeBytes: number }[] = [];
  readonly #counts = { batches: 0, records: 0, bytes: 0, tailBatches: 0 };
  #files: number[] = [];
  #end: ChainEnd;
  #gap: Gap | undefined;
  #isWhole = true;
  #wholeEnd: LogPosition | undefined;
  #wholeInSegments: Mark | undefined;
  readonly #excess: Excess[] = [];

  constructor(known: KnownLog, context: CheckContext) {
    const { base } = known;
    this.#known = known;
    this.#context = context;
    this.#folder = `groups/${known.group}/${known.logNumber}`;
    const start = { index: base.index, offset: base.offset, appendTimeMicros: 0, term: 0 };
    // The first checkpoint says what came before it; before batch 0 nothing did.
    this.#end = { ...start, digest: base.index === 0 ? new Uint8Array(32) : undefined };
  }

  async run(): Promise<CheckedLog> {
    const { disk, path } = this.#context;
    const names = (await disk.list(`${path}/${this.#folder}`)) ?? [];
    const indexes = names.map(parseSegmentName).filter((index) => index !== undefined);
    this.#files = indexes.sort((a, b) => a - b);
    let next: number | undefined = this.#known.base.index;
    while (next !== undefined) next = await this.#segment(next);
    await this.#tail();
    this.#closeGap(this.#known.mark.end);
    const { known } = this;
    return {
      ...{ known, findings: this.#findings, ...this.#counts, segments: this.#segments },
      ...{ end: this.#wholeEnd, inSegments: this.#wholeInSegments, excess: this.#excess },
      knownEnd: { index: this.#end.index, offset: this.#end.offset },
    };
  }

  get known(): KnownLog {
    return this.#known;
  }

  /** Looks at the segment that begins at `first`; gives the next one's first index, `undefined`: segments end. */
  async #segment(first: number): Promise<number | undefined> {
    const { disk, path } = this.#context;
    const name = `${this.#folder}/${segmentName(first)}`;
    const file = await disk.open(`${path}/${name}`, { create: false });
    if (!file) {
      if (this.#isAboveMark) return undefined;
      this.#damage(name, 0, "the file is missing");
      return this.#fileAfter(first);
    }
    try {
      const sizeBytes = await file.size();
      const index = new SegmentIndex();
      const next = await this.#batches({ file, name, first, sizeBytes, index });
      const finding = await findingOfIndex(this.#context, { name, group: this.#known.group, first, sizeBytes }, index);
      if (finding) this.#findings.push(finding);
      return next;
    } finally {
      await file.close();
    }
  }

  async #batches(segment: SegmentFile): Promise<number | undefined> {
    const { hash, isClean } = this.#context;
    const { file, name, first, sizeBytes, index } = segment;
    const { mark, group, isCutOpen } = this.#known;
    const window = new FileWindow(file, sizeBytes, pieceBytes);
    const listed = { firstIndex: first, sizeBytes: 0 };
    this.#segments.push(listed);
    for (let position = 0; ; ) {
      if (this.#end.index === mark.end.index && mark.segment === first) this.#checkMark(name, position);
      if (position >= sizeBytes) return this.#ended(segment);
      if (this.#isAboveMark && (isClean || isCutOpen)) {
        const what = `${sizeBytes - position} bytes beyond the end, which count for nothing`;
        this.#findings.push({ kind: isCutOpen ? "crash" : "note", file: name, position, group, what });
        return undefined;
      }
      const standing = await standingAt(window, position, { group, sizeBytes, hash });
      const why = standing.batch ? await this.#whyNot(standing.batch, first, position) : standing.why;
      if (standing.batch && why === undefined) {
        const { batch } = standing;
        const { baseOffset, appendTimeMicros } = batch;
        const isControl = batch.kind !== BatchKind.records;
        index.add({ baseOffset, index: batch.index, appendTimeMicros, position, isControl });
        this.#take(batch, name, position);
        position += batchBytes(batch);
        listed.sizeBytes = position;
        if (this.#isWhole) {
          this.#wholeInSegments = { end: endAfter(batch), segment: first, position, commitIndex: mark.commitIndex };
        }
        continue;
      }
      let limit = first === mark.segment ? Math.min(mark.position, sizeBytes) : sizeBytes;
      if (this.#isAboveMark) {
        if (!(await this.#isFarFromEnd(segment, position))) return this.#torn(segment, position, why ?? "");
        limit = sizeBytes;
      }
      this.#damage(name, position, why ?? "");
      const on = await this.#placeBehind(segment.file, { position, limit }, standing);
      if (on === undefined) return this.#fileAfter(first);
      position = on;
    }
  }

  /** All bytes of a segment were looked at. */
  #ended({ name, first, sizeBytes }: SegmentFile): number | undefined {
    const { mark, group } = this.#known;
    if (this.#isAboveMark) {
      if (this.#end.index > first) return this.#end.index;
      const what = "an empty segment, which was never begun";
      this.#findings.push({ kind: "crash", file: name, position: 0, group, what });
      return undefined;
    }
    if (first === mark.segment) {
      this.#damage(name, sizeBytes, `the file ends here, and ${mark.position} bytes were synced`);
      return this.#fileAfter(first);
    }
    if (this.#end.index > first && this.#end.digest) return this.#end.index;
    if (this.#gap) return this.#fileAfter(first);
    this.#damage(name, 0, "the file is empty");
    return this.#fileAfter(first);
  }

  /** Whether a whole batch stands further behind a bad one than a crash explains. */
  async #isFarFromEnd({ file, sizeBytes }: SegmentFile, position: number): Promise<boolean> {
    const { index, term } = this.#end;
    const broken = { group: this.#known.group, end: { index, term }, position, sizeBytes };
    return (await batchFarBeyond(file, this.#context.hash, broken)) !== undefined;
  }

  /** Above the mark the first batch that does not follow ends the file; gives the first index of the next one. */
  #torn({ name, first, sizeBytes }: SegmentFile, position: number, why: string): number | undefined {
    const { group } = this.#known;
    const what = `${sizeBytes - position} bytes of a write that was cut short: ${why}`;
    this.#findings.push({ kind: "crash", file: name, position, group, what });
    return this.#end.index > first ? this.#end.index : undefined;
  }

  /** Where something whole goes on behind a bad place; `undefined`: nowhere below `limit` in this file. */
  async #placeBehind(
    file: DiskFile,
    { position, limit }: { position: number; limit: number },
    standing: Standing,
  ): Promise<number | undefined> {
    const { group } = this.#known;
    const header = standing.batch ?? standing.header;
    const end = this.#end;
    if (header && header.index === end.index && header.baseOffset === end.offset && header.term >= end.term) {
      const next = position + batchBytes(header);
      if (next <= limit) {
        // Its header is whole: the next one is at its place, and the digest that it must follow is known.
        this.#end = endAfter(header);
        return next;
      }
    }
    const broken = { group, end: { index: end.index, term: end.term }, position, sizeBytes: limit };
    const found = await batchBeyond(file, this.#context.hash, broken, position + 1);
    if (found !== undefined) this.#end = { ...end, digest: undefined };
    return found;
  }

  /** The segment to go on with when the one that begins at `first` has no more; what the mark tells ends the gap. */
  #fileAfter(first: number): number | undefined {
    const { mark } = this.#known;
    const next = this.#files.find((index) => index > first && index >= this.#end.index && index <= mark.segment);
    if (next !== undefined) {
      // Where the next file is the one that follows, what is bad may stand behind the last batch only.
      if (next !== this.#end.index) this.#end = { ...this.#end, digest: undefined };
      return next;
    }
    this.#closeGap(mark.end);
    this.#end = mark.end;
    return this.#files.includes(mark.end.index) ? mark.end.index : undefined;
  }

  /** The batches that only the journal has. */
  async #tail(): Promise<void> {
    const { journaled, group } = this.#known;
    while (this.#end.index < journaled.endIndex) {
      const there = await journaled.at(this.#end.index);
      const whys = there.map(({ batch }) => whyNotAfter(this.#end, batch, this.#context.hash));
      const next = there.find((_, i) => whys[i] === undefined);
      if (next) {
        this.#take(next.batch, next.file, next.position);
        this.#counts.tailBatches += 1;
        continue;
      }
      const [first] = there;
      const why = first ? (whys[0] ?? "") : `batch ${this.#end.index} is neither in a segment nor in the journal`;
      this.#damage(first?.file ?? "journal", first?.position ?? 0, why);
      await this.#skipTo(first ? this.#end.index + 1 : this.#end.index, group);
    }
  }

  /** Goes on with the first batch from `index` on that the journal has. */
  async #skipTo(index: number, group: number): Promise<void> {
    const { journaled } = this.#known;
    for (let next = index; next < journaled.endIndex; next++) {
      const [found] = await journaled.at(next);
      if (!found || found.batch.group !== group) continue;
      this.#end = { ...this.#end, index: next, digest: undefined };
      return;
    }
    this.#end = { ...this.#end, index: journaled.endIndex, digest: undefined };
  }

  /** Why a batch of a segment is not the next one. */
  async #whyNot(batch: StoredBatch, first: number, position: number): Promise<string | undefined> {
    const isCheckpoint = batch.kind === BatchKind.checkpoint;
    if (isCheckpoint !== (position === 0)) {
      return isCheckpoint ? "a checkpoint stands within the segment" : "the segment does not begin with a checkpoint";
    }
    if (position === 0 && batch.index !== first) return `batch ${batch.index} begins a file that is named for ${first}`;
    const { base } = this.#known;
    if (batch.index === base.index && batch.baseOffset !== base.offset) {
      return `the log begins at offset ${batch.baseOffset}, and the journal says ${base.offset}`;
    }
    const why = whyNotAfter(this.#end, batch, this.#context.hash);
    if (why !== undefined || !this.#isAboveMark) return why;
    const journaled = await this.#known.journaled.at(batch.index);
    const isOther = journaled.length > 0 && journaled.every((other) => !sameBytes(other.batch.digest, batch.digest));
    return isOther ? `the journal has another batch ${batch.index}` : undefined;
  }

  #checkMark(file: string, position: number): void {
    const { mark } = this.#known;
    const { end } = mark;
    if (this.#gap) {
      if (position !== mark.position) return;
      this.#closeGap(end);
      this.#end = end;
      return;
    }
    if (end.index === this.#known.base.index) return;
    const { digest, offset, term, appendTimeMicros } = this.#end;
    const isSame = digest !== undefined && sameBytes(digest, end.digest);
    if (isSame && position === mark.position && offset === end.offset && term === end.term) {
      if (appendTimeMicros === end.appendTimeMicros) return;
    }
    this.#damage(file, position, `the journal's mark tells of other batches below ${end.index}`);
    this.#gap = undefined;
  }

  get #isAboveMark(): boolean {
    return this.#end.index >= this.#known.mark.end.index && this.#gap === undefined;
  }

  #take(batch: StoredBatch, file: string, position: number): void {
    this.#closeGap({ index: batch.index, offset: batch.baseOffset });
    this.#context.visit?.(batch, { file, position, isConnected: this.#isWhole });
    this.#counts.batches += 1;
    this.#counts.records += batch.recordCount;
    this.#counts.bytes += batchBytes(batch);
    this.#context.progress?.(batchBytes(batch));
    const end = endAfter(batch);
    this.#end = end;
    if (this.#isWhole) this.#wholeEnd = end;
  }

  #damage(file: string, position: number, what: string): void {
    const finding = { kind: "damage" as const, file, position, group: this.#known.group, what };
    this.#findings.push(finding);
    this.#gap ??= { isFirst: this.#isWhole, finding, from: { index: this.#end.index, offset: this.#end.offset } };
    this.#isWhole = false;
  }

  #closeGap(at: { readonly index: number; readonly offset: number }): void {
    if (!this.#gap) return;
    const { finding, from, isFirst } = this.#gap;
    this.#gap = undefined;
    if (at.index <= from.index) {
      // Nothing is missing: what is bad stands behind the last batch of its file, and the next file goes on from there.
      this.#isWhole = isFirst && this.#end.digest !== undefined;
      if (this.#isWhole) this.#excess.push({ file: finding.file, position: finding.position });
      return;
    }
    finding.lost = { firstIndex: from.index, endIndex: at.index, firstOffset: from.offset, endOffset: at.offset };
  }
}

interface SegmentFile {
  readonly file: DiskFile;
  /** Path within the data folder. */
  readonly name: string;
  readonly first: number;
  readonly sizeBytes: number;
  readonly index: SegmentIndex;
}
