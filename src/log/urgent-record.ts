/**
 * Records of a log that are no batches: what changes it, and what its replica promised. They may use the room that the
 * journal holds back, since without them nothing ever frees any.
 * @module
 */
import type { NoRoomError } from "../base/disk-errors.ts";
import type { LogContext } from "./context.ts";
import type { FrameBuilder } from "./frame-writer.ts";

/** One or more records, in one frame. */
export interface UrgentRecord {
  readonly fits: (frame: FrameBuilder) => boolean;
  readonly add: (frame: FrameBuilder) => void;
  /** Called in the turn in which it is durable, before any snapshot. */
  readonly written: () => void;
}

/** Writes it with the next frame. @throws {NoRoomError} Nothing of it counts. @throws {Error} The folder failed. */
export async function writeRecord(context: LogContext, group: number, record: UrgentRecord): Promise<void> {
  const { journal } = context;
  const settled = new Promise<void>((resolve, reject) => {
    journal.submit({
      urgent: true,
      repeats: true,
      contribute: (frame) => {
        // A mark that waits is of the log as it is before: behind the record it would be taken for what comes after.
        if (!context.writeMark(group, frame) || !record.fits(frame)) return false;
        record.add(frame);
        return true;
      },
      written: () => {
        record.written();
        resolve();
      },
      refused: (error: NoRoomError) => reject(error),
    });
  });
  // A journal that failed settles nothing.
  await Promise.race([settled, journal.idle().then(() => settled)]);
}
