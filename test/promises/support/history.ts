/**
 * All that was asked of a stream and answered, beside all that its log holds; and whether the two agree.
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { BatchKind, type StoredBatch } from "../../../src/base/batch.ts";
import type { TailraceError } from "../../../src/base/errors.ts";
import { RecordsWriter } from "../../../src/base/records-writer.ts";
import type { GroupLog } from "../../../src/log/types.ts";
import type { AppendAnswer } from "../../../src/stream/types.ts";
import { type Conditions, type Expected, hex, NaiveState, tellingOf, toldBy } from "./naive-log.ts";

/** One append, numbered in the order of the calls: its payload says which it is. */
export interface Call extends Conditions {
  readonly number: number;
  readonly recordCount: number;
  /** Absent: nobody lived to hear it. */
  outcome?: { readonly answer: AppendAnswer } | { readonly refusal: TailraceError };
}

/** How many batches of a producer are known with their offsets since the last checkpoint, the last one not counted. */
const recentMax = 64;
const readMaxBytes = 1 << 20;

/** What is said when nothing of an append was written, whatever the log holds. */
const noRoom = ["disk_full", "limit", "not_ready"];

/** The calls and the log of one stream over all of a run's lives. */
export class History {
  readonly calls: Call[] = [];
  /** All batches from index 0 on, also those that trims let go: they are read before. */
  readonly log: StoredBatch[] = [];
  /** Which of the calls stands in each batch of records. */
  readonly #callOf = new Map<StoredBatch, Call>();
  #reading: Promise<void> = Promise.resolve();

  /** The next call; `payload` is what it sends. */
  begin(conditions: Conditions, random: { records: number; bytes: number }): { call: Call; payload: Uint8Array } {
    const call: Call = { ...conditions, number: this.calls.length, recordCount: random.records };
    this.calls.push(call);
    const writer = new RecordsWriter();
    for (let record = 0; record < random.records; record++) {
      writer.add(Buffer.concat([Buffer.from(`call ${call.number}.`), Buffer.alloc(record === 0 ? random.bytes : 0)]));
    }
    return { call, payload: writer.take() };
  }

  get nextOffset(): number {
    const last = this.log.at(-1);
    return last ? last.baseOffset + last.recordCount : 0;
  }

  /** Takes what the log has beyond what is known of it. */
  readOn(log: GroupLog): Promise<void> {
    this.#reading = this.#reading.then(() => this.#read(log, this.log.length));
    return this.#reading;
  }

  /** After a start: what was there, and is not trimmed, is there still, and is the same. */
  async startOver(log: GroupLog): Promise<void> {
    this.#reading = this.#read(log, log.base.index);
    await this.#reading;
    assert.ok(log.commit.index >= this.log.length, `the log ends at ${log.commit.index}, and had ${this.log.length}`);
  }

