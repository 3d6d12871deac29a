import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { checkpointPrefixBytes, decodeCheckpoint } from "../../wire/checkpoint.ts";
import { controlPayloadJson } from "../../wire/control-payload.ts";
import { fromMicros } from "../../wire/timestamp.ts";
import { isoOf } from "../json-printer.ts";
import type { BatchPlace } from "./log-findings.ts";

/** The name of a kind of batch. */
export function kindName(kind: BatchKind): string {
  return Object.entries(BatchKind).find(([, value]) => value === kind)?.[0] ?? String(kind);
}

/** Append times as users see them; 0 is none. */
export function timeOf(micros: number): string | undefined {
  return micros === 0 ? undefined : isoOf(fromMicros(micros));
}

/** Where a checkpoint stands. */
export interface CheckpointPlace {
  readonly index: number;
  readonly offset: number;
  readonly time: string | undefined;
  readonly file: string;
  readonly position: number;
}

/** The last batch of a producer. */
export interface ProducerPlace {
  /** In hexadecimal. */
  readonly id: string;
  readonly epoch: number;
  readonly sequence: number;
  readonly index: number;
  readonly offset: number;
}

/** What a log's batches tell of it, as they are shown one after the other. */
export class StreamFacts {
  readonly checkpoints: CheckpointPlace[] = [];
  /** How many batches of each kind. */
  readonly kinds: Record<string, number> = {};
  /** What the last checkpoint says, and the control batches behind it. */
  #checkpoint: StoredBatch | undefined;
  #later: StoredBatch[] = [];
  #producers = new Map<string, ProducerPlace>();
  lastMicros = 0;

  visit(batch: StoredBatch, { file, position }: BatchPlace): void {
    const name = kindName(batch.kind);
    this.kinds[name] = (this.kinds[name] ?? 0) + 1;
    this.lastMicros = batch.appendTimeMicros;
    const { producer } = batch;
    if (producer) {
      const { epoch, sequence } = producer;
      const id = Buffer.from(producer.id).toString("hex");
      this.#producers.set(id, { id, epoch, sequence, index: batch.index, offset: batch.baseOffset });
    }
    if (batch.recordCount > 0) return;
    const { index, baseOffset: offset, appendTimeMicros } = batch;
    // Views that are shown are good only for now.
    const kept = {
      ...batch,
      header: batch.header.slice(),
      payload: batch.payload.slice(),
      digest: batch.digest.slice(),
    };
    if (batch.kind !== BatchKind.checkpoint) {
      this.#later.push(kept);
      return;
    }
    this.checkpoints.push({ index, offset, time: timeOf(appendTimeMicros), file, position });
    this.#checkpoint = kept;
    this.#later = [];
    this.#producers = producersIn(kept);
  }

  /** Producers that are known at the end: the last batch of each. */
  get producers(): ProducerPlace[] {
    return [...this.#producers.values()];
  }

  /** The last checkpoint's message. */
  get checkpoint(): unknown {
    return this.#checkpoint && messageOf(this.#checkpoint);
  }

  /** The control batches after it, each with its message. */
  get later(): object[] {
    return this.#later.map((batch) => ({ index: batch.index, kind: kindName(batch.kind), says: messageOf(batch) }));
  }
}

/** The producers that a checkpoint names; none where it can't be read. */
function producersIn({ payload }: StoredBatch): Map<string, ProducerPlace> {
  try {
    const { producers } = decodeCheckpoint(payload.subarray(checkpointPrefixBytes));
    return new Map(
      producers.map(({ epoch, sequence, index, startOffset: offset, ...producer }) => {
        const id = Buffer.from(producer.id).toString("hex");
        return [id, { id, epoch, sequence, index, offset }];
      }),
    );
  } catch {
    return new Map();
  }
}

/** What a control batch says; what can't be read is given in hexadecimal. */
export function messageOf({ kind, payload }: StoredBatch): unknown {
  try {
    return controlPayloadJson(kind, payload) ?? {};
  } catch {
    return Buffer.from(payload).toString("hex");
  }
}
