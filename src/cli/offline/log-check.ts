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
import type { Finding } from "./finding.ts";
import { findingOfIndex } from "./index-check.ts";
import type { KnownLog } from "./known-log.ts";
import { type BatchVisitor, type Excess, LogFindings } from "./log-findings.ts";
import { endAfter, type Standing, standingAt, whyNotAfter } from "./standing.ts";

/** Segments are read in pieces of this. */
const pieceBytes = 1 << 20;

/** What a check stands on. */
export interface CheckContext extends BatchVisitor {
  readonly disk: DiskReads;
  readonly hash: Hash;
  /** The data folder, absolute. */
  readonly path: string;
  /** The last stop was clean: nothing beyond marks counts. */
  readonly isClean: boolean;
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

class LogCheck {
  readonly #known: KnownLog;
  readonly #context: CheckContext;
  readonly #folder: string;
  readonly #segments: { firstIndex: number; sizeBytes: number }[] = [];
  readonly #found: LogFindings;
  #files: number[] = [];
  #wholeInSegments: Mark | undefined;
  #tailBatches = 0;

  constructor(known: KnownLog, context: CheckContext) {
    const { base } = known;
    this.#known = known;
    this.#context = context;
    this.#folder = `groups/${known.group}/${known.logNumber}`;
    const start = { index: base.index, offset: base.offset, appendTimeMicros: 0, term: 0 };
    // The first checkpoint says what came before it; before batch 0 nothing did.
    const digest = base.index === 0 ? new Uint8Array(32) : undefined;
    this.#found = new LogFindings(known.group, { ...start, digest }, context);
  }

