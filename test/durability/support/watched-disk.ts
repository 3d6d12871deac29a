/**
 * The machine's disk, which tells what the log does with it: so a kill can be made to meet it.
 * @module
 */
import { viewOf } from "../../../src/base/bytes.ts";
import type { Disk, DiskFile } from "../../../src/host/disk.ts";
import { nodeDisk } from "../../../src/host/node-disk.ts";
import { FrameKind, frameHeader, RecordKind, recordHeader } from "../../../src/log/format.ts";

/** Told of the begin and the end of what the log does. */
export interface Watcher {
  begins(what: string): void;
  over(what: string): void;
}

/**
 * - `flush`: a segment is written and synced.
 * - `carry`: a frame with copies of batches is written and synced.
 * - `reuse`: a snapshot is, at the beginning of a file of the ring.
 * - `cut files`: files are being cut, from the record's frame to that of `cut done`.
 */
export function watchedDisk(watcher: Watcher): Disk {
  const disk = nodeDisk();
  return {
    ...disk,
    async open(path, options) {
      const file = await disk.open(path, options);
      if (file && /\/journal\/\d+$/.test(path)) watchJournal(file, watcher);
      else if (file && path.endsWith(".log")) watchSegment(file, watcher);
      return file;
    },
  };
}

function watchSegment(file: DiskFile, watcher: Watcher): void {
  const { write, sync } = bound(file);
  let writing = 0;
  file.write = async (parts, at) => {
    if (writing++ === 0) watcher.begins("flush");
    await write(parts, at);
  };
  file.sync = async () => {
    await sync();
    if (writing > 0) watcher.over("flush");
    writing = 0;
  };
}

function watchJournal(file: DiskFile, watcher: Watcher): void {
  const { write, sync } = bound(file);
  let begun: string[] = [];
  file.write = async (parts, at) => {
    const [frame] = parts;
    const whats = frame ? whatIsIn(frame) : new Set<string>();
    for (const what of whats) if (what !== "cut files done") watcher.begins(what);
    begun.push(...whats);
    await write(parts, at);
  };
  file.sync = async () => {
    await sync();
    // A cut of files goes on until the frame that says that it is done.
    for (const what of begun) if (what !== "cut files") watcher.over(what.replace(/ done$/, ""));
    begun = [];
  };
}

function whatIsIn(bytes: Uint8Array): Set<string> {
  const found = new Set<string>();
  const view = viewOf(bytes);
  if (bytes.length < frameHeader.bytes || view.getUint32(frameHeader.magicAt, true) !== frameHeader.magic) return found;
  if (view.getUint8(frameHeader.kindAt) === FrameKind.snapshot) return found.add("reuse");
  const end = view.getUint32(frameHeader.lengthAt, true);
  for (let at: number = frameHeader.bytes; at < end; at += view.getUint32(at + recordHeader.lengthAt, true)) {
    const kind = view.getUint8(at + recordHeader.kindAt);
    const flags = view.getUint8(at + recordHeader.flagsAt);
    if (kind === RecordKind.batch && (flags & recordHeader.carried) !== 0) found.add("carry");
    if (kind === RecordKind.cut && (flags & recordHeader.cutsSegments) !== 0) found.add("cut files");
    if (kind === RecordKind.cutDone) found.add("cut files done");
  }
  return found;
}

function bound(file: DiskFile): Pick<DiskFile, "write" | "sync"> {
  return { write: file.write.bind(file), sync: file.sync.bind(file) };
}
