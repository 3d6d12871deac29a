/** Producers against a naive model: a list of all that was placed, looked through from its beginning at each question. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { ProducerStamp } from "../base/batch.ts";
import { type ProducedBatch, type ProducerLimits, Producers, type Verdict } from "./producers.ts";

const limits: ProducerLimits = { producersMax: 3, forgetAfterMicros: 100, recentMax: 4, recentMaxAll: 6 };

const idOf = (producer: number) => new Uint8Array(16).fill(producer + 1);

/** What stands in the naive log. */
type Entry =
  | { readonly kind: "batch"; readonly stamp: ProducerStamp; readonly batch: ProducedBatch }
  | { readonly kind: "checkpoint"; readonly logTimeMicros: number };

interface NaiveProducer {
  readonly id: Uint8Array;
  epoch: number;
  batches: ProducedBatch[];
}

/** The state that a whole log gives. */
function stateOf(log: readonly Entry[]): Map<number, NaiveProducer> {
  const known = new Map<number, NaiveProducer>();
  const newest = (producer: NaiveProducer) => producer.batches.at(-1)?.index ?? 0;
  const keepNewest = () => {
    const byUse = [...known].sort(([, a], [, b]) => newest(b) - newest(a));
    for (const [key] of byUse.slice(limits.producersMax)) known.delete(key);
  };
  for (const entry of log) {
    if (entry.kind === "checkpoint") {
      for (const [key, { batches }] of known) {
        const last = batches.at(-1)?.appendTimeMicros ?? 0;
        if (last < entry.logTimeMicros - limits.forgetAfterMicros) known.delete(key);
      }
      keepNewest();
      continue;
    }
    const key = entry.stamp.id[0] ?? 0;
    const producer = known.get(key);
    if (producer?.epoch === entry.stamp.epoch) producer.batches.push(entry.batch);
    else known.set(key, { id: entry.stamp.id, epoch: entry.stamp.epoch, batches: [entry.batch] });
    if (known.size >= 2 * limits.producersMax) keepNewest();
  }
  return known;
}

function verdictOf(state: Map<number, NaiveProducer>, { id, epoch, sequence }: ProducerStamp): Verdict {
  const known = state.get(id[0] ?? 0);
  if (known === undefined) {
    return sequence === 0 ? { kind: "next" } : { kind: "unknown_producer", expected: { epoch, sequence: 0 } };
  }
  const next = (known.batches.at(-1)?.sequence ?? 0) + 1;
  if (epoch < known.epoch) return { kind: "stale_epoch", expected: { epoch: known.epoch, sequence: next } };
  const expected = epoch > known.epoch ? 0 : next;
  if (sequence === expected) return { kind: "next" };
  if (sequence > expected) return { kind: "sequence_gap", expected: { epoch, sequence: expected } };
  return { kind: "duplicate", first: known.batches.find((batch) => batch.sequence === sequence) };
}

type Step =
  | { readonly kind: "send"; readonly stamp: { producer: number; epoch: number; sequence: number } }
  | { readonly kind: "retry"; readonly back: number }
  | { readonly kind: "go on"; readonly producer: number }
  | { readonly kind: "pass"; readonly micros: number }
  | { readonly kind: "checkpoint" }
  | { readonly kind: "commit"; readonly percent: number }
  | { readonly kind: "refuse"; readonly percent: number }
  | { readonly kind: "restart" };

