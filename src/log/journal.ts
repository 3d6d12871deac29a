/**
 * The journal: a ring of files that all logs of a folder share, written one frame at a time.
 * - A frame is written only after the sync of the one before it returned: a whole frame proves all before it.
 * - Each file begins with a snapshot, so that nothing is forgotten when an old one is used again.
 * - A file is used again only when no tail is in it and a frame that says so (`freed`) is synced.
 * - Everything gathered while one sync runs shares the next.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { roundUp } from "../base/bytes.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk, DiskFile } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { FrameKind, frameHeader } from "./format.ts";
import { FrameArena, FrameBuilder } from "./frame-writer.ts";
import type { LogSettings } from "./settings.ts";
import type { SyncCounts } from "./types.ts";

/** Who has something for the next frame. */
export interface Contributor {
  /** Adds what it has, as far as it fits; true: nothing is left. Called again with the next frame otherwise. */
  contribute(frame: FrameBuilder): boolean;
  /** What it added last is durable. */
  written(): void;
  /** What it added last, or waits to add, can't be written: no room. Nothing of it counts. */
  refused(error: NoRoomError): void;
}

/** What the journal asks of the folder that it serves. */
export interface JournalHost {
  /** Length of all groups' state records together. */
  snapshotBytes(): number;
  writeSnapshot(frame: FrameBuilder): void;
  /** Moves all tails to segments. */
  flushAllTails(): Promise<void>;
  /** Adds marks that wait, those without which a file must not be used again first; false: one of these did not fit. */
  writeMarks(frame: FrameBuilder): boolean;
  marksWritten(): void;
  /** The frame that they were added to was not written. */
  marksRefused(): void;
  marksWait(): boolean;
}

/** One file of the ring. */
interface RingFile {
  readonly slot: number;
  readonly file: DiskFile;
  /** Bytes from its start that are on disk, zeros or frames: only these are written. */
  filledBytes: number;
  /** Number of its first frame; 0: it is free. */
  firstFrame: number;
  /** Where it stands in the ring's life: bytes since the folder was opened, or below 0. */
  lifePosition: number;
  /** Reads that are on their way. */
  readers: number;
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

/** Whose journal it is, and on what it stands. */
export interface JournalContext {
  readonly folder: string;
  readonly diskId: Uint8Array;
  readonly crcKey: number;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly hash: Hash;
  readonly settings: LogSettings;
  readonly syncs: SyncCounts;
  readonly host: JournalHost;
  /** Told once when a write or sync failed for good. */
  readonly failed: (error: Error) => void;
}

/** The ring and its head. */
export class Journal {
  readonly #context: JournalContext;
  readonly #arena: FrameArena;
  readonly #files: RingFile[];
  #current: RingFile;
  #head: number;
  #nextNumber: number;
  #freed: number;
  readonly #incarnation: number;
  /** Who waits, first come first. */
  readonly #ready = new Set<Contributor>();
  #running: Promise<void> | undefined;
  #filling: Promise<void> | undefined;
  #marksDue = false;
  #markTimer = false;
  #stopped = false;
  frames = 0;
  frameBytes = 0;
  timesEmptied = 0;

