/**
 * One segment: a file of whole batches, and the sparse index that finds them.
 * - Batches touch: each one's index is the last one's plus 1.
 * - Bytes below `sizeBytes` are whole and synced; what stands beyond is nobody's.
 * - The index points only at first bytes of batches. Losing it costs a scan, never data.
 * Elsewhere: which segment holds an offset (`segments.ts`), what is written when (`flush.ts`).
 * @module
 */
import { type BatchHeader, BatchKind, type StoredBatch } from "../base/batch.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { Disk, DiskFile } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { batchBytes, readBatch, readHeader } from "./batch-reader.ts";
import type { FileHandles } from "./file-handles.ts";
import { batchHeader, inDataFolder, indexFile, indexName, segmentName } from "./format.ts";
import { type IndexedBatch, type IndexKey, SegmentIndex } from "./segment-index.ts";

/** What a segment needs of its surroundings. */
export interface SegmentContext {
  readonly disk: Disk;
  readonly handles: FileHandles;
  readonly hash: Hash;
  /** Told of each index that is in memory, so that all together keep a budget. */
  readonly indexes: { touch(segment: Segment, memoryBytes: number): void; drop(segment: Segment): void };
}

/** Where a segment's batches end, and the index after the last one. */
export interface SegmentEnd {
  readonly position: number;
  readonly nextIndex: number;
}

const scanBytes = 1 << 20;
/** How often an index is made that falls short, before that is called damage. */
const loadsMax = 3;

/** One segment of a log. */
export class Segment {
  readonly group: number;
  readonly firstIndex: number;
  readonly path: string;
  readonly #folder: string;
  readonly #context: SegmentContext;
  #sizeBytes: number;
  #index: SegmentIndex | undefined;
  #loading: Promise<SegmentIndex> | undefined;
  #first: BatchHeader | undefined;
  #indexChanged = false;
  /** So many bytes are known to its index: fewer than there are where one is damaged. */
  #indexedBytes = 0;
  /** It is none of its log's any more; who reads it still may end with an error. */
  #isGone = false;
  /** Told from sealed ones, whose indexes may leave memory. */
  active = true;

  constructor(
    folder: string,
    options: { group: number; firstIndex: number; sizeBytes: number },
    context: SegmentContext,
  ) {
    this.group = options.group;
    this.firstIndex = options.firstIndex;
    this.#sizeBytes = options.sizeBytes;
    this.#folder = folder;
    this.path = `${folder}/${segmentName(options.firstIndex)}`;
    this.#context = context;
    // One that begins now is known from its first byte on.
    if (options.sizeBytes === 0) this.#index = new SegmentIndex();
  }

  /** Bytes of its batches. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether its index is in memory and has more than its file. */
  get indexChanged(): boolean {
    return this.#indexChanged;
  }

  /** These batches were written behind what is there, and synced. */
  grow(batches: Iterable<IndexedBatch>, sizeBytes: number): void {
    const isIndexed = this.#indexedBytes === this.#sizeBytes;
    this.#sizeBytes = sizeBytes;
    if (!this.#index) return;
    this.#indexChanged = true;
    for (const batch of batches) this.#index.add(batch);
    if (isIndexed) this.#indexedBytes = sizeBytes;
  }

  /** Header of its first batch, a checkpoint. */
  async first(): Promise<BatchHeader> {
    this.#first ??= await this.#withFile(async (file) => {
      const bytes = new Uint8Array(batchHeader.bytes);
      await file.read(bytes, 0);
      return readHeader(bytes, this.group, this.#context.hash) ?? this.#damaged(0);
    });
    return this.#first;
  }

