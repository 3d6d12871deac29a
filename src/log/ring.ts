/**
 * The files of the journal's ring: which one is written, which are free, and what of them is on the disk.
 * - Of each file only bytes that are on the disk already are written: zeros, laid ahead in steps.
 * - A file is synced by one call at a time: the system tells of a failed write once, and of two syncs that wait the other
 *   would return as if all were well. So the zeros ahead go with a frame's sync.
 * - What was refused for want of room is not found whole at the next start.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { sameBytes } from "../base/bytes.ts";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { Disk, DiskFile } from "../host/disk.ts";
import { frameHeader } from "./format.ts";
import type { LogSettings } from "./settings.ts";
import type { SyncCounts } from "./types.ts";

/** One file of the ring. */
export interface RingFile {
  readonly slot: number;
  readonly file: DiskFile;
  /** Bytes from its start that are on disk, zeros or frames. */
  filledBytes: number;
  /** Number of its first frame; 0: it is free. */
  firstFrame: number;
  /** Where it stands in the ring's life: bytes since the folder was opened, or below 0. */
  lifePosition: number;
  /** Reads that are on their way. */
  readers: number;
  /** Told when there is none any more. */
  onUnread: () => void;
}

/** What a start found of the ring. */
export interface RingState {
  readonly files: readonly { slot: number; file: DiskFile; filledBytes: number; firstFrame: number }[];
  /** Slot and position of the next frame, and its number. */
  readonly slot: number;
  readonly head: number;
  readonly nextNumber: number;
  readonly freed: number;
  readonly incarnation: number;
}

/** What the ring's files stand on. */
export interface RingContext {
  readonly folder: string;
  readonly disk: Disk;
  readonly settings: LogSettings;
  readonly syncs: SyncCounts;
}

/** Zeros that go with one frame: few, since it waits for them. */
const zerosBytes = 256 << 10;

/** The files, and the head. */
export class Ring {
  readonly #context: RingContext;
  readonly #files: RingFile[];
  #current: RingFile;
  #head: number;

