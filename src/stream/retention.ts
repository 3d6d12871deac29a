/**
 * What retention keeps of a stream. Whole segments go, the oldest first:
 * - by bytes, while those that stay have as many as the setting says, so it is never less that is kept;
 * - by age, when the newest record of a segment is older. The segment that grows goes only when all its records are.
 * A look that found nothing to do says until when none is worth it, so that most streams cost nothing most of the time.
 * Elsewhere: doing it (`stream-changes.ts`), and when (`retention-rounds.ts`).
 * @module
 */
import type { LogDoor, SegmentSize } from "../replica/log-door.ts";
import type { StreamLog } from "./stream-log.ts";

/** What stays: all, the segments from one on, or none of the records below `end`, which is all there were. */
export type Kept =
  | { readonly what: "all" }
  | { readonly what: "some"; readonly index: number; readonly offset: number }
  | { readonly what: "nothing"; readonly end: number };

/** Most segments of one stream that a look takes in: the next one goes on. */
const lookMaxSegments = 1000;

/** Until when no look is worth it. */
interface Quiet {
  readonly untilMicros: number;
  /** It holds only while this is the first index of the newest segment, whoever leads. */
  readonly newest: number | undefined;
  /** It holds only while this is where the records end; absent: it does wherever they do. */
  readonly end?: number;
}

export class StreamRetention {
  readonly #log: StreamLog;
  #quiet: Quiet | undefined;

  constructor(log: StreamLog) {
    this.#log = log;
  }

  /** Settings, log start, base or segments are others: what was found before counts no more. */
  changed(): void {
    this.#quiet = undefined;
  }

  /** Whether a look may find something. Waits for nothing and reads nothing; the log's past must be known. */
  isDue(nowMicros: number): boolean {
    const { door, isDeleted, isDeleting, isSystem, state } = this.#log;
    if (door === undefined || isDeleted || isDeleting || isSystem || door.isDamaged) return false;
    const { retentionBytes, retentionAgeS } = state.part.settings;
    if (retentionBytes === 0 && retentionAgeS === 0) return false;
    const quiet = this.#quiet;
    if (quiet === undefined || nowMicros >= quiet.untilMicros || quiet.newest !== newestOf(door)) return true;
    return quiet.end !== undefined && quiet.end !== door.commit.offset;
  }

  /** What stays of the log at `nowMicros`. */
  async kept(door: LogDoor, nowMicros: number): Promise<Kept> {
    const { retentionBytes, retentionAgeS } = this.#log.state.part.settings;
    const { commit } = door;
    const newest = newestOf(door);
    const segments = door.segmentSizes();
    let base = retentionBytes === 0 ? 0 : firstKept(segments, retentionBytes);
    let quiet: Quiet = { untilMicros: Number.POSITIVE_INFINITY, newest };
    if (retentionAgeS > 0) {
      const ageMicros = retentionAgeS * 1e6;
      const young = await this.#firstYoung(door, segments, commit.offset, nowMicros - ageMicros);
      if (young === undefined) return { what: "all" };
      if (young.at === segments.length) return { what: "nothing", end: commit.offset };
      base = Math.max(base, young.at);
      const isLast = young.at === segments.length - 1;
      quiet = { untilMicros: young.newestMicros + ageMicros, newest, ...(isLast ? { end: commit.offset } : {}) };
    }
    const first = segments[base];
    if (base > 0 && first !== undefined) {
      const offset = await offsetOf(door, first);
      return offset === undefined ? { what: "all" } : { what: "some", index: first.firstIndex, offset };
    }
    this.#quiet = quiet;
    return { what: "all" };
  }

  /** No record is left, and no file but the one that grows: there is nothing to look for until something is appended. */
  emptied(door: LogDoor): void {
    const { offset: end } = door.commit;
    const isDone = door.segmentSizes().length === 1 && end === this.#log.logStart;
    if (isDone) this.#quiet = { untilMicros: Number.POSITIVE_INFINITY, newest: newestOf(door), end };
  }

  /**
   * Number of the oldest segment with a record as young as `cutoffMicros` or younger, and when its newest one was
   * appended; the count of segments: there is none. Undefined: they are others by now. Each newest record is asked itself:
   * an index is a cache, and what goes does not come back.
   */
  async #firstYoung(
    door: LogDoor,
    segments: readonly SegmentSize[],
    logEnd: number,
    cutoffMicros: number,
  ): Promise<{ at: number; newestMicros: number } | undefined> {
    for (const at of segments.keys()) {
      if (at === lookMaxSegments) return { at, newestMicros: cutoffMicros };
      const next = segments[at + 1];
      const end = next === undefined ? logEnd : await offsetOf(door, next);
      if (end === undefined) return undefined;
      // What readers are not given any more has no age.
      if (end <= this.#log.logStart) continue;
      const newestMicros = await this.#log.times.of(end - 1);
      if (newestMicros >= cutoffMicros) return { at, newestMicros };
    }
    return { at: segments.length, newestMicros: 0 };
  }
}

/** Number of the first segment to keep, so that `keepBytes` stay: the one that grows always does. */
export function firstKept(segments: readonly SegmentSize[], keepBytes: number): number {
  let bytes = 0;
  for (let at = segments.length - 1; at >= 0; at--) {
    bytes += segments[at]?.sizeBytes ?? 0;
    if (bytes >= keepBytes) return at;
  }
  return 0;
}

function newestOf(door: LogDoor): number | undefined {
  return door.segmentSizes().at(-1)?.firstIndex;
}

/** Offset that a segment begins with; undefined: another node leads meanwhile, and had it cut off here, or let go. */
async function offsetOf(door: LogDoor, { firstIndex }: SegmentSize): Promise<number | undefined> {
  const request = { from: { index: firstIndex }, belowIndex: firstIndex + 1, maxBytes: 1 };
  const [checkpoint] = await door.read(request);
  return checkpoint?.baseOffset;
}
