/**
 * Counts what happened in a run, from outside of the log: by the frames that it is seen to write, the calls that it makes
 * and what it answers. `mustHappen` is what a whole set of runs must have met, or it shows nothing.
 * @module
 */
import { getU64, viewOf } from "../base/bytes.ts";
import { FrameKind, frameHeader, RecordKind, recordHeader } from "../log/format.ts";
import { type FrameRecord, recordsOf } from "../log/frame-reader.ts";
import type { RecoveryReport } from "../log/types.ts";
import type { Tally } from "./disk.ts";

const recordNames = [
  "base",
  "batch",
  "batch, carried",
  "cut",
  "cut into segments",
  "cutDone",
  "floor",
  "gone",
  "life",
  "log",
  "made",
  "mark",
  "note",
  "placed",
  "state",
  "vote",
] as const;

const ways = ["flip", "cut", "remove"] as const;

/** What a set of runs must have met, each at least once. */
export const mustHappen: readonly string[] = [
  // What the log wrote, and what starts found of it.
  ...recordNames.map((name) => `record written: ${name}`),
  ...recordNames.map((name) => `record replayed: ${name}`),
  "frame written: frame",
  "frame written: snapshot",
  "frame written: clean",
  "journal file used again",
  "journal file freed",
  // How it starts.
  "start: clean",
  "start: created",
  "start: recovered",
  "start: bytes above a mark kept",
  "start: torn bytes cut",
  "start: tail found in the journal",
  "start: segment bytes written again",
  "start: segment made shorter",
  "start: segment file removed",
  "start: other log removed",
  "start: folder of a group removed",
  "start: cut redone",
  "start: mark moved",
  "start: went on in another journal file",
  "state from the last checkpoint",
  // What was asked of it.
  "append",
  "append after room came back",
  "fed with a checkpoint",
  "feed refused: another place",
  "taken back",
  "read ahead",
  "read by terms",
  "promise saved",
  "changed: cut",
  "changed: drop",
  "changed: install",
  "changed: renew",
  "group removed",
  "read by headers",
  "read by index",
  "read by offset",
  "read by time",
  "closed",
  // What it refused.
  "append refused",
  "making refused",
  "removal refused",
  "change refused: cut",
  "change refused: drop",
  "change refused: install",
  "refused: ENOSPC",
  "refused: free_space_reserve",
  "refused: no room",
  "refused: stream_not_found",
  "refused: append_queue_max_bytes",
  "refused: journaled_batch_max_bytes",
  "start refused for want of room",
  // What went wrong.
  "death at work",
  "death in recovery",
  "power cut",
  "power cut that lost sectors",
  "failed sync",
  "volume full",
  "write without room",
  "writing back failed",
  "writing back failed with nobody to tell",
  ...["segment", "index", "journal", "id"].flatMap((file) => ways.map((way) => `damage planted: ${file}, ${way}`)),
  "damage: start refused",
  "damage: said at the start",
  "damage: a read is refused",
  "damage: found by a self-check",
  "damage: mended",
];

/** Counts for one run. */
export class Coverage {
  readonly #tally: Tally;
  /** Records of each frame, by its number: what a start replays. */
  readonly #frames = new Map<number, { readonly crc: number; readonly names: readonly string[] }>();
  readonly #filesWritten = new Set<string>();
  #freed = 0;
  /** The next frame is the first one of a life. */
  #isFirst = true;

  constructor(tally: Tally) {
    this.#tally = tally;
  }

  count(what: string): void {
    this.#tally.set(what, (this.#tally.get(what) ?? 0) + 1);
  }

  /** A life began. */
  began(): void {
    this.#isFirst = true;
  }

  /** A start is over. */
  started({ kind, keptBytes, cutBytes, tailBatches }: RecoveryReport): void {
    this.count(`start: ${kind}`);
    if (keptBytes > 0) this.count("start: bytes above a mark kept");
    if (cutBytes > 0) this.count("start: torn bytes cut");
    if (tailBatches > 0) this.count("start: tail found in the journal");
  }

  /** The log calls the disk. */
  called(what: string, path: string, phase: "start" | "work"): void {
    if (phase === "work" || !path.startsWith("/data/groups/")) return;
    const isStore = path.endsWith(".log");
    if (what === "write" && isStore) this.count("start: segment bytes written again");
    if (what === "truncate" && isStore) this.count("start: segment made shorter");
    if (what !== "remove") return;
    const depth = path.split("/").length;
    if (isStore) this.count("start: segment file removed");
    else if (depth === 5) this.count("start: other log removed");
    else if (depth === 4) this.count("start: folder of a group removed");
  }

  /** Bytes are about to be written to a file. */
  written(path: string, parts: readonly Uint8Array[], at: number): void {
    const [bytes] = parts;
    if (!bytes || !path.startsWith("/data/journal/") || bytes.length < frameHeader.bytes) return;
    const view = viewOf(bytes);
    if (view.getUint32(frameHeader.magicAt, true) !== frameHeader.magic) return;
    const length = view.getUint32(frameHeader.lengthAt, true);
    if (length > bytes.length) return;
    const number = getU64(view, frameHeader.numberAt);
    const crc = view.getUint32(frameHeader.crcAt, true);
    // A start writes the newest frame again.
    if (this.#frames.get(number)?.crc === crc) return;
    const kind = bytes[frameHeader.kindAt];
    this.#frame({ number, crc, freed: getU64(view, frameHeader.freedAt), kind }, bytes.subarray(0, length));
    if (kind === FrameKind.snapshot && at === 0) {
      if (this.#filesWritten.has(path)) this.count("journal file used again");
      this.#filesWritten.add(path);
    }
  }

  #frame(header: { number: number; crc: number; freed: number; kind: number | undefined }, bytes: Uint8Array): void {
    const { number, crc, freed, kind } = header;
    const frameKind = kind === FrameKind.snapshot ? "snapshot" : kind === FrameKind.clean ? "clean" : "frame";
    const frame = { kind: FrameKind.frame, number, incarnation: 0, freed, files: 0, position: 0, bytes };
    const names = [...recordsOf(frame)].map(nameOf);
    this.count(`frame written: ${frameKind}`);
    for (const name of names) this.count(`record written: ${name}`);
    if (freed > this.#freed) this.count("journal file freed");
    this.#freed = freed;
    if (this.#isFirst) this.#firstOfLife(number, frameKind, names);
    this.#isFirst = false;
    this.#frames.set(number, { crc, names });
    for (const old of this.#frames.keys()) if (old <= freed) this.#frames.delete(old);
  }

  #firstOfLife(number: number, frameKind: string, names: readonly string[]): void {
    for (const [before, replayed] of this.#frames) {
      if (before >= number) this.#frames.delete(before);
      else for (const name of replayed.names) this.count(`record replayed: ${name}`);
    }
    if (frameKind === "snapshot" && number > 1) this.count("start: went on in another journal file");
    if (names.includes("cutDone")) this.count("start: cut redone");
    if (names.includes("mark")) this.count("start: mark moved");
  }
}

function nameOf({ kind, flags }: FrameRecord): string {
  const [name = "unknown"] = Object.entries(RecordKind).find(([, value]) => value === kind) ?? [];
  if (kind === RecordKind.batch && (flags & recordHeader.carried) !== 0) return `${name}, carried`;
  if (kind === RecordKind.cut && (flags & recordHeader.cutsSegments) !== 0) return `${name} into segments`;
  return name;
}
