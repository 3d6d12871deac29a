/**
 * Writes batches to the segments of one log, seals a segment that is full and begins the next one.
 * @module
 */
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { DiskFile } from "../host/disk.ts";
import type { LogContext } from "./context.ts";
import type { Taken } from "./flush-taken.ts";
import type { LogState } from "./log-state.ts";
import type { Segments } from "./segments.ts";

/** The files of one log, for writing. One flush at a time begins a segment; two may write to one. */
export class SegmentWriter {
  readonly #log: LogState;
  readonly #segments: Segments;
  readonly #context: LogContext;
  /** New segments' files that were begun and refused. */
  readonly #abandoned = new Set<string>();
  /** Writes to the segment that grows that are not synced. */
  #unsynced = 0;
  #foldersMade: boolean;

  constructor(log: LogState, segments: Segments, context: LogContext) {
    this.#log = log;
    this.#segments = segments;
    this.#context = context;
    this.#foldersMade = log.placed;
  }

  /** Seals the segment that grows, and begins the next. @throws {NoRoomError} @throws {DiskError} */
  async begin(firstIndex: number): Promise<void> {
    const { handles, counters, disk } = this.#context;
    const sealed = this.#segments.active;
    if (sealed) {
      await handles.use(sealed.path, false, async (file) => {
        await there(file, sealed.path).truncate(sealed.sizeBytes);
        counters.syncs.seal += 1;
        await file?.sync();
      });
      await sealed.writeIndexFile();
    }
    if (!this.#foldersMade) await disk.makeFolder(this.#segments.folder);
    this.#segments.begin(firstIndex);
  }

  /**
   * Writes and syncs, through one handle, in a segment that is new or grows.
   * @param syncTurn Resolves when it may sync; false: the flushes before it failed, and so does this one.
   */
  async write(path: string, taken: Taken, isNew: boolean, syncTurn: () => Promise<boolean>): Promise<boolean> {
    const { handles, counters } = this.#context;
    let isOpened = false;
    try {
      const synced = await handles.use(path, isNew, async (file) => {
        isOpened = true;
        if (!isNew) this.#unsynced += 1;
        await there(file, path).write(taken.parts, taken.position);
        if (!(await syncTurn())) return false;
        counters.syncs.flush += 1;
        await file?.sync();
        if (!isNew) this.#unsynced -= 1;
        return true;
      });
      if (!synced) return false;
    } catch (error) {
      if (error instanceof NoRoomError && isNew) {
        this.#segments.abandonLast();
        if (isOpened) this.#abandoned.add(path);
      }
      throw error;
    }
    if (isNew) await this.#syncFolders();
    return true;
  }

  async #syncFolders(): Promise<void> {
    const { folderSyncs, groupsFolder } = this.#context;
    await folderSyncs.sync(this.#segments.folder);
    if (this.#foldersMade) return;
    await folderSyncs.sync(`${groupsFolder}/${this.#log.group}`);
    await folderSyncs.sync(groupsFolder);
    this.#foldersMade = true;
  }

  /**
   * Cuts off what was refused, if any of it was written: where no file could be opened none can be now. Synced, or it could
   * be back after a power cut. @throws {NoRoomError} It is to be tried again, before anything else is written.
   */
  async cutBack(): Promise<void> {
    const { handles, counters, disk, folderSyncs } = this.#context;
    const active = this.#segments.active;
    if (active && this.#unsynced > 0) {
      await handles.use(active.path, false, async (file) => {
        if (!file) return;
        await file.truncate(active.sizeBytes);
        counters.syncs.other += 1;
        await file.sync();
      });
      this.#unsynced = 0;
    }
    if (this.#abandoned.size === 0) return;
    for (const path of this.#abandoned) {
      await handles.close(path);
      await disk.remove(path);
    }
    await folderSyncs.sync(this.#segments.folder);
    this.#abandoned.clear();
  }
}

/** The file of a segment that was begun. */
function there(file: DiskFile | undefined, path: string): DiskFile {
  if (!file) throw new DiskError(`${path} is gone, and batches are to be written to it`, "ENOENT");
  return file;
}
