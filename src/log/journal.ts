/**
 * The journal: a ring of files that all logs of a folder share, written one frame at a time.
 * - A frame is written only after the sync of the one before it returned: a whole frame proves all before it.
 * - Each file begins with a snapshot, so that nothing is forgotten when an old one is used again.
 * - A file is used again only when no tail is in it and a frame that says so (`freed`) is synced.
 * - Everything gathered while one sync runs shares the next.
 * @module
 */
import { assert } from "../base/assert.ts";
import { roundUp } from "../base/bytes.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Hash } from "../host/hash.ts";
import { FrameKind, frameHeader } from "./format.ts";
import { FrameArena, FrameBuilder } from "./frame-writer.ts";
import type { Marks } from "./marks.ts";
import { Ring, type RingContext, type RingFile, type RingState } from "./ring.ts";

/** Who has something for the next frame. */
export interface Contributor {
  /** Whether it may use the room held back for what frees room: deletions, control batches. */
  readonly urgent?: boolean;
  /** Whether it adds the same again, if the frame that it was added to was not written. Others are refused then. */
  readonly repeats?: boolean;
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
  /** The ring is full: moves all tails that stand in a file to segments. @throws {NoRoomError} */
  emptyFile(slot: number): Promise<void>;
  /** A frame was written. */
  frameWritten(): void;
  /** Marks that go with its frames. */
  readonly marks: Marks;
}

/** Whose journal it is, and on what it stands. */
export interface JournalContext extends RingContext {
  readonly diskId: Uint8Array;
  readonly crcKey: number;
  readonly clock: Clock;
  readonly hash: Hash;
  readonly host: JournalHost;
  /** Told once when a write or sync failed for good. */
  readonly failed: (error: Error) => void;
}

/** Writes frames to the ring. */
export class Journal {
  readonly #context: JournalContext;
  readonly #arena: FrameArena;
  readonly #ring: Ring;
  #nextNumber: number;
  #freed: number;
  readonly #incarnation: number;
  /** Who waits, first come first. */
  readonly #ready = new Set<Contributor>();
  /** Who goes before them. */
  readonly #readyFirst = new Set<Contributor>();
  /** Called when somebody urgent comes while the oldest file is waited for. */
  #urgentCame: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #marksDue = false;
  #markTimer = false;
  #stopped = false;
  #failure: Error | undefined;
  frames = 0;
  frameBytes = 0;
  /** How often appends waited for the oldest file to be freed. */
  timesWaited = 0;

  constructor(context: JournalContext, found: RingState) {
    this.#context = context;
    this.#ring = new Ring(context, found);
    this.#nextNumber = found.nextNumber;
    this.#freed = found.freed;
    this.#incarnation = found.incarnation;
    const { arenaBytes, frameMaxBytes } = context.settings;
    this.#arena = new FrameArena({ capacity: arenaBytes, frameMaxBytes, first: found.head });
  }

  /** Bytes of ring files that hold something that counts. */
  get usedBytes(): number {
    return this.#ring.usedBytes;
  }

  /** Asks for a place in the next frame. Who asks within one turn of the event loop shares a frame. */
  submit(contributor: Contributor): void {
    this.#ready.add(contributor);
    if (contributor.urgent) this.#urgentCame?.();
    this.#kick();
  }

  /** The same, before all others in the next frame. */
  submitFirst(contributor: Contributor): void {
    this.#readyFirst.add(contributor);
    this.#kick();
  }

  /** The file that must be freed next; none while there is one file only, or while one that was freed is not used again. */
  get oldestSlot(): number | undefined {
    const [oldest, next] = this.#ring.live;
    return oldest && next && next.firstFrame - 1 > this.#freed ? oldest.slot : undefined;
  }

  /** Bytes that frames can take before the oldest file is needed. */
  get roomBytes(): number {
    return this.#ring.roomBytes;
  }

  /** Number of the file that a ring position is in. */
  slotOf(ringPosition: number): number {
    return this.#ring.slotOf(ringPosition);
  }