  /**
   * Reads batches from the first one on that `wanted` accepts, in order, up to what is damaged. `end`: it came to the end
   * of the segment, which was there.
   * @param from Where to look it up: all batches before it have a smaller `key` than `value`.
   * @throws {TailraceError} `damaged`: where the first one should stand is no whole batch of this log.
   */
  async read(
    from: { key: IndexKey; value: number },
    wanted: (header: BatchHeader) => boolean,
    limit: { belowIndex: number; maxBytes: number },
  ): Promise<{ batches: StoredBatch[]; end?: SegmentEnd }> {
    const position = (await this.index()).positionBelow(from.key, from.value);
    const batches: StoredBatch[] = [];
    try {
      const end = await this.#withFile((file) => this.#readInto(batches, file, position, { ...limit, wanted }));
      return end ? { batches, end } : { batches };
    } catch (error) {
      if (batches.length === 0 || !isDamage(error)) throw error;
      return { batches };
    }
  }

  async #readInto(
    batches: StoredBatch[],
    file: DiskFile,
    from: number,
    limit: { belowIndex: number; maxBytes: number; wanted: (header: BatchHeader) => boolean },
  ): Promise<SegmentEnd | undefined> {
    let position = from;
    let bytes = 0;
    let nextIndex = this.firstIndex;
    while (position < this.#sizeBytes) {
      const wantedBytes = Math.min(limit.maxBytes - bytes, scanBytes * 4) + 2 * indexFile.interval;
      const chunk = await this.#chunk(file, position, wantedBytes);
      let at = 0;
      while (at < chunk.length) {
        const rest = chunk.subarray(at);
        const header = this.#headerIn(rest, position + at);
        if (!header) break;
        if (header.index >= limit.belowIndex) return undefined;
        const length = batchBytes(header);
        const take = batches.length > 0 || limit.wanted(header);
        if (take && batches.length > 0 && bytes + length > limit.maxBytes) return undefined;
        if (take) {
          if (rest.length < length) break;
          batches.push(readBatch(rest, this.group, this.#context.hash) ?? this.#damaged(position + at));
          bytes += length;
          if (bytes >= limit.maxBytes) return undefined;
        }
        at += length;
        nextIndex = header.index + 1;
      }
      position += at;
      if (at > 0) continue;
      // A chunk that held not even one whole batch was too short for it: take all of that batch.
      const header = this.#headerIn(chunk, position) ?? this.#damaged(position);
      const whole = await this.#chunk(file, position, batchBytes(header));
      if (batches.length > 0 && bytes + whole.length > limit.maxBytes) return undefined;
      batches.push(readBatch(whole, this.group, this.#context.hash) ?? this.#damaged(position));
      bytes += whole.length;
      if (bytes >= limit.maxBytes) return undefined;
      position += whole.length;
      nextIndex = header.index + 1;
    }
    return { position, nextIndex };
  }

  /** Indexes of its control batches. @throws {TailraceError} `damaged`: there may be others. */
  async controls(): Promise<readonly number[]> {
    for (let time = 1; ; time++) {
      const { controls } = await this.index();
      if (this.#indexedBytes >= this.#sizeBytes) return controls;
      // It may have grown just when the index was made: then it is made again.
      if (time === loadsMax) this.#damaged(this.#indexedBytes);
      this.forgetIndex();
    }
  }

  /** Headers of some batches from `index` on, of those below `belowIndex`; payloads are not looked at. */
  async headers(index: number, belowIndex: number): Promise<BatchHeader[]> {
    let position = (await this.index()).positionBelow("index", index + 1);
    const headers: BatchHeader[] = [];
    await this.#withFile(async (file) => {
      // What comes before the first one wanted may fill a chunk.
      while (headers.length === 0 && position < this.#sizeBytes) {
        const chunk = await this.#chunk(file, position, scanBytes);
        let at = 0;
        while (at + batchHeader.bytes <= chunk.length) {
          const header = this.#headerIn(chunk.subarray(at, at + batchHeader.bytes), position + at);
          if (!header || header.index >= belowIndex) return;
          if (header.index >= index) headers.push(header);
          at += batchBytes(header);
        }
        if (at === 0) this.#damaged(position);
        position += at;
      }
    });
    return headers;
  }

  /** The whole batch that begins at a position; `undefined`: none does, or it is damaged. */
  async batchAt(position: number): Promise<StoredBatch | undefined> {
    const { group } = this;
    const { hash } = this.#context;
    if (position >= this.#sizeBytes) return undefined;
    return await this.#withFile(async (file) => {
      const header = readHeader(await this.#chunk(file, position, batchHeader.bytes), group, hash);
      return header && readBatch(await this.#chunk(file, position, batchBytes(header)), group, hash);
    });
  }

  /** Its index: from its file if that is whole, what that lacks from the store. */
  async index(): Promise<SegmentIndex> {
    while (!this.#index) {
      this.#loading ??= this.#load();
      const loading = this.#loading;
      try {
        const index = await loading;
        // After a cut it is of what was.
        if (this.#loading === loading) this.#index = index;
      } finally {
        if (this.#loading === loading) this.#loading = undefined;
      }
    }
    if (!this.#isGone) this.#context.indexes.touch(this, this.#index.memoryBytes);
    return this.#index;
  }

  /** Where the batch at `index`, which is here, ends. */
  async endOf(index: number): Promise<number> {
    let position = (await this.index()).positionBelow("index", index);
    return await this.#withFile(async (file) => {
      while (position < this.#sizeBytes) {
        const header = this.#headerIn(await this.#chunk(file, position, batchHeader.bytes), position);
        if (!header) break;
        position += batchBytes(header);
        if (header.index === index) return position;
      }
      return this.#damaged(position);
    });
  }

  /** The header at an index; `undefined`: it is beyond the end. */
  async headerAt(index: number): Promise<BatchHeader | undefined> {
    if (index === this.firstIndex) return await this.first();
    let position = (await this.index()).positionBelow("index", index + 1);
    return await this.#withFile(async (file) => {
      while (position < this.#sizeBytes) {
        const chunk = await this.#chunk(file, position, 2 * indexFile.interval);
        let at = 0;
        while (at + batchHeader.bytes <= chunk.length) {
          const header = this.#headerIn(chunk.subarray(at), position + at);
          if (!header || header.index === index) return header;
          if (header.index > index) this.#damaged(position + at);
          at += batchBytes(header);
        }
        if (at === 0) this.#damaged(position);
        position += at;
      }
      return undefined;
    });
  }

  /** Bytes of it were mended, up to a position: behind its end, if some of it was lost there. */
  mended(position: number): void {
    this.#sizeBytes = Math.max(this.#sizeBytes, position);
    // What was made of the damaged bytes may fall short.
    this.forgetIndex();
  }

  /** It ends at `sizeBytes` now, and grows again. */
  cutTo(sizeBytes: number): void {
    this.#sizeBytes = sizeBytes;
    this.active = true;
    this.#loading = undefined;
    this.forgetIndex();
  }

  /** Removes its files. A read that is on its way may end with an error. */
  async remove(): Promise<void> {
    const { handles, disk } = this.#context;
    // Whoever lists the folder after a kill finds no index without its segment.
    for (const path of [this.#indexPath, this.path]) {
      await handles.close(path);
      await disk.remove(path);
      // Who opened it in between would keep its room taken.
      await handles.close(path);
    }
  }

  /** The log has it no more: nothing of it stays in memory. */
  leave(): void {
    this.#isGone = true;
    this.forgetIndex();
    this.#context.indexes.drop(this);
  }

  /** Lets the index go from memory. */
  forgetIndex(): void {
    this.#index = undefined;
    this.#indexChanged = false;
  }

  /** Writes the index file: a cache, so without a sync, and not at all where there is no room. */
  async writeIndexFile(): Promise<void> {
    const bytes = (await this.index()).toFile(this.group, this.firstIndex, this.#context.hash);
    try {
      await this.#context.handles.use(this.#indexPath, true, async (file) => {
        await file?.write([bytes], 0);
        await file?.truncate(bytes.length);
      });
    } catch (error) {
      if (!(error instanceof NoRoomError)) throw error;
    }
    this.#indexChanged = false;
  }

  get #indexPath(): string {
    return `${this.#folder}/${indexName(this.firstIndex)}`;
  }

  async #load(): Promise<SegmentIndex> {
    const storeBytes = this.#sizeBytes;
    const fromFile = await this.#context.handles.use(this.#indexPath, false, async (file) => {
      if (!file) return undefined;
      const bytes = new Uint8Array(await file.size());
      await file.read(bytes, 0);
      const of = { group: this.group, segment: this.firstIndex, storeBytes };
      return SegmentIndex.fromFile(bytes, of, this.#context.hash);
    });
    // An index that outlived a cut of its segment is whole, and wrong: its last entry then fits no batch.
    if (fromFile && (await this.#scan(fromFile))) return fromFile;
    const rebuilt = new SegmentIndex();
    await this.#scan(rebuilt);
    return rebuilt;
  }

  /**
   * Adds what the store has from the last entry on, up to what is damaged: who reads on from there finds that.
   * False: there is no such batch as the last entry says.
   */
  async #scan(index: SegmentIndex): Promise<boolean> {
    const last = index.last();
    let position = last?.position ?? 0;
    let fits = true;
    await this.#withFile(async (file) => {
      while (position < this.#sizeBytes && fits) {
        const chunk = await this.#chunk(file, position, scanBytes);
        let at = 0;
        while (at + batchHeader.bytes <= chunk.length) {
          const header = readHeader(chunk.subarray(at), this.group, this.#context.hash);
          const here = position + at;
          if (last && here === last.position) {
            fits =
              header?.index === last.index &&
              header.baseOffset === last.baseOffset &&
              header.appendTimeMicros === last.appendTimeMicros;
          }
          if (!fits || !header) return;
          const { baseOffset, appendTimeMicros } = header;
          const isControl = header.kind !== BatchKind.records;
          index.add({ baseOffset, index: header.index, appendTimeMicros, position: here, isControl });
          at += batchBytes(header);
          this.#indexedBytes = position + at;
        }
        if (at === 0) return;
        position += at;
      }
    });
    return fits;
  }

  async #chunk(file: DiskFile, position: number, wantedBytes: number): Promise<Uint8Array> {
    const atLeast = Math.max(wantedBytes, batchHeader.bytes);
    const bytes = new Uint8Array(Math.min(atLeast, this.#sizeBytes - position));
    const read = await file.read(bytes, position);
    return bytes.subarray(0, read);
  }

  #headerIn(bytes: Uint8Array, position: number): BatchHeader | undefined {
    if (bytes.length < batchHeader.bytes) return undefined;
    return readHeader(bytes, this.group, this.#context.hash) ?? this.#damaged(position);
  }

  #withFile<T>(work: (file: DiskFile) => Promise<T>): Promise<T> {
    return this.#context.handles.use(this.path, false, async (file) => await work(file ?? this.#damaged(0)));
  }

  #damaged(position: number): never {
    throw damagedAt(inDataFolder(this.path), position, this.group);
  }
}

/** Whether an error says that stored bytes are damaged. */
export function isDamage(error: unknown): error is TailraceError {
  return error instanceof TailraceError && error.reason === "damaged";
}

/** The error that keeps damaged bytes from everybody. `where`: a file, by its path in the data folder. */
export function damagedAt(where: string, position: number, group: number): TailraceError {
  return unreadable(group, `${where} is damaged at byte ${position}`);
}

/** The error that says that nothing is where something was: a file is gone, or another's stands there. */
export function missingIn(folder: string, what: string, group: number): TailraceError {
  return unreadable(group, `${inDataFolder(folder)} has no file with ${what}`);
}

function unreadable(group: number, why: string): TailraceError {
  const what = `Cannot read the log of stream ${group}`;
  const todo = "Restore the file from a copy, or run tailrace repair on the stopped node's data folder";
  return new TailraceError("damaged", { what, why, todo }, { streamId: group });
}