  constructor(context: JournalContext, ring: RingState) {
    this.#context = context;
    this.#files = ring.files.map((found) => ({
      ...found,
      lifePosition: found.slot === ring.slot ? 0 : -(found.slot + 1) * context.settings.journalFileBytes,
      readers: 0,
    }));
    this.#current = present(
      this.#files.find(({ slot }) => slot === ring.slot),
      "the ring has no current file",
    );
    this.#head = ring.head;
    this.#nextNumber = ring.nextNumber;
    this.#freed = ring.freed;
    this.#incarnation = ring.incarnation;
    const { arenaBytes, frameMaxBytes } = context.settings;
    this.#arena = new FrameArena({ capacity: arenaBytes, frameMaxBytes, first: ring.head });
  }

  /** Bytes of ring files that hold something that counts. */
  get usedBytes(): number {
    const whole = this.#files.filter((file) => file.firstFrame > 0 && file !== this.#current).length;
    return whole * this.#context.settings.journalFileBytes + this.#head;
  }

  /** Asks for a place in the next frame. Who asks within one turn of the event loop shares a frame. */
  submit(contributor: Contributor): void {
    this.#ready.add(contributor);
    this.#kick();
  }

  /** Writes what a start has to say, before anything else, at least one frame; it may use the room held back. */
  async open(contributor: Contributor): Promise<void> {
    const { settings } = this.#context;
    for (let all = false; !all; ) {
      const room = Math.floor((settings.journalFileBytes - this.#head) / frameHeader.border) * frameHeader.border;
      const frame = room >= frameHeader.border ? this.#begin(room) : undefined;
      all = frame ? contributor.contribute(frame) : false;
      if (!frame || (!all && frame.records === 0)) {
        await this.#nextFile();
        continue;
      }
      await this.#write(frame, FrameKind.frame);
      contributor.written();
    }
  }

  /** Marks wait: they go with the next frame, or in one of their own after a while. */
  markSoon(): void {
    if (this.#markTimer) return;
    this.#markTimer = true;
    this.#context.clock.after(this.#context.settings.markDelayMs, () => {
      this.#markTimer = false;
      this.#marksDue = this.#context.host.marksWait();
      if (this.#marksDue) this.#kick();
    });
  }

  /** Where in the ring a byte of the frame that was built last stands. */
  ringPosition(atInFrame: number): number {
    return this.#current.slot * this.#context.settings.journalFileBytes + this.#head + atInFrame;
  }

  /** Bytes of the ring that are still in memory; the view is good until the next await. */
  bytesAt(ringPosition: number, length: number): Uint8Array | undefined {
    const { file, position } = this.#locate(ringPosition);
    return this.#arena.bytesAt(file.lifePosition + position, length);
  }

  /** Bytes of the ring: a copy, from memory or from the file. The caller's tail keeps the file from being used again. */
  async read(ringPosition: number, length: number): Promise<Uint8Array> {
    const inMemory = this.bytesAt(ringPosition, length);
    if (inMemory) return inMemory.slice();
    const { file, position } = this.#locate(ringPosition);
    const bytes = new Uint8Array(length);
    file.readers += 1;
    try {
      await file.file.readRecent(bytes, position);
    } finally {
      file.readers -= 1;
    }
    return bytes;
  }

  /** Waits until nothing is ready or on its way. */
  async idle(): Promise<void> {
    while (this.#running || this.#ready.size > 0) await (this.#running ?? Promise.resolve());
    await this.#filling;
  }

  /** Writes the frame that says that the stop is clean, and closes the files. */
  async close(): Promise<void> {
    await this.idle();
    this.#stopped = true;
    const { host, settings } = this.#context;
    const bytes = roundUp(frameHeader.bytes + host.snapshotBytes(), frameHeader.border);
    if (this.#head + bytes > settings.journalFileBytes) await this.#nextFile();
    const frame = new FrameBuilder(new Uint8Array(bytes));
    host.writeSnapshot(frame);
    await this.#write(frame, FrameKind.clean);
    await this.closeFiles();
  }

  /** Closes the files as they are. */
  async closeFiles(): Promise<void> {
    this.#stopped = true;
    for (const { file } of this.#files) await file.close();
  }

  #kick(): void {
    if (this.#running || this.#stopped) return;
    // A turn later: what the same callback appends next comes along.
    this.#running = Promise.resolve()
      .then(() => this.#run())
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#context.failed(error instanceof Error ? error : new Error(String(error)));
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#ready.size > 0) this.#kick();
      });
  }

  async #run(): Promise<void> {
    while (this.#ready.size > 0 || this.#marksDue) {
      const before = [...this.#ready];
      try {
        await this.#writeReady();
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error;
        this.#marksDue = false;
        this.#context.host.marksRefused();
        for (const contributor of before) {
          this.#ready.delete(contributor);
          contributor.refused(error);
        }
      }
    }
  }

  /** Writes one frame of what is ready, or makes room for it. */
  async #writeReady(): Promise<void> {
    const { settings, host } = this.#context;
    const end = settings.journalFileBytes - (this.#hasFreeFile() ? 0 : settings.heldBackBytes);
    const room = Math.floor((end - this.#head) / frameHeader.border) * frameHeader.border;
    if (room < frameHeader.border) return await this.#nextFile();
    const frame = this.#begin(room);
    const contributors = this.#gather(frame);
    host.writeMarks(frame);
    if (frame.records === 0) {
      this.#marksDue = false;
      if (this.#ready.size > 0) await this.#nextFile();
      return;
    }
    await this.#write(frame, FrameKind.frame);
    for (const contributor of contributors) contributor.written();
    host.marksWritten();
    this.#marksDue = false;
    this.#fillAhead();
  }

  #begin(room: number): FrameBuilder {
    return this.#arena.begin(this.#current.lifePosition + this.#head, room);
  }

  /** Lets everybody add, in order, until one has more than fits; gives those who added. */
  #gather(frame: FrameBuilder): Contributor[] {
    const contributors: Contributor[] = [];
    for (const contributor of this.#ready) {
      const records = frame.records;
      const all = contributor.contribute(frame);
      if (frame.records > records) contributors.push(contributor);
      if (!all) break;
      this.#ready.delete(contributor);
    }
    return contributors;
  }

  async #write(frame: FrameBuilder, kind: FrameKind): Promise<void> {
    const { hash, diskId, crcKey, syncs } = this.#context;
    const stamp = {
      kind,
      number: this.#nextNumber,
      incarnation: this.#incarnation,
      freed: this.#freed,
      diskId,
      crcKey,
    };
    const bytes = frame.finish(stamp, hash);
    assert(this.#head + bytes.length <= this.#context.settings.journalFileBytes, "a frame reaches beyond its file");
    await this.#fill(this.#current, this.#head + bytes.length);
    await this.#current.file.write([bytes], this.#head);
    syncs.journal += 1;
    await this.#current.file.sync();
    this.#arena.end(bytes.length);
    this.#head += bytes.length;
    this.#nextNumber += 1;
    this.frames += 1;
    this.frameBytes += bytes.length;
  }

  #hasFreeFile(): boolean {
    return this.#files.length < this.#context.settings.journalFiles || this.#freeFile() !== undefined;
  }

  #freeFile(): RingFile | undefined {
    return this.#files.find((file) => file.firstFrame === 0 && file.readers === 0);
  }

  /** Goes on in another file, which begins with a snapshot. */
  async #nextFile(): Promise<void> {
    const { host, settings } = this.#context;
    const next = this.#freeFile() ?? (await this.#makeFile()) ?? (await this.#empty());
    const bytes = roundUp(frameHeader.bytes + host.snapshotBytes(), frameHeader.border);
    await this.#fill(next, bytes);
    next.lifePosition = this.#current.lifePosition + settings.journalFileBytes;
    next.firstFrame = this.#nextNumber;
    this.#current = next;
    this.#head = 0;
    const frame = new FrameBuilder(new Uint8Array(bytes));
    host.writeSnapshot(frame);
    await this.#write(frame, FrameKind.snapshot);
  }

  async #makeFile(): Promise<RingFile | undefined> {
    const { folder, disk, settings, syncs } = this.#context;
    const slot = this.#files.length;
    if (slot >= settings.journalFiles) return undefined;
    try {
      const file = present(
        await disk.open(`${folder}/${slot}`, { create: true }),
        "a file that was to be made is missing",
      );
      const made: RingFile = { slot, file, filledBytes: 0, firstFrame: 0, lifePosition: 0, readers: 0 };
      await this.#fill(made, frameHeader.border);
      syncs.folder += 1;
      await disk.syncFolder(folder);
      this.#files.push(made);
      return made;
    } catch (error) {
      // Without room for another file the ring does with those it has.
      if (error instanceof NoRoomError && this.#files.length > 1) return undefined;
      throw error;
    }
  }

  /** Moves all tails to segments, says so, and gives a file that is free by that. */
  async #empty(): Promise<RingFile> {
    const { host, settings } = this.#context;
    await host.flushAllTails();
    this.#freed = this.#current.firstFrame - 1;
    for (let all = false; !all; ) {
      const room = Math.floor((settings.journalFileBytes - this.#head) / frameHeader.border) * frameHeader.border;
      if (room < frameHeader.border) throw new NoRoomError("the room that the journal holds back is used up");
      const frame = this.#begin(room);
      all = host.writeMarks(frame);
      await this.#write(frame, FrameKind.frame);
      host.marksWritten();
    }
    for (const file of this.#files) if (file !== this.#current) file.firstFrame = 0;
    this.timesEmptied += 1;
    const free = this.#freeFile();
    if (!free) throw new NoRoomError("the journal has one file only, and no room for another");
    return free;
  }

  /** Sees to it that a file's bytes below `end` are on disk: zeros, written in steps and synced before use. */
  async #fill(file: RingFile, end: number): Promise<void> {
    if (this.#filling) await this.#filling;
    const { settings, syncs } = this.#context;
    while (file.filledBytes < end) {
      const step = Math.min(settings.journalFillBytes, settings.journalFileBytes - file.filledBytes);
      await file.file.write([new Uint8Array(step)], file.filledBytes);
      syncs.journalFill += 1;
      await file.file.sync();
      file.filledBytes += step;
    }
  }

  /** Fills the next step before it is needed. */
  #fillAhead(): void {
    const { settings } = this.#context;
    const file = this.#current;
    if (this.#filling || this.#stopped || file.filledBytes >= settings.journalFileBytes) return;
    if (file.filledBytes - this.#head > settings.journalFillBytes / 4) return;
    const filling = this.#fill(file, file.filledBytes + 1)
      .catch((error: unknown) => {
        // Without room it is tried again when it is needed, and refused then.
        if (!(error instanceof NoRoomError)) this.#context.failed(error as Error);
      })
      .finally(() => {
        this.#filling = undefined;
      });
    this.#filling = filling;
  }

  #locate(ringPosition: number): { file: RingFile; position: number } {
    const { journalFileBytes } = this.#context.settings;
    const slot = Math.floor(ringPosition / journalFileBytes);
    const file = present(
      this.#files.find((candidate) => candidate.slot === slot),
      `the ring has no file ${slot}`,
    );
    return { file, position: ringPosition - slot * journalFileBytes };
  }
}