  /** No tail is in the oldest file: it is used again once a frame that says so is synced. */
  free(slot: number): void {
    const [oldest, next] = this.#ring.live;
    assert(oldest?.slot === slot && next !== undefined, `journal file ${slot} is not the oldest`);
    this.#freed = next.firstFrame - 1;
  }

  /** Writes what a start has to say, before anything else, at least one frame; it may use the room held back. */
  async open(contributor: Contributor): Promise<void> {
    const opening = this.#writeStart(contributor);
    // Nobody else writes meanwhile: marks of what is flushed to make room wait for their turn.
    this.#run(() => opening.catch(() => {}));
    await opening;
  }

  async #writeStart(contributor: Contributor): Promise<void> {
    for (let all = false; !all; ) {
      const frame = this.#begin(this.#toFreeBytes);
      all = frame ? contributor.contribute(frame) : false;
      if (!frame || (!all && frame.records === 0)) {
        await this.#nextFile();
        continue;
      }
      await this.#write(frame, 0);
      contributor.written();
    }
    await this.#restoreRoom();
  }

  /** Marks wait: they go with the next frame, or in one of their own after a while. */
  markSoon(): void {
    if (this.#markTimer) return;
    this.#markTimer = true;
    this.#context.clock.after(this.#context.settings.markDelayMs, () => {
      this.#markTimer = false;
      this.#marksDue = this.#context.host.marks.wait;
      if (this.#marksDue) this.#kick();
    });
  }

  /** Where in the ring a byte of the frame that was built last stands. */
  ringPosition(atInFrame: number): number {
    return this.#ring.position(atInFrame);
  }

  /** Bytes of the ring that are still in memory; the view is good until the next await. */
  bytesAt(ringPosition: number, length: number): Uint8Array | undefined {
    const { file, position } = this.#ring.locate(ringPosition);
    return this.#arena.bytesAt(file.lifePosition + position, length);
  }

  /** Bytes of the ring: a copy, from memory or from the file. The caller's tail keeps the file from being used again. */
  async read(ringPosition: number, length: number): Promise<Uint8Array> {
    return this.bytesAt(ringPosition, length)?.slice() ?? (await this.#ring.read(ringPosition, length));
  }

  /** Waits until nothing is ready or on its way. @throws {Error} The folder failed: it never will be. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
    if (this.#failure) throw this.#failure;
  }

  /** Writes the frame that says that the stop is clean. */
  async close(): Promise<void> {
    await this.idle();
    this.#stopped = true;
    if (this.#snapshotFrameBytes() > this.#ring.room(this.#toFreeBytes)) await this.#nextFile();
    await this.#ring.append(this.#snapshot(FrameKind.clean), 0);
  }

  /** Something else of the folder failed, so nobody knows what segments hold: no frame begins any more. */
  fail(error: Error): void {
    this.#stopped = true;
    this.#failure ??= error;
  }

  /** Closes the files as they are. */
  async closeFiles(): Promise<void> {
    this.#stopped = true;
    await this.#ring.close();
  }

  #kick(): void {
    if (this.#running || this.#stopped) return;
    // A turn later: what the same callback appends next comes along.
    this.#run(() => Promise.resolve().then(() => this.#writeAll()));
  }

  /** One writes at a time. */
  #run(write: () => Promise<void>): void {
    this.#running = write()
      .catch((error: unknown) => {
        this.#stopped = true;
        this.#failure = error instanceof Error ? error : new Error(String(error));
        this.#context.failed(this.#failure);
      })
      .finally(() => {
        this.#running = undefined;
        if (this.#isReady || this.#marksDue) this.#kick();
      });
  }

  get #isReady(): boolean {
    return this.#ready.size + this.#readyFirst.size > 0;
  }

  async #writeAll(): Promise<void> {
    while (this.#isReady || this.#marksDue) {
      if (this.#failure) throw this.#failure;
      const before = [...this.#readyFirst, ...this.#ready];
      try {
        await this.#writeReady(before);
      } catch (error) {
        if (!(error instanceof NoRoomError)) throw error;
        this.#marksDue = false;
        this.#context.host.marks.refused();
        const again = this.#refuseSome(before, error);
        if (!(await this.#writeUrgent(again))) this.#refuse(again, error);
      }
    }
  }

  /** After a frame that was not written: refuses those whose share of it is lost. The others are ready again. */
  #refuseSome(contributors: readonly Contributor[], error: NoRoomError): Contributor[] {
    this.#refuse(
      contributors.filter(({ repeats }) => !repeats),
      error,
    );
    const again = contributors.filter(({ repeats }) => repeats);
    for (const contributor of again) this.#ready.add(contributor);
    return again;
  }

  #refuse(contributors: readonly Contributor[], error: NoRoomError): void {
    for (const contributor of contributors) {
      this.#ready.delete(contributor);
      this.#readyFirst.delete(contributor);
      contributor.refused(error);
    }
  }

  /** Writes one frame of what is ready, or makes room for it. */
  async #writeReady(ready: readonly Contributor[]): Promise<void> {
    const { settings, host } = this.#context;
    // Room is held back in the last file, and any may be the last: another one needs room that may not be there.
    const frame = this.#begin(this.#ring.freeFile ? 0 : settings.heldBackBytes);
    if (!frame) return await this.#nextFile();
    const contributors = this.#gather(frame, ready);
    host.marks.write(frame);
    if (frame.records === 0) {
      this.#marksDue = false;
      if (this.#isReady) await this.#nextFile();
      return;
    }
    await this.#write(frame, settings.heldBackBytes);
    for (const contributor of contributors) contributor.written();
    this.#marksWritten();
    this.#marksDue = false;
    host.frameWritten();
  }

  #marksWritten(): void {
    const { marks } = this.#context.host;
    marks.written();
    if (marks.wait) this.markSoon();
  }

  /** With no room for others, what frees room goes into half of what is held back; false: that is used up, or none is. */
  async #writeUrgent(ready: readonly Contributor[]): Promise<boolean> {
    const urgent = ready.filter((contributor) => contributor.urgent);
    const frame = urgent.length > 0 ? this.#begin(this.#context.settings.heldBackBytes / 2) : undefined;
    if (!frame) return false;
    const contributors = this.#gather(frame, urgent);
    if (contributors.length === 0) return false;
    try {
      await this.#write(frame, 0);
    } catch (error) {
      if (!(error instanceof NoRoomError)) throw error;
      this.#context.host.marks.refused();
      this.#refuseSome(contributors, error);
      return false;
    }
    for (const contributor of contributors) contributor.written();
    this.#marksWritten();
    return true;
  }

  /** Of the room held back the last frame is for saying what is freed, or nothing could ever be. */
  get #toFreeBytes(): number {
    return this.#ring.freeFile ? 0 : frameHeader.border;
  }

  /** Begins a frame at the head; `undefined`: no room there. */
  #begin(heldBackBytes: number): FrameBuilder | undefined {
    const room = this.#ring.room(heldBackBytes);
    if (room < frameHeader.border) return undefined;
    return this.#arena.begin(this.#ring.current.lifePosition + this.#ring.head, room);
  }

  /** Lets everybody add, in order, until one has more than fits; gives those who added. */
  #gather(frame: FrameBuilder, ready: readonly Contributor[]): Contributor[] {
    const contributors: Contributor[] = [];
    for (const contributor of ready) {
      const records = frame.records;
      const all = contributor.contribute(frame);
      if (frame.records > records) contributors.push(contributor);
      if (!all) break;
      this.#ready.delete(contributor);
      this.#readyFirst.delete(contributor);
    }
    return contributors;
  }

  /** Writes a frame of the arena. */
  async #write(frame: FrameBuilder, reserveBytes: number): Promise<void> {
    const bytes = this.#finish(frame, FrameKind.frame);
    const freed = this.#freed;
    await this.#ring.append(bytes, reserveBytes);
    this.#ring.release(freed);
    this.#arena.end(bytes.length);
    this.#count(bytes);
  }

  #count(frame: Uint8Array): void {
    this.#nextNumber += 1;
    this.frames += 1;
    this.frameBytes += frame.length;
  }

  #finish(frame: FrameBuilder, kind: FrameKind): Uint8Array {
    const { hash, diskId, crcKey } = this.#context;
    const [number, incarnation, freed] = [this.#nextNumber, this.#incarnation, this.#freed];
    const { files } = this.#ring;
    return frame.finish({ kind, files, number, incarnation, freed, diskId, crcKey }, hash);
  }

  /** The state of every group, as a frame. */
  #snapshot(kind: FrameKind): Uint8Array {
    const frame = new FrameBuilder(new Uint8Array(this.#snapshotFrameBytes()));
    this.#context.host.writeSnapshot(frame);
    return this.#finish(frame, kind);
  }

  #snapshotFrameBytes(): number {
    return roundUp(frameHeader.bytes + this.#context.host.snapshotBytes(), frameHeader.border);
  }

  /** Starts use the room held back, one after the other: each that can makes it whole again. */
  async #restoreRoom(): Promise<void> {
    if (this.#ring.freeFile || this.#ring.room(this.#context.settings.heldBackBytes) >= frameHeader.border) return;
    try {
      await this.#nextFile();
    } catch (error) {
      if (!(error instanceof NoRoomError)) throw error;
    }
  }

  /** Goes on in another file, which begins with a snapshot. */
  async #nextFile(): Promise<void> {
    const next = this.#ring.freeFile ?? (await this.#makeFile()) ?? (await this.#freeOldest());
    const frame = this.#snapshot(FrameKind.snapshot);
    await this.#ring.goOn(next, frame, this.#nextNumber);
    this.#count(frame);
  }

  /** One more file, if there may be one. The one before it says so: else nobody would miss it, were it lost. */
  async #makeFile(): Promise<RingFile | undefined> {
    const { heldBackBytes } = this.#context.settings;
    const made = await this.#ring.makeFile(this.#snapshotFrameBytes() + heldBackBytes);
    const frame = made && this.#begin(0);
    if (frame) await this.#write(frame, 0);
    return made;
  }

  /** Frees the oldest file at once, since it is needed: appends wait meanwhile. */
  async #freeOldest(): Promise<RingFile> {
    const { host } = this.#context;
    const slot = this.oldestSlot;
    if (slot !== undefined) {
      this.timesWaited += 1;
      await this.#writingUrgentMeanwhile(host.emptyFile(slot));
      if (this.oldestSlot === slot) this.free(slot);
    }
    // A frame of each refusal would use up what is held back for those that free room.
    if (this.#ring.live.length === 1) throw new NoRoomError("the journal has one file only, and no room for another");
    const frame = this.#begin(0);
    if (!frame) throw new NoRoomError("the room that the journal holds back is used up");
    // Marks that do not fit are in the snapshot that comes next; until then the segments tell.
    host.marks.write(frame);
    await this.#write(frame, 0);
    this.#marksWritten();
    const { freeFile } = this.#ring;
    if (!freeFile) throw new NoRoomError("no file of the journal could be freed");
    return freeFile;
  }

  /** What is urgent does not wait for a file to be emptied: a log may be flushed only when its cut is done. */
  async #writingUrgentMeanwhile(emptied: Promise<void>): Promise<void> {
    let over = false;
    const end = emptied.finally(() => {
      over = true;
    });
    end.catch(() => {});
    while (!over) {
      if (await this.#writeUrgent([...this.#ready])) continue;
      // What it has no room for can't wait for the file: what is in the file may wait for it.
      this.#refuse(
        [...this.#ready].filter(({ urgent }) => urgent),
        new NoRoomError("the journal is full"),
      );
      const came = new Promise<void>((resolve) => {
        this.#urgentCame = resolve;
      });
      await Promise.race([end, came]);
    }
    this.#urgentCame = undefined;
    await end;
  }
}
