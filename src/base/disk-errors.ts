/**
 * The two ways in which a disk says no (docs/disk.md). They are told apart by class because the answers are opposite:
 * without room an append is refused and life goes on; any other failure ends the node.
 * @module
 */

/** No room, before anything counted: what was written of the request may be cut off again. */
export class NoRoomError extends Error {
  override readonly name = "NoRoomError";
  /**
   * What the system called it, such as `ENOSPC` (volume full) or `EMFILE` (too many open files), or the limit of ours
   * that was met, such as `free_space_reserve`.
   */
  readonly code: string | undefined;
  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

/** Final: a write or sync failed, and what the disk holds is not known. Never retried, never acknowledged past. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  /** What the system called it, such as `EIO`, `EACCES` or `EROFS`; absent where it gave no name. */
  readonly code: string | undefined;
  constructor(message: string, code?: string) {
    super(message);
    this.code = code;
  }
}

/** The folder can't be used as it is: locked, unwritable, damaged or of another version. Says what to do. */
export class DataFolderError extends Error {
  override readonly name = "DataFolderError";
  readonly todo: string;
  constructor(message: string, todo: string) {
    super(message);
    this.todo = todo;
  }
}
