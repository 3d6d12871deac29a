/**
 * A node's data folder: the journal, and all logs that share it (docs/format.md, "The data folder").
 * - One process has it open, by the lock.
 * - The journal's record is the commit point, files follow: what no record calls for is a leftover.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { DataFolderError, DiskError, NoRoomError } from "../base/disk-errors.ts";
import { limitPassed, TailraceError } from "../base/errors.ts";
import { Slots } from "../base/slots.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk, FolderLock } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import type { Random } from "../host/random.ts";
import { checkpointPayload } from "./batch-writer.ts";
import type { LogContext, LogCounters } from "./context.ts";
import { FileHandles } from "./file-handles.ts";
import { FolderSyncs } from "./folder-syncs.ts";
import { digestBytes, frameHeader, noteMaxBytes, RecordKind } from "./format.ts";
import { type FrameBuilder, recordBytes } from "./frame-writer.ts";
import { Freeing } from "./freeing.ts";
import { JournaledLog } from "./group-log.ts";
import { logBeginning, type Mark, stateBytes, writeState } from "./group-state.ts";
import { IndexMemory } from "./index-memory.ts";
import { Journal, type JournalHost } from "./journal.ts";
import { moveAside, moveLogAside, removeLeftovers } from "./leftovers.ts";
import { groupStateOf, isPlaced, type LogState, logStateOf } from "./log-state.ts";
import { Marks } from "./marks.ts";
import { NewLife } from "./new-life.ts";
import { recoverLogs } from "./recovery.ts";
import { type OpenedRing, openRing } from "./ring-open.ts";
import { RoomWatch } from "./room-watch.ts";
import { Segments } from "./segments.ts";
import type { LogOptions } from "./settings.ts";
import { StartRecords } from "./start-records.ts";
import { Tail } from "./tail.ts";
import type { DataFolder, GroupLog, LogMetrics, NewGroup, RecoveryReport, SyncCounts } from "./types.ts";

/** What a data folder stands on. */
export interface DataFolderOptions {
  /** Absolute path. */
  readonly path: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly hash: Hash;
  readonly random: Random;
  readonly settings?: LogOptions;
  /** Name of the node that the folder is of, or of a new folder will be; left out: the one it has, or a random one. */
  readonly nodeId?: string;
  /** Told how far a recovery is: groups that are done, of all. */
  readonly progress?: (done: number, all: number) => void;
}

/** A data folder, for who repairs what is damaged in it. */
export interface RepairableFolder extends DataFolder {
  /** Ends a damaged log at a place in its segments, above the base, up to which it is whole. */
  cutDamaged(group: number, to: Mark): Promise<void>;
}

/**
 * Opens a data folder, or makes it, and recovers what is in it.
 * @throws {DataFolderError} It is locked, not one, damaged, or of a newer version: the message says which and what to do.
 */
export async function openDataFolder(options: DataFolderOptions): Promise<DataFolder> {
  return await openToRepair(options);
}

/** The same, with what a repair may do beside. */
export async function openToRepair(options: DataFolderOptions): Promise<RepairableFolder> {
  const { disk, path } = options;
  await disk.makeFolder(path);
  const lock = await disk.lock(path);
  if (!lock) {
    throw new DataFolderError(
      `The data folder ${path} is in use by another node`,
      "Stop that node first, or give this one a folder of its own with --data",
    );
  }
  try {
    return await OpenFolder.open(options, lock);
  } catch (error) {
    await lock.release();
    throw error;
  }
}