  async run(): Promise<CheckedLog> {
    const { disk, path } = this.#context;
    const names = (await disk.list(`${path}/${this.#folder}`)) ?? [];
    const indexes = names.map(parseSegmentName).filter((index) => index !== undefined);
    this.#files = indexes.sort((a, b) => a - b);
    let next: number | undefined = this.#known.base.index;
    while (next !== undefined) next = await this.#segment(next);
    await this.#tail();
    this.#found.closeGap(this.#known.mark.end);
    const { all, counts, wholeEnd, excess, end } = this.#found;
    return {
      ...{ known: this.#known, findings: all, ...counts, tailBatches: this.#tailBatches, segments: this.#segments },
      ...{ end: wholeEnd, inSegments: this.#wholeInSegments, excess },
      knownEnd: { index: end.index, offset: end.offset },
    };
  }

  /** Looks at the segment that begins at `first`; gives the next one's first index, `undefined`: segments end. */
  async #segment(first: number): Promise<number | undefined> {
    const { disk, path } = this.#context;
    const name = `${this.#folder}/${segmentName(first)}`;
    const file = await disk.open(`${path}/${name}`, { create: false });
    if (!file) {
      if (this.#isAboveMark) return undefined;
      this.#found.damage(name, 0, "the file is missing");
      return this.#fileAfter(first);
    }
    try {
      const sizeBytes = await file.size();
      const index = new SegmentIndex();
      const next = await this.#batches({ file, name, first, sizeBytes, index });
      const finding = await findingOfIndex(this.#context, { name, group: this.#known.group, first, sizeBytes }, index);
      if (finding) this.#found.all.push(finding);
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
      if (this.#found.end.index === mark.end.index && mark.segment === first) this.#checkMark(name, position);
      if (position >= sizeBytes) return this.#ended(segment);
      if (this.#isAboveMark && (isClean || isCutOpen)) {
        const what = `${sizeBytes - position} bytes beyond the end, which count for nothing`;
        this.#found.note(isCutOpen ? "crash" : "note", name, position, what);
        return undefined;
      }
      const standing = await standingAt(window, position, { group, sizeBytes, hash });
      const why = standing.batch ? await this.#whyNot(standing.batch, first, position) : standing.why;
      if (standing.batch && why === undefined) {
        const { batch } = standing;
        const { baseOffset, appendTimeMicros } = batch;
        const isControl = batch.kind !== BatchKind.records;
        index.add({ baseOffset, index: batch.index, appendTimeMicros, position, isControl });
        this.#found.take(batch, name, position);
        position += batchBytes(batch);
        listed.sizeBytes = position;
        if (this.#found.isWhole) {
          this.#wholeInSegments = { end: endAfter(batch), segment: first, position, commitIndex: mark.commitIndex };
        }
        continue;
      }
      let limit = first === mark.segment ? Math.min(mark.position, sizeBytes) : sizeBytes;
      if (this.#isAboveMark) {
        if (!(await this.#isFarFromEnd(segment, position))) return this.#torn(segment, position, why ?? "");
        limit = sizeBytes;
      }
      this.#found.damage(name, position, why ?? "");
      const on = await this.#placeBehind(segment.file, { position, limit }, standing);
      if (on === undefined) return this.#fileAfter(first);
      position = on;
    }
  }

  /** All bytes of a segment were looked at. */
  #ended({ name, first, sizeBytes }: SegmentFile): number | undefined {
    const { mark } = this.#known;
    if (this.#isAboveMark) {
      if (this.#found.end.index > first) return this.#found.end.index;
      const what = "an empty segment, which was never begun";
      this.#found.note("crash", name, 0, what);
      return undefined;
    }
    if (first === mark.segment) {
      this.#found.damage(name, sizeBytes, `the file ends here, and ${mark.position} bytes were synced`);
      return this.#fileAfter(first);
    }
    if (this.#found.end.index > first && this.#found.end.digest) return this.#found.end.index;
    if (this.#found.isInGap) return this.#fileAfter(first);
    this.#found.damage(name, 0, "the file is empty");
    return this.#fileAfter(first);
  }

  /** Whether a whole batch stands further behind a bad one than a crash explains. */
  async #isFarFromEnd({ file, sizeBytes }: SegmentFile, position: number): Promise<boolean> {
    const { index, term } = this.#found.end;
    const broken = { group: this.#known.group, end: { index, term }, position, sizeBytes };
    return (await batchFarBeyond(file, this.#context.hash, broken)) !== undefined;
  }

  /** Above the mark the first batch that does not follow ends the file; gives the first index of the next one. */
  #torn({ name, first, sizeBytes }: SegmentFile, position: number, why: string): number | undefined {
    const what = `${sizeBytes - position} bytes of a write that was cut short: ${why}`;
    this.#found.note("crash", name, position, what);
    return this.#found.end.index > first ? this.#found.end.index : undefined;
  }

  /** Where something whole goes on behind a bad place; `undefined`: nowhere below `limit` in this file. */
  async #placeBehind(
    file: DiskFile,
    { position, limit }: { position: number; limit: number },
    standing: Standing,
  ): Promise<number | undefined> {
    const { group } = this.#known;
    const header = standing.batch ?? standing.header;
    const end = this.#found.end;
    if (header && header.index === end.index && header.baseOffset === end.offset && header.term >= end.term) {
      const next = position + batchBytes(header);
      if (next <= limit) {
        // Its header is whole: the next one is at its place, and the digest that it must follow is known.
        this.#found.end = endAfter(header);
        return next;
      }
    }
    const broken = { group, end: { index: end.index, term: end.term }, position, sizeBytes: limit };
    const found = await batchBeyond(file, this.#context.hash, broken, position + 1);
    if (found !== undefined) this.#found.end = { ...end, digest: undefined };
    return found;
  }

  /** The segment to go on with when the one that begins at `first` has no more; what the mark tells ends the gap. */
  #fileAfter(first: number): number | undefined {
    const { mark } = this.#known;
    const next = this.#files.find((index) => index > first && index >= this.#found.end.index && index <= mark.segment);
    if (next !== undefined) {
      // Where the next file is the one that follows, what is bad may stand behind the last batch only.
      if (next !== this.#found.end.index) this.#found.end = { ...this.#found.end, digest: undefined };
      return next;
    }
    this.#found.closeGap(mark.end);
    this.#found.end = mark.end;
    return this.#files.includes(mark.end.index) ? mark.end.index : undefined;
  }

  /** The batches that only the journal has. */
  async #tail(): Promise<void> {
    const { journaled, group } = this.#known;
    while (this.#found.end.index < journaled.endIndex) {
      const there = await journaled.at(this.#found.end.index);
      const whys = there.map(({ batch }) => whyNotAfter(this.#found.end, batch, this.#context.hash));
      const next = there.find((_, i) => whys[i] === undefined);
      if (next) {
        this.#found.take(next.batch, next.file, next.position);
        this.#tailBatches += 1;
        continue;
      }
      const [first] = there;
      const why = first ? (whys[0] ?? "") : `batch ${this.#found.end.index} is neither in a segment nor in the journal`;
      this.#found.damage(first?.file ?? "journal", first?.position ?? 0, why);
      await this.#skipTo(first ? this.#found.end.index + 1 : this.#found.end.index, group);
    }
  }

  /** Goes on with the first batch from `index` on that the journal has. */
  async #skipTo(index: number, group: number): Promise<void> {
    const { journaled } = this.#known;
    for (let next = index; next < journaled.endIndex; next++) {
      const [found] = await journaled.at(next);
      if (!found || found.batch.group !== group) continue;
      this.#found.end = { ...this.#found.end, index: next, digest: undefined };
      return;
    }
    this.#found.end = { ...this.#found.end, index: journaled.endIndex, digest: undefined };
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
    const why = whyNotAfter(this.#found.end, batch, this.#context.hash);
    if (why !== undefined || !this.#isAboveMark) return why;
    const journaled = await this.#known.journaled.at(batch.index);
    const isOther = journaled.length > 0 && journaled.every((other) => !sameBytes(other.batch.digest, batch.digest));
    return isOther ? `the journal has another batch ${batch.index}` : undefined;
  }

  #checkMark(file: string, position: number): void {
    const { mark } = this.#known;
    const { end } = mark;
    if (this.#found.isInGap) {
      if (position !== mark.position) return;
      this.#found.closeGap(end);
      this.#found.end = end;
      return;
    }
    if (end.index === this.#known.base.index) return;
    const { digest, offset, term, appendTimeMicros } = this.#found.end;
    const isSame = digest !== undefined && sameBytes(digest, end.digest);
    if (isSame && position === mark.position && offset === end.offset && term === end.term) {
      if (appendTimeMicros === end.appendTimeMicros) return;
    }
    this.#found.damage(file, position, `the journal's mark tells of other batches below ${end.index}`);
    this.#found.forgetGap();
  }

  get #isAboveMark(): boolean {
    return this.#found.end.index >= this.#known.mark.end.index && !this.#found.isInGap;
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
