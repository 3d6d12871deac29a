/**
 * A file system as the log needs it. docs/disk.md says what each call promises and, as important, what none does.
 * Paths are absolute. Every call may throw `DiskError` (final) or, where room can run out, `NoRoomError`
 * (base/disk-errors.ts).
 * @module
 */

/** How to open a file. */
export interface OpenOptions {
  /** Make it if it is not there; otherwise opening a missing file gives `undefined`. */
  readonly create: boolean;
}

/** Free and whole size of the volume that holds a path, bytes. */
export interface DiskSpace {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

/** A lock on a folder; it ends with the process that holds it at the latest. */
export interface FolderLock {
  release(): Promise<void>;
}

/** The file system. */
export interface Disk {
  /** Opens a file to read and write. `undefined`: not there, and not asked to make it. */
  open(path: string, options: OpenOptions): Promise<DiskFile | undefined>;
  /** Names in a folder, in no order. `undefined`: no such folder. */
  list(path: string): Promise<string[] | undefined>;
  /** Makes a folder and those above it that are missing; one that is there is fine. */
  makeFolder(path: string): Promise<void>;
  /** Moves a file or folder within the volume, over an old file of that name. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file, or a folder with all that is in it; one that is not there is fine. */
  remove(path: string): Promise<void>;
  /** Makes durable which names a folder has. */
  syncFolder(path: string): Promise<void>;
  /** Room on the volume. */
  space(path: string): Promise<DiskSpace>;
  /** Takes the lock of a folder. `undefined`: somebody else has it. */
  lock(path: string): Promise<FolderLock | undefined>;
}

/** What reading alone needs of a file system. */
export type DiskReads = Pick<Disk, "open" | "list">;

/** An open file. */
export interface DiskFile {
  /** Its size, bytes. */
  size(): Promise<number>;
  /** Fills `into` from position `at`; gives the number of bytes read, fewer only at the file's end. */
  read(into: Uint8Array, at: number): Promise<number>;
  /** The same for bytes that were written a short while ago: they are cached, so waiting costs more than reading. */
  readRecent(into: Uint8Array, at: number): Promise<number>;
  /** Writes all `parts`, one after the other, from position `at`; all or throws. */
  write(parts: readonly Uint8Array[], at: number): Promise<void>;
  /** Makes all that was written through this file durable, with the size that it needs. Never tried again. */
  sync(): Promise<void>;
  /** Cuts the file to `size` bytes. Durable with the next `sync`. */
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}
