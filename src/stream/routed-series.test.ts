import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { TailraceError } from "../base/errors.ts";
import { NotLeaderError } from "../replica/replica-errors.ts";
import { failureHere, failureThere } from "./leader-route.ts";
import { LostError, UnreachableError } from "./peers.ts";
import { offsetTaken, seriesBroken } from "./refusals.ts";
import { notLeader } from "./routed-refusals.ts";
import { RoutedSeries, type SeriesWay } from "./routed-series.ts";
import type { AppendAnswer, AppendOptions, AppendSeries } from "./types.ts";

const timeout = 60_000;
const answerAt = (startOffset: number): AppendAnswer => ({
  ...{ streamId: 1, startOffset, nextOffset: startOffset + 1, index: startOffset, appendTimeMicros: 0 },
  digest: new Uint8Array(32),
});

type Leader = "here" | "there" | undefined;

/** Who leads, and the log that appends end in, once each: they have a producer. */
class Ways {
  readonly name = "s";
  readonly log: number[] = [];
  leader: Leader = "here";
  /** All that was tried on a way, in order. */
  readonly sent: number[] = [];
  /** Values that are refused wherever they come to. */
  readonly refused = new Set<number>();
  /** What tries that are on their way wait for. */
  readonly #waiting: (() => void)[] = [];
  #way: { isCut: boolean } | undefined;

  readonly open = (): SeriesWay | undefined => {
    const { leader } = this;
    if (leader === undefined) return undefined;
    const way = { isBroken: false, isCut: false };
    this.#way = way;
    const leads = () => this.leader === leader;
    return {
      get isCurrent() {
        return leads() && !way.isBroken && !way.isCut;
      },
      append: async ([value = -1]) => {
        this.sent.push(value);
        await this.#turn();
        if (way.isCut) throw new LostError("cut");
        if (way.isBroken)
          throw leader === "here" ? seriesBroken("s") : new UnreachableError("one before it was refused");
        try {
          const at = this.#place(value, leads());
          await this.#turn();
          if (way.isCut) throw new LostError("cut");
          return answerAt(at);
        } catch (error) {
          way.isBroken = true;
          const isHere = leader === "here" || !(error instanceof NotLeaderError);
          throw isHere ? error : notLeader({ what: "Cannot append", stream: "s" }, undefined);
        }
      },
      failure: (error) =>
        (leader === "here" && !(error instanceof LostError) ? failureHere(error) : failureThere(error)).kind,
      explain: (error) => error,
      end() {},
    };
  };

  readonly anywhere = async ([value = -1]: Uint8Array): Promise<AppendAnswer> => {
    await this.#turn();
    return answerAt(this.#place(value, true));
  };

  /** What is on its way now gets no answer. */
  cut(): void {
    if (this.#way) this.#way.isCut = true;
  }

  /** What waits goes on, so many of them, the oldest first. */
  async go(count: number): Promise<void> {
    for (const next of this.#waiting.splice(0, count)) next();
    for (let turn = 0; turn < 30; turn++) await undefined;
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Once, whatever it is tried. */
  #place(value: number, leads: boolean): number {
    if (!leads) throw new NotLeaderError(1, null);
    const known = this.log.indexOf(value);
    if (known >= 0) return known;
    if (this.refused.has(value)) throw offsetTaken("s", value, this.log.length);
    return this.log.push(value) - 1;
  }

  #turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

type Step = { kind: "append" } | { kind: "go"; count: number } | { kind: "cut" } | { kind: "lead"; leader: Leader };

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Step>({ kind: "append" }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("go" as const), count: fc.integer({ min: 1, max: 4 }) }) },
    { weight: 1, arbitrary: fc.constant<Step>({ kind: "cut" }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("lead" as const),
        leader: fc.constantFrom<Leader>("here", "there", undefined),
      }),
    },
  ),
  { maxLength: 80 },
);

describe("a series of appends over changes of the leader", () => {
  test("stays in order, and nothing goes in behind what is refused", { timeout }, async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.option(fc.integer({ min: 0, max: 20 })), async (script, refused) => {
        const ways = new Ways();
        if (refused !== null) ways.refused.add(refused);
        const routed = new RoutedSeries(ways, { isBroken: false });
        const producer = { id: new Uint8Array(16).fill(1), epoch: 0, sequence: 0 };
        const outcomes: Promise<string>[] = [];
        for (const step of script) {
          if (step.kind === "append") {
            const appended = routed.append(Uint8Array.of(outcomes.length), { producer });
            outcomes.push(
              appended.then(
                ({ startOffset }) => `at ${startOffset}`,
                () => "refused",
              ),
            );
          } else if (step.kind === "go") await ways.go(step.count);
          else if (step.kind === "cut") ways.cut();
          else ways.leader = step.leader;
        }
        while (ways.hasWaiting) await ways.go(1);
        const all = await Promise.all(outcomes);
        const end = refused === null ? all.length : Math.min(refused, all.length);
        assert.deepEqual(
          all,
          all.map((_, i) => (i < end ? `at ${i}` : "refused")),
        );
        assert.deepEqual(
          ways.log,
          Array.from({ length: end }, (_, i) => i),
        );
      }),
      { numRuns: 1000 },
    );
  });

  test("goes on its way again once a leader is found, without waiting for each", { timeout }, async () => {
    const ways = new Ways();
    ways.leader = undefined;
    const routed = new RoutedSeries(ways, { isBroken: false });
    const appended = Array.from({ length: 5 }, (_, i) => routed.append(Uint8Array.of(i), {}));
    ways.leader = "there";
    // The first alone, then the others together.
    for (const count of [1, 4, 4]) await ways.go(count);
    assert.deepEqual(ways.log, [0, 1, 2, 3, 4]);
    assert.equal((await Promise.all(appended)).length, 5);
  });

  test("sends nothing twice that has no producer, whatever is sent again before it", { timeout }, async () => {
    const ways = new Ways();
    const routed = new RoutedSeries(ways, { isBroken: false });
    const producer = { id: new Uint8Array(16).fill(1), epoch: 0, sequence: 0 };
    const appended = [routed.append(Uint8Array.of(0), { producer }), routed.append(Uint8Array.of(1), {})];
    const said = Promise.allSettled(appended);
    await ways.go(2);
    ways.cut();
    while (ways.hasWaiting) await ways.go(1);
    assert.deepEqual(
      (await said).map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    assert.deepEqual(
      [ways.sent, ways.log],
      [
        [0, 1],
        [0, 1],
      ],
    );
  });

  test("ends with one whose fate is not known, where it may not be sent again", { timeout }, async () => {
    const ways = new Ways();
    const series: AppendSeries = { isBroken: false };
    const routed = new RoutedSeries(ways, series);
    const append = (value: number, options: AppendOptions = {}) => routed.append(Uint8Array.of(value), options);
    const [first, second] = [append(0), append(1)];
    const said = Promise.allSettled([first, second]);
    await ways.go(2);
    ways.cut();
    await ways.go(2);
    const reasons = (await said).map((outcome) => outcome.status === "rejected" && outcome.reason);
    assert.ok(reasons.every((reason) => reason instanceof LostError));
    assert.equal(series.isBroken, true);
    await assert.rejects(
      append(2),
      (error) => error instanceof TailraceError && error.facts.fate === "nothing_written",
    );
    assert.deepEqual(ways.log, [0, 1]);
  });
});
