/**
 * What a stream's log says of its producers, fence and end, by going through all of it from its first batch: slow, and
 * simple enough to be seen to be right. What the streams answer is compared with it.
 * @module
 */
import { BatchKind, type ProducerStamp, type StoredBatch } from "../../../src/base/batch.ts";
import { sameBytes } from "../../../src/base/bytes.ts";
import { checkpointPrefixBytes, decodeCheckpoint, decodeFence, decodeTrim } from "../../../src/wire/checkpoint.ts";

/** What an append depends on. */
export interface Conditions {
  readonly producer?: ProducerStamp;
  readonly fence?: Uint8Array;
  readonly expectedOffset?: number;
}

/** What must be answered to an append, and what it tells of. */
export type Expected =
  | { readonly kind: "taken" }
  | { readonly kind: "duplicate"; readonly first: StoredBatch }
  | {
      readonly kind: "refused";
      readonly reason: "unknown_producer" | "stale_epoch" | "sequence_gap";
      readonly producer: ProducerStamp;
    }
  | { readonly kind: "refused"; readonly reason: "fenced"; readonly fence: Uint8Array }
  | { readonly kind: "refused"; readonly reason: "offset_taken"; readonly nextOffset: number };

interface NaiveProducer {
  readonly id: Uint8Array;
  readonly epoch: number;
  /** Of this epoch, by sequence. */
  readonly batches: StoredBatch[];
}

/** A producer is forgotten by the first checkpoint after so much time, microseconds. */
const forgetAfterMicros = 7 * 86_400 * 1e6;

/** All that some first batches of a log determine. */
export class NaiveState {
  readonly producers = new Map<string, NaiveProducer>();
  fence: Uint8Array = new Uint8Array(0);
  logStart = 0;
  nextOffset = 0;
  /** Index of the newest checkpoint. */
  checkpointIndex = 0;

  constructor(log: readonly StoredBatch[]) {
    log.forEach((batch, at) => {
      this.#add(batch, log[at - 1]);
    });
  }

  /** What becomes of an append that comes next. */
  expect({ producer, fence = new Uint8Array(0), expectedOffset }: Conditions): Expected {
    const byProducer = producer && this.#expectProducer(producer);
    if (byProducer) return byProducer;
    if (!sameBytes(fence, this.fence)) return { kind: "refused", reason: "fenced", fence: this.fence };
    if (expectedOffset !== undefined && expectedOffset !== this.nextOffset) {
      return { kind: "refused", reason: "offset_taken", nextOffset: this.nextOffset };
    }
    return { kind: "taken" };
  }

  #expectProducer({ id, epoch, sequence }: ProducerStamp): Expected | undefined {
    const known = this.producers.get(keyOf(id));
    const refused = (reason: "unknown_producer" | "stale_epoch" | "sequence_gap", next: [number, number]): Expected => {
      return { kind: "refused", reason, producer: { id, epoch: next[0], sequence: next[1] } };
    };
    if (known === undefined) return sequence === 0 ? undefined : refused("unknown_producer", [epoch, 0]);
    const next = known.batches.length;
    if (epoch < known.epoch) return refused("stale_epoch", [known.epoch, next]);
    if (epoch > known.epoch) return sequence === 0 ? undefined : refused("sequence_gap", [epoch, 0]);
    if (sequence > next) return refused("sequence_gap", [epoch, next]);
    const first = known.batches[sequence];
    return first && { kind: "duplicate", first };
  }

  #add(batch: StoredBatch, before: StoredBatch | undefined): void {
    this.nextOffset = batch.baseOffset + batch.recordCount;
    switch (batch.kind) {
      case BatchKind.records:
        this.#addRecords(batch);
        return;
      case BatchKind.checkpoint:
        this.#addCheckpoint(batch, before);
        return;
      case BatchKind.trim:
        this.logStart = Math.max(this.logStart, decodeTrim(batch.payload).logStart);
        return;
      case BatchKind.fence:
        this.fence = decodeFence(batch.payload);
        return;
      default:
        return;
    }
  }

  #addRecords(batch: StoredBatch): void {
    const { producer } = batch;
    if (producer === undefined) return;
    const { id, epoch } = producer;
    const known = this.producers.get(keyOf(id));
    if (known?.epoch === epoch) known.batches.push(batch);
    else this.producers.set(keyOf(id), { id, epoch, batches: [batch] });
  }

  #addCheckpoint(batch: StoredBatch, before: StoredBatch | undefined): void {
    this.checkpointIndex = batch.index;
    const sinceMicros = (before?.appendTimeMicros ?? 0) - forgetAfterMicros;
    for (const [key, { batches }] of this.producers) {
      if ((batches.at(-1)?.appendTimeMicros ?? 0) < sinceMicros) this.producers.delete(key);
    }
  }
}

/** What a checkpoint says, in a form that can be compared. */
export function toldBy(checkpoint: StoredBatch): unknown {
  const { producers, fence, logStart } = decodeCheckpoint(checkpoint.payload.subarray(checkpointPrefixBytes));
  const lines = producers.map((one) =>
    lineOf({ ...one, start: one.startOffset, count: one.recordCount, micros: one.appendTimeMicros }),
  );
  return { producers: lines.sort(), fence: hex(fence), logStart };
}

/** The same of a state: what its next checkpoint must say. */
export function tellingOf({ producers, fence, logStart }: NaiveState): unknown {
  const lines = [...producers.values()].flatMap(({ id, epoch, batches }) => {
    const last = batches.at(-1);
    if (last === undefined) return [];
    const { index, baseOffset: start, recordCount: count, appendTimeMicros: micros, digest } = last;
    return [lineOf({ id, epoch, sequence: batches.length - 1, index, start, count, micros, digest })];
  });
  return { producers: lines.sort(), fence: hex(fence), logStart };
}

function lineOf(last: {
  readonly id: Uint8Array;
  readonly epoch: number;
  readonly sequence: number;
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly micros: number;
  readonly digest: Uint8Array;
}): string {
  const { id, digest, epoch, sequence, index, start, count, micros } = last;
  return [hex(id), epoch, sequence, index, start, count, micros, hex(digest)].join(" ");
}

function keyOf(id: Uint8Array): string {
  return hex(id);
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