  constructor(context: RingContext, found: RingState) {
    this.#context = context;
    const { journalFileBytes } = context.settings;
    this.#files = found.files.map((file) => ({
      ...file,
      lifePosition: file.slot === found.slot ? 0 : -(file.slot + 1) * journalFileBytes,
      readers: 0,
      onUnread: () => {},
    }));
    this.#current = present(
      this.#files.find(({ slot }) => slot === found.slot),
      "the ring has no current file",
    );
    this.#head = found.head;
  }

  /** The file that is written. */
  get current(): RingFile {
    return this.#current;
  }

  /** How many files there are. */
  get files(): number {
    return this.#files.length;
  }

  /** Where in it the next frame goes. */
  get head(): number {
    return this.#head;
  }

  /** Room for a frame at the head, if so many bytes at the file's end are left: whole borders. */
  room(heldBackBytes: number): number {
    const bytes = this.#context.settings.journalFileBytes - heldBackBytes - this.#head;
    return Math.max(bytes - (bytes % frameHeader.border), 0);
  }

  /** Bytes of the files that hold something that counts. */
  get usedBytes(): number {
    const whole = this.#files.filter((file) => file.firstFrame > 0 && file !== this.#current).length;
    return whole * this.#context.settings.journalFileBytes + this.#head;
  }

  get freeFile(): RingFile | undefined {
    return this.#files.find((file) => file.firstFrame === 0);
  }

  /** Files that hold something that counts, oldest first. */
  get live(): readonly RingFile[] {
    return this.#files.filter(({ firstFrame }) => firstFrame > 0).sort((a, b) => a.firstFrame - b.firstFrame);
  }

  /** Files with nothing above `freed`, which a synced frame says, may be used again. */
  release(freed: number): void {
    this.live.forEach((file, i, live) => {
      const next = live[i + 1];
      if (next && next.firstFrame - 1 <= freed) file.firstFrame = 0;
    });
  }

  /** Bytes that frames can take before the oldest file is needed. */
  get roomBytes(): number {
    const { journalFiles, journalFileBytes, heldBackBytes } = this.#context.settings;
    const unmade = Math.max(journalFiles - this.#files.length, 0);
    const free = unmade + this.#files.filter(({ firstFrame }) => firstFrame === 0).length;
    return (free + 1) * journalFileBytes - this.#head - heldBackBytes;
  }

  /** Number of the file that a ring position is in. */
  slotOf(ringPosition: number): number {
    return Math.floor(ringPosition / this.#context.settings.journalFileBytes);
  }

  /** Where in the ring a byte of the frame that is built at the head stands. */
  position(atInFrame: number): number {
    return this.#current.slot * this.#context.settings.journalFileBytes + this.#head + atInFrame;
  }

  /** The file that a ring position is in, and the position there. */
  locate(ringPosition: number): { file: RingFile; position: number } {
    const { journalFileBytes } = this.#context.settings;
    const slot = this.slotOf(ringPosition);
    const file = present(
      this.#files.find((candidate) => candidate.slot === slot),
      `the ring has no file ${slot}`,
    );
    return { file, position: ringPosition - slot * journalFileBytes };
  }

  /** Bytes of the ring, from the file. The caller's tail keeps the file from being used again. */
  async read(ringPosition: number, length: number): Promise<Uint8Array> {
    const { file, position } = this.locate(ringPosition);
    const bytes = new Uint8Array(length);
    file.readers += 1;
    try {
      await file.file.readRecent(bytes, position);
    } finally {
      file.readers -= 1;
      if (file.readers === 0) file.onUnread();
    }
    return bytes;
  }

  /**
   * Writes a frame at the head and syncs it.
   * @param reserveBytes Beyond it so many are on disk too, so that what a start has to write finds room on a full one.
   * @throws {NoRoomError} It does not count.
   */
  async append(frame: Uint8Array, reserveBytes: number): Promise<void> {
    const end = this.#head + frame.length;
    await this.#fill(this.#current, Math.min(end + reserveBytes, this.#context.settings.journalFileBytes));
    await this.#write(this.#current, frame, this.#head);
    this.#head = end;
  }

  /** Goes on in a free file, with this frame at its beginning. @throws {NoRoomError} It stays where it is. */
  async goOn(file: RingFile, frame: Uint8Array, number: number): Promise<void> {
    // What is still read there has been moved to segments.
    if (file.readers > 0) {
      await new Promise<void>((resolve) => {
        file.onUnread = resolve;
      });
    }
    await this.#fill(file, frame.length);
    await this.#write(file, frame, 0);
    file.firstFrame = number;
    file.lifePosition = this.#current.lifePosition + this.#context.settings.journalFileBytes;
    this.#current = file;
    this.#head = frame.length;
  }

  /** One more file, with so many bytes on disk; `undefined`: there are as many as may be, or there is no room for it. */
  async makeFile(filledBytes: number): Promise<RingFile | undefined> {
    const { folder, disk, settings, syncs } = this.#context;
    if (this.#files.length >= settings.journalFiles) return undefined;
    const slot = this.#freeSlot();
    const opened = await disk.open(`${folder}/${slot}`, { create: true }).catch(noneWithoutRoom);
    if (!opened) return undefined;
    const made = { slot, file: opened, filledBytes: 0, firstFrame: 0, lifePosition: 0, readers: 0, onUnread: () => {} };
    try {
      await this.#fill(made, filledBytes);
    } catch (error) {
      await opened.close();
      return noneWithoutRoom(error);
    }
    syncs.folder += 1;
    await disk.syncFolder(folder);
    this.#files.push(made);
    return made;
  }

  async close(): Promise<void> {
    for (const { file } of this.#files) await file.close();
  }

  #freeSlot(): number {
    const taken = new Set(this.#files.map(({ slot }) => slot));
    for (let slot = 0; ; slot++) if (!taken.has(slot)) return slot;
  }

  async #write(file: RingFile, frame: Uint8Array, position: number): Promise<void> {
    const end = position + frame.length;
    assert(end <= this.#context.settings.journalFileBytes, "a frame reaches beyond its file");
    try {
      await file.file.write([frame], position);
    } catch (error) {
      if (error instanceof NoRoomError) await this.#takeBack(file, frame, position);
      throw error;
    }
    const filledBytes = await this.#zeroAhead(file, end, Math.max(frame.length, zerosBytes));
    this.#context.syncs.journal += 1;
    await file.file.sync();
    file.filledBytes = filledBytes;
  }

  /** A frame that had no room was refused: without its header it is none, whatever else of it was written. */
  async #takeBack(file: RingFile, frame: Uint8Array, position: number): Promise<void> {
    const header = new Uint8Array(frameHeader.bytes);
    await file.file.readRecent(header, position);
    if (!sameBytes(header, frame.subarray(0, header.length))) return;
    try {
      await file.file.write([header.fill(0)], position);
    } catch (error) {
      if (!(error instanceof NoRoomError)) throw error;
      throw new DiskError(`A refused frame of the journal can't be taken back: ${error.message}`, error.code);
    }
    this.#context.syncs.other += 1;
    await file.file.sync();
  }

  /** Sees to it that a file's bytes below `end` are on disk. */
  async #fill(file: RingFile, end: number): Promise<void> {
    while (file.filledBytes < end) {
      const bytes = this.#fillBytes(file);
      await file.file.write([new Uint8Array(bytes)], file.filledBytes);
      this.#context.syncs.journalFill += 1;
      await file.file.sync();
      file.filledBytes += bytes;
    }
  }

  /** Lays the next zeros before they are needed; gives how many bytes the next sync puts on disk. */
  async #zeroAhead(file: RingFile, end: number, stepBytes: number): Promise<number> {
    const { heldBackBytes, journalFillBytes } = this.#context.settings;
    const bytes = Math.min(this.#fillBytes(file), stepBytes);
    if (bytes === 0 || file.filledBytes - end > heldBackBytes + journalFillBytes / 4) return file.filledBytes;
    try {
      await file.file.write([new Uint8Array(bytes)], file.filledBytes);
      return file.filledBytes + bytes;
    } catch (error) {
      // Without room it is tried again when it is needed, and refused then.
      if (!(error instanceof NoRoomError)) throw error;
      return file.filledBytes;
    }
  }

  #fillBytes(file: RingFile): number {
    const { journalFillBytes, journalFileBytes } = this.#context.settings;
    return Math.min(journalFillBytes, journalFileBytes - file.filledBytes);
  }
}

/** Without room for one more file the ring does with those it has. */
function noneWithoutRoom(error: unknown): undefined {
  if (!(error instanceof NoRoomError)) throw error;
}
