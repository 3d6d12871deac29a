/**
 * What clients did and what they were told, and the log that came out of it: what a checker of linearizability needs to
 * know of a run.
 * - An operation is what a client called once, however often nodes sent it on. A call that was refused or failed after a
 *   try of unknown fate is of unknown fate itself: who records it says so.
 * - Batches are known by their value. Each has a value of its own; the tries of a producer's batch share one, and are the
 *   same in all that they ask for.
 * - Positions count batches or records from 0, ends are exclusive, times are milliseconds of virtual time.
 * Elsewhere: whether it is as it must be (`check.ts`), the sequential log that it is compared with (`model.ts`).
 * @module
 */

/** When something happened. */
export interface Moment {
  readonly ms: number;
  /** Place among all moments of the run: each has another. */
  readonly order: number;
}

/** Which batch of a producer it is. */
export interface Stamp {
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
}

/** The same batch of the same producer, or none both. */
export function isSameStamp(one: Stamp | undefined, other: Stamp | undefined): boolean {
  return one?.id === other?.id && one?.epoch === other?.epoch && one?.sequence === other?.sequence;
}

/** Something that a client called. */
interface Call {
  readonly client: number;
  readonly stream: string;
  readonly invoked: Moment;
}

/** A batch is to be appended. */
export interface AppendOperation extends Call {
  readonly kind: "append";
  readonly value: string;
  /** Number of records, at least 1. */
  readonly count: number;
  readonly producer?: Stamp;
  /** The next offset must be this. */
  readonly expectedOffset?: number;
  /** The fence token that must be in force; without one none may be. */
  readonly fence?: string;
  readonly outcome: AppendOutcome;
}

/** What became of an append, as far as its client knows. */
export type AppendOutcome =
  | {
      readonly kind: "ok";
      readonly returned: Moment;
      readonly index: number;
      readonly baseOffset: number;
      readonly nextOffset: number;
      readonly digest: string;
    }
  /** It was there before; `first`: where, unless that is forgotten. A call that was sent on twice may be its own first. */
  | {
      readonly kind: "duplicate";
      readonly returned: Moment;
      readonly first?: BatchPlace;
    }
  /** It was not taken, because of what is shown. */
  | { readonly kind: "refused"; readonly returned: Moment; readonly shown: Shown }
  | Failed
  | Unknown;

/** Where a batch stands. */
export interface BatchPlace {
  readonly index: number;
  readonly baseOffset: number;
}

/** The state that a refusal shows. */
export type Shown =
  | { readonly kind: "offset"; readonly nextOffset: number }
  /** What would be taken of the producer. */
  | { readonly kind: "producer"; readonly epoch: number; readonly sequence: number }
  /** The token in force; empty: none. */
  | { readonly kind: "fence"; readonly token: string };

/** It failed: nothing was written, or read. */
interface Failed {
  readonly kind: "failed";
  readonly returned: Moment;
}

/** It may take effect at any time since it was called, or never. `returned`: the client does not wait any more. */
interface Unknown {
  readonly kind: "unknown";
  readonly returned?: Moment;
}

/** From here on only appends that name this token are taken; after an empty one those that name none. */
export interface FenceOperation extends Call {
  readonly kind: "fence";
  /** Of its control batch. */
  readonly value: string;
  readonly token: string;
  readonly outcome: { readonly kind: "ok"; readonly returned: Moment; readonly nextOffset: number } | Failed | Unknown;
}

/** Records are to be read. */
export interface ReadOperation extends Call {
  readonly kind: "read";
  /** First offset wanted; inside a batch is fine, that whole batch is returned. */
  readonly from: number;
  readonly consistency: Consistency;
  readonly outcome: ReadOutcome | Failed | Unknown;
}

/** How new the answer of a read must be. */
export type Consistency =
  | { readonly kind: "linearizable" }
  /** Anything that was ever committed. */
  | { readonly kind: "local" }
  /** A local read, of a replica that knows all below this offset to be committed. */
  | { readonly kind: "atLeast"; readonly offset: number };

/** What a read was answered with. A refusal that says where the log ends is one: it has no batches. */
export interface ReadOutcome {
  readonly kind: "ok";
  readonly returned: Moment;
  /** Batches of records, in order. */
  readonly batches: readonly SeenBatch[];
  readonly highWatermark: number;
  /** A limit of size was met: there is at least one batch where there are any, and the rest is left out. */
  readonly isLimited?: true;
}

/** A batch as a client reads it. */
export interface SeenBatch {
  readonly index: number;
  readonly baseOffset: number;
  readonly count: number;
  readonly value: string;
  readonly digest: string;
}

/** What a client called, and what became of it. */
export type Operation = AppendOperation | FenceOperation | ReadOperation;

/** A batch of the log on which all replicas agree in the end. */
export interface LogBatch {
  readonly index: number;
  readonly baseOffset: number;
  /** Number of records, 0 in control batches. */
  readonly count: number;
  readonly digest: string;
  /** Absent in control batches that no client asked for. */
  readonly value?: string;
  readonly producer?: Stamp;
  /** The token that this batch puts in force; empty: none is from here on. */
  readonly fence?: string;
}