class OpenFolder implements RepairableFolder, JournalHost {
  readonly nodeId: string;
  readonly diskId: Uint8Array;
  readonly incarnation: number;
  readonly failed: Promise<Error>;
  report: RecoveryReport;
  readonly #options: DataFolderOptions;
  readonly #lock: FolderLock;
  readonly #ring: OpenedRing;
  readonly #journal: Journal;
  readonly #context: LogContext;
  readonly #logs = new Map<number, JournaledLog>();
  readonly #rooms: RoomWatch;
  #tailsSeen = { bytes: 0, appendedBytes: 0 };
  readonly #freeing: Freeing;
  readonly marks = new Marks((group) => this.#logs.get(group)?.state);
  #snapshotBytes = 0;
  #fail: (error: Error) => void = () => {};
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: DataFolderOptions, lock: FolderLock, ring: OpenedRing, counters: LogCounters) {
    const { disk, clock, hash, path } = options;
    const { settings, id } = ring;
    this.#options = options;
    this.#lock = lock;
    this.#ring = ring;
    this.nodeId = id.nodeId;
    this.diskId = id.diskId;
    this.incarnation = ring.ring.incarnation;
    this.failed = new Promise((resolve) => {
      this.#fail = resolve;
    });
    const failed = (error: Error) => this.#failedForGood(error);
    const { syncs } = counters;
    this.#journal = new Journal(
      {
        ...{ folder: `${path}/journal`, diskId: id.diskId, crcKey: id.crcKey },
        ...{ disk, clock, hash, settings, syncs, host: this, failed },
      },
      ring.ring,
    );
    this.#freeing = new Freeing({
      ...{ journal: this.#journal, clock, hash, settings, failed },
      writeMark: (group, frame) => this.marks.writeOne(group, frame),
      logs: () => this.#logs.values(),
    });
    this.#rooms = new RoomWatch(disk, clock, path, settings.freeSpaceReserve, failed);
    // Adding up thousands of tails is not for each append.
    this.#rooms.onLook = () => {
      this.#tailsSeen = { bytes: this.#tailBytes(), appendedBytes: counters.appendedBytes };
    };
    this.#context = {
      ...{ disk, clock, hash, settings, counters, failed },
      handles: new FileHandles(disk, settings.segmentHandles),
      indexes: new IndexMemory(settings.indexMemoryBytes),
      flushSlots: new Slots(2),
      folderSyncs: new FolderSyncs(disk, syncs),
      journal: this.#journal,
      groupsFolder: `${path}/groups`,
      failure: () => this.#failure,
      refusal: (frees) =>
        this.#failure ??
        (this.#closing ? stopping() : undefined) ??
        (frees ? undefined : this.#rooms.refusal(this.#unflushedBytes())),
      markWaits: (group) => {
        this.marks.add(group);
        this.#journal.markSoon();
      },
      writeMark: (group, frame) => this.marks.writeOne(group, frame),
      snapshotGrew: (bytes) => {
        this.#snapshotBytes += bytes;
      },
      dropMark: (group) => this.marks.drop(group),
    };
    this.report = {
      ...{ kind: ring.kind, groups: 0, tailBatches: 0, keptBytes: 0, cutBytes: 0, droppedBatches: 0 },
      durationMs: 0,
    };
  }

  static async open(options: DataFolderOptions, lock: FolderLock): Promise<OpenFolder> {
    const startMs = options.clock.monotonicMs();
    const syncs: SyncCounts = { journal: 0, journalFill: 0, flush: 0, seal: 0, folder: 0, other: 0 };
    const counters: LogCounters = {
      ...{ syncs, flushes: 0, flushBytes: 0, directBytes: 0 },
      ...{ appendedBatches: 0, appendedBytes: 0, gatheredBytes: 0 },
    };
    const { path, disk, hash, random, settings = {}, nodeId } = options;
    const name = nodeId === undefined ? {} : { nodeId };
    const ring = await openRing({ path, disk, hash, random, options: settings, syncs, ...name });
    const folder = new OpenFolder(options, lock, ring, counters);
    try {
      if (ring.kind !== "created") await folder.#recover();
      await folder.#rooms.look();
    } catch (error) {
      await folder.#closeFiles();
      throw error;
    }
    folder.report = { ...folder.report, durationMs: options.clock.monotonicMs() - startMs };
    return folder;
  }

  get metrics(): LogMetrics {
    const { counters, settings } = this.#context;
    return {
      ...counters,
      tailBytes: this.#tailBytes(),
      frames: this.#journal.frames,
      frameBytes: this.#journal.frameBytes,
      ringBytesUsed: this.#journal.usedBytes,
      ringBytesMax: settings.journalFiles * settings.journalFileBytes,
      ringWaits: this.#journal.timesWaited,
    };
  }

  get noRoom(): string | undefined {
    return this.#rooms.refusal(this.#unflushedBytes())?.message;
  }

  groups(): Iterable<number> {
    return this.#logs.keys();
  }

  log(group: number): GroupLog | undefined {
    return this.#logs.get(group);
  }

  create(group: NewGroup): { log: GroupLog; made: Promise<void> } {
    assert(!this.#logs.has(group.group), `group ${group.group} is there already`);
    assert(group.note.length <= noteMaxBytes, `the note of group ${group.group} is too long`);
    const start = logBeginning(group.startOffset);
    const mark = { end: start, segment: 0, position: 0, commitIndex: 0 };
    const base = { index: 0, offset: group.startOffset };
    const groupState = {
      ...{ vote: { term: 0 }, life: 0, floor: { term: 0, index: 0 }, base, placed: false, mark },
      ...{ end: start, note: group.note, openCut: undefined },
    };
    this.#checkSnapshotRoom(recordBytes(stateBytes(groupState)));
    const state = logStateOf(group.group, firstLogNumber, groupState, new Tail(0));
    const log = this.#add(state, []);
    const payload = checkpointPayload(0, new Uint8Array(digestBytes), group.checkpointState);
    const made = log
      .make({ kind: BatchKind.checkpoint, payload, recordCount: 0 }, group.appendTimeMicros)
      .then(() => {})
      .catch((error: unknown) => {
        this.#drop(log);
        throw error;
      });
    return { log, made };
  }

  async remove(group: number): Promise<void> {
    const log = present(this.#logs.get(group), `group ${group} is not there`);
    const what = `The stream with id ${group}`;
    const why = "it was deleted";
    const todo = "Create it again, if it is still wanted";
    try {
      await log.endWith(new TailraceError("stream_not_found", { what, why, todo }));
      await this.#writeGone(log);
    } catch (error) {
      log.goOn();
      throw error;
    }
    const folder = `${this.#context.groupsFolder}/${group}`;
    await this.#context.handles.closeBelow(folder);
    await moveAside(this.#options.disk, this.#options.path, group);
    // Who opened a file in between would keep its room taken.
    await this.#context.handles.closeBelow(folder);
  }

  async renew(group: NewGroup, why = "it was lost here and begins anew"): Promise<GroupLog> {
    const old = present(this.#logs.get(group.group), `group ${group.group} is not there`);
    const what = `The log of the stream with id ${group.group}`;
    const words = { what, why, todo: "Ask again" };
    let log: GroupLog;
    try {
      await old.endWith(new TailraceError("not_ready", words, { fate: "nothing_written" }));
      log = await this.#writeNewLife(old, group);
    } catch (error) {
      old.goOn();
      throw error;
    }
    const { logNumber } = old.state;
    const folder = `${this.#context.groupsFolder}/${group.group}/${logNumber}`;
    await this.#context.handles.closeBelow(folder);
    await moveLogAside(this.#options.disk, this.#options.path, group.group, logNumber);
    // Who opened a file in between would keep its room taken.
    await this.#context.handles.closeBelow(folder);
    return log;
  }

  async cutDamaged(group: number, to: Mark): Promise<void> {
    await present(this.#logs.get(group), `group ${group} is not there`).cutDamaged(to);
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  snapshotBytes(): number {
    let bytes = 0;
    for (const { state } of this.#logs.values()) bytes += recordBytes(stateBytes(groupStateOf(state)));
    return bytes;
  }

  writeSnapshot(frame: FrameBuilder): void {
    for (const { state } of this.#logs.values()) {
      if (!isMade(state)) continue;
      const group = groupStateOf(state);
      const at = frame.add(RecordKind.state, state.group, state.logNumber, stateBytes(group));
      writeState(frame.bytes, at, group);
    }
  }

  async emptyFile(slot: number): Promise<void> {
    await this.#freeing.finish(slot);
  }

  frameWritten(): void {
    this.#freeing.step();
  }

  async #recover(): Promise<void> {
    const { disk, hash, path, progress } = this.#options;
    const read = (ringPosition: number, bytes: number) => this.#journal.read(ringPosition, bytes);
    const { replayed, kind } = this.#ring;
    const counts = this.#context.counters.syncs;
    const groupsFolder = `${path}/groups`;
    const recovered = await recoverLogs({
      ...{ disk, hash, groupsFolder, replayed, read },
      clean: kind === "clean",
      ...(progress ? { progress } : {}),
    });
    counts.other += recovered.syncs;
    for (const found of recovered.logs) this.#add(found.state, found.segments);
    await this.#journal.open(new StartRecords(recovered.logs, kind === "recovered"));
    this.report = {
      ...this.report,
      groups: recovered.logs.length,
      tailBatches: recovered.logs.reduce((sum, { state }) => sum + state.tail.count, 0),
      keptBytes: recovered.keptBytes,
      cutBytes: recovered.cutBytes,
      droppedBatches: recovered.droppedBatches,
    };
    await removeLeftovers(disk, path, (group) => isCalledFor(this.#logs.get(group)));
  }

  #add(state: LogState, segments: readonly { firstIndex: number; sizeBytes: number }[]): JournaledLog {
    const folder = `${this.#context.groupsFolder}/${state.group}/${state.logNumber}`;
    const log = new JournaledLog(state, new Segments(state.group, folder, segments, this.#context), this.#context);
    this.#logs.set(state.group, log);
    this.#snapshotBytes += recordBytes(stateBytes(groupStateOf(state)));
    return log;
  }

  #drop(log: JournaledLog): void {
    if (this.#logs.get(log.group) !== log) return;
    this.#logs.delete(log.group);
    log.removed();
    this.marks.forget(log.group);
    this.#snapshotBytes -= recordBytes(stateBytes(groupStateOf(log.state)));
  }

  /** A node takes no more groups than its journal's snapshot has room for: a quarter of a file. */
  #checkSnapshotRoom(bytes: number): void {
    const value = Math.floor(this.#context.settings.journalFileBytes / 4) - frameHeader.bytes;
    const actual = this.#snapshotBytes + bytes;
    if (actual <= value) return;
    const limit = { name: "journal_snapshot_max_bytes", value, actual };
    throw limitPassed("Cannot take one more stream", limit, "Delete streams, or give the journal larger files");
  }

  /** Ends the group in the journal. It is dropped in the same turn, or the next snapshot would name it again. */
  async #writeGone(log: JournaledLog): Promise<void> {
    const settled = new Promise<void>((resolve, reject) => {
      this.#journal.submit({
        urgent: true,
        repeats: true,
        contribute: (frame) => {
          if (!frame.fits(0)) return false;
          frame.add(RecordKind.gone, log.group, log.state.logNumber, 0);
          return true;
        },
        written: () => {
          this.#drop(log);
          resolve();
        },
        refused: reject,
      });
    });
    // A journal that failed settles nothing.
    await Promise.race([settled, this.#journal.idle().then(() => settled)]);
  }

  async #writeNewLife(old: JournaledLog, group: NewGroup): Promise<GroupLog> {
    const { hash } = this.#options;
    const settled = new Promise<GroupLog>((resolve, refused) => {
      // In the same turn, or the next snapshot would name the old one.
      const begun = (state: LogState) => {
        this.#drop(old);
        resolve(this.#add(state, []));
      };
      this.#journal.submit(new NewLife(old.state, group, { journal: this.#journal, hash }, { begun, refused }));
    });
    // A journal that failed settles nothing.
    return await Promise.race([settled, this.#journal.idle().then(() => settled)]);
  }

  /** Bytes that segments are still to have: of tails at the last look, and at most what was appended since. */
  #unflushedBytes(): number {
    const { gatheredBytes, appendedBytes } = this.#context.counters;
    return gatheredBytes + this.#tailsSeen.bytes + appendedBytes - this.#tailsSeen.appendedBytes;
  }

  #tailBytes(): number {
    let bytes = 0;
    for (const log of this.#logs.values()) bytes += log.state.tail.bytes;
    return bytes;
  }

  #failedForGood(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#fail(error);
    this.#journal.fail(error);
    for (const log of this.#logs.values()) log.fail(error);
  }

  async #close(): Promise<void> {
    const logs = [...this.#logs.values()];
    try {
      await this.#freeing.stop();
      for (const log of logs) await log.idle();
      for (const log of logs) await log.segments.close();
      // What failed may be neither in the journal nor in segments: the next start must look.
      if (!this.#failure) await this.#journal.close();
    } catch (error) {
      // Nothing is lost by a stop that is not clean: the next start has more to read. And who failed was told so.
      const isKnown = error instanceof NoRoomError || (error instanceof DiskError && this.#failure !== undefined);
      if (!isKnown) throw error;
    } finally {
      await this.#closeFiles().finally(() => this.#lock.release());
    }
  }

  async #closeFiles(): Promise<void> {
    await this.#journal.closeFiles();
    await this.#context.handles.closeBelow(this.#options.path);
  }
}

function stopping(): TailraceError {
  const words = { what: "Cannot append", why: "the node is stopping", todo: "Append again when it is back" };
  return new TailraceError("not_ready", words, { fate: "nothing_written" });
}

/** Number of a group's first log. */
const firstLogNumber = 1;

/** Whether the journal calls for the files of a group's log. */
function isCalledFor(log: JournaledLog | undefined): boolean {
  return log !== undefined && isPlaced(log.state);
}

/** Whether the journal has the group: batch 0 is durable. */
function isMade(state: LogState): boolean {
  return state.durable.index > 0;
}
