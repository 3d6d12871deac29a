/**
 * When a log begins its next segment, and the checkpoint that begins it.
 * @module
 */
import { BatchKind } from "../base/batch.ts";
import type { Clock } from "../host/clock.ts";
import { checkpointPayload } from "./batch-writer.ts";
import type { LogState } from "./log-state.ts";
import type { Segments } from "./segments.ts";
import type { CheckpointState, NewBatch, SegmentLimits } from "./types.ts";

/** Counts what the segment that the next batch belongs to has. */
export class Rolling {
  readonly #log: LogState;
  readonly #segments: Segments;
  readonly #clock: Clock;
  #limits: SegmentLimits | undefined;
  #checkpointState: CheckpointState = () => new Uint8Array(0);
  #onStamped: NewBatch["stamped"];
  /** Index of its checkpoint. */
  #firstIndex = 0;
  #bytes = 0;
  /** Append time of its checkpoint, once it is known. */
  #sinceMicros: number | undefined;
  /** The same of the newest checkpoint that is durable. */
  #durableSinceMicros: number | undefined;

  constructor(log: LogState, segments: Segments, clock: Clock) {
    this.#log = log;
    this.#segments = segments;
    this.#clock = clock;
    this.takenBack();
  }

  begin(limits: SegmentLimits, checkpointState: CheckpointState, stamped?: NewBatch["stamped"]): void {
    this.#limits = limits;
    this.#checkpointState = checkpointState;
    this.#onStamped = stamped;
  }

  /** Whether the segment has more than its checkpoint. */
  get isBegun(): boolean {
    return this.#log.stamped.index > this.#firstIndex + 1;
  }

  /** Whether the next batch must be a checkpoint. Never right after one: a checkpoint may be larger than the limit. */
  get isDue(): boolean {
    if (!this.#limits || !this.isBegun) return false;
    if (this.#bytes >= this.#limits.maxBytes) return true;
    const since = this.#sinceMicros;
    return since !== undefined && this.#clock.nowMicros() - since >= this.#limits.maxAgeMicros;
  }

  /** The checkpoint to stamp next. */
  checkpoint(): NewBatch {
    const { stamped } = this.#log;
    const payload = checkpointPayload(
      stamped.term,
      stamped.digest,
      this.#checkpointState(stamped.index, stamped.appendTimeMicros),
    );
    const onStamped = this.#onStamped;
    return { kind: BatchKind.checkpoint, payload, recordCount: 0, ...(onStamped ? { stamped: onStamped } : {}) };
  }

  /** A batch was stamped. */
  stamped(batch: { kind: BatchKind; index: number; bytes: number; appendTimeMicros: number }): void {
    if (batch.kind === BatchKind.checkpoint) {
      this.#firstIndex = batch.index;
      this.#bytes = 0;
      this.#sinceMicros = batch.appendTimeMicros;
    }
    this.#bytes += batch.bytes;
  }

  /** A checkpoint became durable. */
  durable(batch: { kind: BatchKind; appendTimeMicros: number }): void {
    if (batch.kind === BatchKind.checkpoint) this.#durableSinceMicros = batch.appendTimeMicros;
  }

  /** The newest checkpoint was read, which is how its time is known after a start. */
  read(checkpoint: { appendTimeMicros: number }): void {
    this.#durableSinceMicros ??= checkpoint.appendTimeMicros;
    this.#sinceMicros ??= checkpoint.appendTimeMicros;
  }

  /** The log may have been cut, or begun anew: then the newest checkpoint is another, whose time is not known. */
  changed(): void {
    const before = this.#firstIndex;
    this.takenBack();
    if (this.#firstIndex === before) return;
    this.#durableSinceMicros = undefined;
    this.#sinceMicros = undefined;
  }

  /** All stamps that are not durable were taken back. */
  takenBack(): void {
    const { tail } = this.#log;
    const inTail = tail.lastCheckpoint;
    const active = this.#segments.active;
    this.#firstIndex = inTail ?? active?.firstIndex ?? this.#log.base.index;
    this.#bytes = inTail === undefined ? (active?.sizeBytes ?? 0) : 0;
    for (let index = inTail ?? tail.startIndex; index < tail.endIndex; index++) this.#bytes += tail.entry(index).bytes;
    this.#sinceMicros = this.#durableSinceMicros;
  }
}