  async #read(log: GroupLog, from: number): Promise<void> {
    assert.ok(from >= log.base.index, `batches below ${log.base.index} are gone before they were read`);
    const belowIndex = log.commit.index;
    for (let index = from; index < belowIndex; ) {
      const batches = await log.read({ from: { index }, belowIndex, maxBytes: readMaxBytes });
      assert.notEqual(batches.length, 0, `batch ${index} can't be read`);
      for (const batch of batches) this.#take(batch);
      index += batches.length;
    }
  }

  #take(batch: StoredBatch): void {
    const known = this.log[batch.index];
    if (known !== undefined) {
      assert.equal(hex(batch.digest), hex(known.digest), `batch ${batch.index} is another than it was`);
      return;
    }
    assert.equal(batch.index, this.log.length);
    const before = this.log.at(-1)?.digest ?? new Uint8Array(32);
    const chained = createHash("sha256").update(batch.header.subarray(4, 96)).update(before).update(batch.payload);
    assert.equal(chained.digest("hex"), hex(batch.digest), `the digest of batch ${batch.index}`);
    assert.equal(batch.baseOffset, this.nextOffset, `the offset of batch ${batch.index}`);
    // A read's views may be of memory that is used again; what is kept here must stay.
    const kept = {
      ...batch,
      header: batch.header.slice(),
      payload: batch.payload.slice(),
      digest: batch.digest.slice(),
    };
    this.log.push(kept);
    if (batch.kind === BatchKind.records) this.#callOf.set(kept, this.#callIn(kept));
  }

  #callIn({ index, payload }: StoredBatch): Call {
    const [, number] = /call (\d+)\./.exec(Buffer.from(payload.subarray(0, 40)).toString("latin1")) ?? [];
    const call = this.calls[Number(number)];
    assert.ok(call, `batch ${index} was never sent`);
    return call;
  }

  /** Compares all that was answered with what a naive reader of the log makes of it. */
  check(): void {
    this.#checkBatches();
    for (const call of this.calls) this.#checkCall(call);
  }

  #checkBatches(): void {
    let last = -1;
    for (const batch of this.log) {
      const state = () => new NaiveState(this.log.slice(0, batch.index + 1));
      if (batch.kind === BatchKind.checkpoint && batch.index > 0) {
        assert.deepEqual(toldBy(batch), tellingOf(state()), `checkpoint ${batch.index}`);
      }
      const call = this.#callOf.get(batch);
      if (call === undefined) continue;
      assert.ok(call.number > last, `batch ${batch.index} of call ${call.number} stands behind call ${last}`);
      last = call.number;
      assert.deepEqual(batch.producer, call.producer, `the producer of batch ${batch.index}`);
      const { kind } = new NaiveState(this.log.slice(0, batch.index)).expect(call);
      assert.equal(kind, "taken", `batch ${batch.index} of call ${call.number} should not be there`);
    }
  }

  #checkCall(call: Call): void {
    const { outcome, number } = call;
    if (outcome === undefined) return;
    const own = this.log.find((batch) => this.#callOf.get(batch) === call);
    if ("answer" in outcome && !outcome.answer.duplicate) {
      assert.ok(own, `call ${number} was taken, and is not there`);
      assert.ok(isReceiptOf(outcome.answer, own), `the receipt of call ${number}`);
      return;
    }
    assert.equal(own, undefined, `call ${number} was not taken, and is there`);
    if ("refusal" in outcome && noRoom.includes(outcome.refusal.reason)) {
      assert.equal(outcome.refusal.facts.fate ?? "nothing_written", "nothing_written");
      return;
    }
    const prefixes = this.#placesOf(call);
    const holds = prefixes.some((end) => isTrueOf(outcome, call, new NaiveState(this.log.slice(0, end)), this.log));
    const told = "answer" in outcome ? outcome.answer : [outcome.refusal.message, outcome.refusal.facts];
    assert.ok(holds, `call ${number} was told what never was true: ${JSON.stringify([call, told, prefixes])}`);
  }

  /**
   * Where a call that took no place was judged, as ends of the log: behind all that was called before it, before all
   * that was called later. Only control batches can stand between.
   */
  #placesOf({ number }: Call): number[] {
    const isLater = (batch: StoredBatch) => (this.#callOf.get(batch)?.number ?? -1) > number;
    const isEarlier = (batch: StoredBatch) => (this.#callOf.get(batch)?.number ?? number) < number;
    const from = this.log.findLastIndex(isEarlier) + 1;
    const later = this.log.findIndex(isLater);
    const to = later < 0 ? this.log.length : later;
    return Array.from({ length: to - from + 1 }, (_, at) => from + at);
  }
}

function isTrueOf(
  outcome: NonNullable<Call["outcome"]>,
  call: Call,
  state: NaiveState,
  log: readonly StoredBatch[],
): boolean {
  const expected = state.expect(call);
  if ("refusal" in outcome) return isRefusalOf(outcome.refusal, expected);
  if (expected.kind !== "duplicate") return false;
  const { answer } = outcome;
  if (answer.startOffset !== undefined) return isReceiptOf(answer, expected.first);
  const { id = new Uint8Array(0) } = call.producer ?? {};
  const batches = state.producers.get(hex(id))?.batches ?? [];
  const back = batches.length - 1 - batches.indexOf(expected.first);
  const isOld = expected.first.index < state.checkpointIndex || back >= recentMax;
  return back > 0 && isOld && log[expected.first.index] === expected.first;
}

function isRefusalOf({ reason, facts }: TailraceError, expected: Expected): boolean {
  if (expected.kind !== "refused" || expected.reason !== reason || facts.fate !== "nothing_written") return false;
  const { kind: _, reason: __, ...told } = expected;
  try {
    assert.deepEqual({ ...facts, ...told }, facts);
    return true;
  } catch {
    return false;
  }
}

function isReceiptOf(answer: AppendAnswer, { index, baseOffset, recordCount, appendTimeMicros, digest }: StoredBatch) {
  return (
    answer.startOffset !== undefined &&
    answer.index === index &&
    answer.startOffset === baseOffset &&
    answer.nextOffset === baseOffset + recordCount &&
    answer.appendTimeMicros === appendTimeMicros &&
    hex(answer.digest) === hex(digest)
  );
}