const producer = fc.nat(9);
const steps = fc.array(
  fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("send" as const),
        stamp: fc.record({ producer, epoch: fc.nat(2), sequence: fc.nat(7) }),
      }),
    },
    { weight: 8, arbitrary: fc.record({ kind: fc.constant("go on" as const), producer }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("retry" as const), back: fc.nat(8) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("pass" as const), micros: fc.constantFrom(1, 20, 50, 100) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("checkpoint" as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("commit" as const), percent: fc.integer({ min: 0, max: 100 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("refuse" as const), percent: fc.integer({ min: 0, max: 100 }) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  ),
  { minLength: 30, maxLength: 90, size: "max" },
);

/** Both, side by side. */
class Pair {
  producers = new Producers(limits);
  log: Entry[] = [];
  #committed = 0;
  #nowMicros = 1000;
  readonly #sent: ProducerStamp[] = [];

  run(step: Step): void {
    switch (step.kind) {
      case "send": {
        const { producer: number, epoch, sequence } = step.stamp;
        this.#send({ id: idOf(number), epoch, sequence });
        return;
      }
      case "go on":
        this.#send(this.#nextOf(step.producer));
        return;
      case "retry": {
        const stamp = this.#sent.at(-1 - step.back);
        if (stamp) this.#send(stamp);
        return;
      }
      case "pass":
        this.#nowMicros += step.micros;
        return;
      case "checkpoint":
        this.#checkpoint();
        return;
      case "commit":
        this.#committed += Math.floor((step.percent / 100) * (this.log.length - this.#committed));
        this.producers.committed(this.#committed);
        return;
      case "refuse": {
        const from = this.#committed + Math.floor((step.percent / 100) * (this.log.length - this.#committed));
        this.producers.takeBack(from);
        this.log.length = from;
        return;
      }
      case "restart":
        this.#restart();
        return;
    }
  }

  /** Both must say the same of everything that could be sent now. */
  check(): void {
    const known = stateOf(this.log);
    for (let number = 0; number < 10; number++) {
      for (const epoch of [0, 1, 2]) {
        for (const sequence of [0, 1, 2, 3, (known.get(number + 1)?.batches.at(-1)?.sequence ?? 0) + 1]) {
          this.#judge({ id: idOf(number), epoch, sequence }, known);
        }
      }
    }
    assert.equal(this.producers.count, known.size);
    const isKept = (id: Uint8Array, epoch: number, sequence: number) => {
      const verdict = this.producers.judge({ id, epoch, sequence });
      return verdict.kind === "duplicate" && verdict.first !== undefined;
    };
    const kept = [...known.values()].map(
      ({ id, epoch, batches }) => batches.filter(({ sequence }) => isKept(id, epoch, sequence)).length,
    );
    assert.equal(
      this.producers.batchCount,
      kept.reduce((sum, count) => sum + count, 0),
    );
    assert.ok(this.producers.count <= 2 * limits.producersMax);
    assert.ok(this.producers.batchCount <= this.producers.count + limits.recentMaxAll);
  }

  #judge(stamp: ProducerStamp, state = stateOf(this.log)): Verdict {
    const verdict = this.producers.judge(stamp);
    const expected = verdictOf(state, stamp);
    // Of one that is older than the last it may not know more.
    const last = stateOf(this.log)
      .get(stamp.id[0] ?? 0)
      ?.batches.at(-1)?.sequence;
    const mayForget = verdict.kind === "duplicate" && verdict.first === undefined && stamp.sequence !== last;
    assert.deepEqual(verdict, mayForget ? { ...expected, first: undefined } : expected);
    return verdict;
  }

  #send(stamp: ProducerStamp): void {
    this.#sent.push(stamp);
    if (this.#judge(stamp).kind !== "next") return;
    const index = this.log.length;
    const place = { index, startOffset: index * 3, recordCount: 1 + (index % 3), appendTimeMicros: this.#nowMicros };
    const batch = { sequence: stamp.sequence, ...place, digest: new Uint8Array(32).fill(index) };
    this.producers.placed(stamp, batch);
    this.log.push({ kind: "batch", stamp, batch });
  }

  #nextOf(number: number): ProducerStamp {
    const known = stateOf(this.log).get(number + 1);
    const sequence = (known?.batches.at(-1)?.sequence ?? -1) + 1;
    return { id: idOf(number), epoch: known?.epoch ?? 0, sequence };
  }

  #checkpoint(): void {
    const logTimeMicros = this.#nowMicros;
    const given = this.producers.checkpoint(this.log.length, logTimeMicros);
    this.log.push({ kind: "checkpoint", logTimeMicros });
    const expected = [...stateOf(this.log).values()].map(({ id, epoch, batches }) => ({
      id,
      epoch,
      ...batches.at(-1),
    }));
    const byIndex = (a: { index?: number }, b: { index?: number }) => (a.index ?? 0) - (b.index ?? 0);
    assert.deepEqual(given.sort(byIndex), expected.sort(byIndex));
    assert.ok(given.length <= limits.producersMax);
  }

  /** What was not committed is lost or not; the rest is read from the last checkpoint on. */
  #restart(): void {
    this.log.length = this.#committed;
    const at = this.log.findLastIndex(({ kind }) => kind === "checkpoint");
    const producers = new Producers(limits);
    const before = [...stateOf(this.log.slice(0, at + 1)).values()];
    producers.restore(
      before.flatMap(({ id, epoch, batches }) => batches.slice(-1).map((last) => ({ id, epoch, ...last }))),
    );
    for (const entry of this.log.slice(at + 1)) {
      if (entry.kind === "batch") producers.placed(entry.stamp, entry.batch);
    }
    producers.committed(this.log.length);
    this.producers = producers;
  }
}

describe("the producers of a stream", () => {
  test("are what the log says, over retries, reorderings, epochs, refusals, checkpoints and restarts", {
    timeout: 60_000,
  }, () => {
    fc.assert(
      fc.property(steps, (run) => {
        const pair = new Pair();
        for (const step of run) {
          pair.run(step);
          pair.check();
        }
      }),
      { numRuns: 60 },
    );
  });

  test("a duplicate is told where it was first, as far back as batches are kept", () => {
    const producers = new Producers({ ...limits, recentMax: 3, recentMaxAll: 100 });
    const id = idOf(0);
    for (let sequence = 0; sequence < 6; sequence++) {
      const place = { index: sequence, startOffset: sequence * 10, recordCount: 10, appendTimeMicros: 1 };
      producers.placed({ id, epoch: 0, sequence }, { ...place, digest: new Uint8Array(32) });
    }
    const firstOf = (sequence: number) => {
      const verdict = producers.judge({ id, epoch: 0, sequence });
      assert.equal(verdict.kind, "duplicate");
      return verdict.kind === "duplicate" ? verdict.first?.startOffset : "none";
    };
    assert.deepEqual([0, 1, 2, 3, 4, 5].map(firstOf), [undefined, undefined, undefined, 30, 40, 50]);
    // What is refused forgets nothing.
    producers.takeBack(5);
    assert.deepEqual([0, 1, 2, 3, 4].map(firstOf), [undefined, undefined, 20, 30, 40]);
  });
});
