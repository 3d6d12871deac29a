/**
 * Where one log stands. Its parts (appending, flushing, reading) share this and nothing else.
 * - flushed <= durable <= stamped, and commit <= durable.
 * - The tail holds the batches from flushed to what is journaled.
 * @module
 */
import type { GroupState, Mark } from "./group-state.ts";
import { Tail } from "./tail.ts";
import type { Floor, LogPosition, Vote } from "./types.ts";

/** What a group's log is now. */
export interface LogState {
  readonly group: number;
  logNumber: number;
  vote: Vote;
  readonly life: number;
  floor: Floor;
  base: { readonly index: number; readonly offset: number };
  note: Uint8Array;
  /** The journal knows that folder and first file are there. */
  placed: boolean;
  /** Segments are synced up to here. */
  flushed: Mark;
  tail: Tail;
  /** A cut into segments that is durable in the journal, and in the files perhaps not yet. */
  openCut: Mark | undefined;
  /** What is durable ends here. */
  durable: LogPosition;
  /** What has an index ends here; the rest of it is on its way to the disk. */
  stamped: LogPosition;
  /** Known to be committed, with the offset there; after a start it is the base until somebody knows more. */
  commit: { index: number; offset: number };
  /** All below was committed, as far as marks and callers said: it may be above `commit`, whose offset must be known. */
  committed: number;
  /** Why nothing is appended any more; reads go up to the damage. */
  damage: string | undefined;
}

/** A log as recovery found it, its journaled batches in `tail`. */
export function logStateOf(group: number, logNumber: number, state: GroupState, tail: Tail): LogState {
  const { mark } = state;
  return {
    group,
    logNumber,
    vote: state.vote,
    life: state.life,
    floor: state.floor,
    base: state.base,
    note: state.note,
    placed: state.placed,
    flushed: mark,
    tail,
    openCut: state.openCut,
    durable: mark.end,
    stamped: mark.end,
    commit: { index: state.base.index, offset: state.base.offset },
    committed: Math.max(state.base.index, mark.commitIndex),
    damage: undefined,
  };
}

/** What a snapshot says of a log. */
export function groupStateOf(log: LogState): GroupState {
  return {
    vote: log.vote,
    life: log.life,
    floor: log.floor,
    base: log.base,
    placed: isPlaced(log),
    mark: markOf(log),
    end: log.durable,
    note: log.note,
    openCut: log.openCut,
  };
}

/** What the journal is to say of its segments. */
export function markOf(log: LogState): Mark {
  return { ...log.flushed, commitIndex: log.committed };
}

/** Whether its folder and first file are on the disk, known to the journal or not yet. */
export function isPlaced(log: LogState): boolean {
  return log.placed || log.flushed.end.index > log.base.index;
}

/** A tail that begins where the segments end. */
export function emptyTail(mark: Mark): Tail {
  return new Tail(mark.end.index);
}
