import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { NoRoomError } from "../base/disk-errors.ts";
import { ClosedError, FateUnknownError, NotLeaderError, RefusedError } from "../replica/replica-errors.ts";
import { type RetainedStream, RetentionRounds } from "./retention-rounds.ts";

/** A stream that is due until it was looked at, and notes that. */
class Looked implements RetainedStream {
  isKnown = true;
  isLedElsewhere = false;
  isDue = true;
  looks: number[] = [];
  failure: Error | undefined;
  learningMs = 0;
  retainMs = 0;
  /** What its looks wait for. */
  majority: Promise<void> | undefined;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  async ready(): Promise<void> {
    this.#clock.take(this.learningMs);
    this.isKnown = true;
  }

  recount(): void {}

  isRetentionDue(): boolean {
    return this.isDue;
  }

  async retain(): Promise<void> {
    this.looks.push(this.#clock.monotonicMs());
    this.#clock.take(this.retainMs);
    if (this.failure) throw this.failure;
    await this.majority;
    this.isDue = false;
  }
}

function newRounds(count: number): { clock: ManualClock; streams: Looked[]; rounds: RetentionRounds } {
  const clock = new ManualClock();
  const streams = Array.from({ length: count }, () => new Looked(clock));
  return { clock, streams, rounds: new RetentionRounds({ clock, intervalMs: 10_000, streams: () => streams }) };
}

describe("rounds of retention", () => {
  test("begin an interval after the start and after each other, and pass what is not due", async () => {
    const { clock, streams } = newRounds(3);
    await clock.pass(9_999);
    assert.deepEqual(
      streams.map(({ looks }) => looks.length),
      [0, 0, 0],
    );
    await clock.pass(1);
    for (const { looks } of streams) assert.deepEqual(looks, [10_000]);
    const [first] = streams;
    assert.ok(first);
    await clock.pass(10_000);
    assert.equal(first.looks.length, 1);
    first.isDue = true;
    await clock.pass(10_000);
    assert.equal(first.looks.length, 2);
    assert.equal(streams[1]?.looks.length, 1);
  });

  test("learn what is not known of a stream before they pass it", async () => {
    const { clock, streams } = newRounds(1);
    const [only] = streams;
    assert.ok(only);
    only.isKnown = false;
    await clock.pass(10_000);
    assert.deepEqual([only.isKnown, only.looks.length], [true, 1]);
  });

  test("take a tenth of the time to learn what is not known, and no more", async () => {
    const { clock, streams } = newRounds(100);
    for (const stream of streams) {
      stream.isKnown = false;
      stream.learningMs = 10;
    }
    await clock.pass(10_000);
    const known = () => streams.filter(({ isKnown }) => isKnown).length;
    assert.ok(known() > 0 && known() <= 3, `${known()} at once`);
    await clock.pass(5_000);
    assert.ok(known() > 40 && known() <= 55, `${known()} within 5 seconds`);
    await clock.pass(10_000);
    assert.equal(known(), 100);
  });

  test("leave half of the time to others while much has to go", async () => {
    const { clock, streams } = newRounds(100);
    for (const stream of streams) stream.retainMs = 10;
    await clock.pass(10_000);
    const after = (ms: number) => streams.filter(({ looks: [at = 1e9] }) => at <= 10_000 + ms).length;
    await clock.pass(10_000);
    assert.equal(after(1e6), 100);
    assert.ok(after(700) <= 60, `${after(700)} of 100 within 700 ms of work`);
  });

  test("take many streams in turns, with pauses between", async () => {
    const { clock, streams } = newRounds(500);
    await clock.pass(10_000);
    const looked = () => streams.filter(({ looks }) => looks.length === 1).length;
    const afterOneTurn = looked();
    assert.ok(afterOneTurn > 0 && afterOneTurn < 500, `${afterOneTurn} in one turn`);
    await clock.pass(200);
    assert.equal(looked(), 500);
  });

  test("come soon to a stream that rolled, however often others do", async () => {
    const { clock, streams, rounds } = newRounds(2);
    const [rolled, other] = streams;
    assert.ok(rolled && other);
    for (let second = 0; second < 9; second++) {
      rolled.isDue = true;
      rounds.rolled(rolled);
      await clock.pass(1000);
      assert.equal(rolled.looks.length, second + 1);
    }
    rounds.rolled(rolled);
    await clock.pass(1000);
    assert.equal(other.looks.length, 1, "the round is not put off");
  });

  test("go on after a stream that has no room or is gone", async () => {
    const { clock, streams } = newRounds(2);
    const [first, second] = streams;
    assert.ok(first && second);
    first.failure = new NoRoomError("full");
    await clock.pass(10_000);
    assert.equal(second.looks.length, 1);
    await clock.pass(10_000);
    assert.equal(first.looks.length, 2);
  });

  test("go on after a stream that another node came to lead meanwhile, or that was ended", async () => {
    const { clock, streams } = newRounds(2);
    const [first, second] = streams;
    assert.ok(first && second);
    const failures = [
      new NotLeaderError(3, "b/2/0"),
      new FateUnknownError("no leader says"),
      new RefusedError("it was cut off"),
      new ClosedError(3, 9),
    ];
    for (const [round, failure] of failures.entries()) {
      first.failure = failure;
      second.isDue = true;
      await clock.pass(10_000);
      assert.deepEqual([first.looks.length, second.looks.length], [round + 1, round + 1], String(failure));
    }
  });

  test("read and change nothing of what another node leads, until this one does", async () => {
    const { clock, streams } = newRounds(1);
    const [only] = streams;
    assert.ok(only);
    only.isKnown = false;
    only.isLedElsewhere = true;
    await clock.pass(20_000);
    assert.deepEqual([only.isKnown, only.looks], [false, []]);
    only.isLedElsewhere = false;
    await clock.pass(10_000);
    assert.equal(only.looks.length, 1);
  });

  test("go on beside looks that do not end, of which none is begun a second time", async () => {
    const { clock, streams, rounds } = newRounds(40);
    const [last] = streams;
    assert.ok(last);
    let restore = () => {};
    const majority = new Promise<void>((resolve) => {
      restore = resolve;
    });
    const stuck = streams.slice(-10);
    for (const stream of stuck) stream.majority = majority;
    await clock.pass(200_000);
    assert.equal(streams.filter(({ isDue }) => !isDue).length, 30, "the others are looked at");
    last.isDue = true;
    await clock.pass(20_000);
    assert.equal(last.looks.length, 2, "and in later rounds again");
    for (const stream of stuck) rounds.rolled(stream);
    await clock.pass(20_000);
    assert.deepEqual(new Set(stuck.map(({ looks }) => looks.length)), new Set([1]));
    restore();
    await clock.pass(20_000);
    assert.equal(streams.filter(({ isDue }) => !isDue).length, 40);
    for (const stream of stuck) stream.isDue = true;
    await clock.pass(20_000);
    assert.deepEqual(new Set(stuck.map(({ looks }) => looks.length)), new Set([2]));
  });

  test("leave no more than 16 looks to themselves", async () => {
    const { clock, streams } = newRounds(40);
    let restore = () => {};
    const majority = new Promise<void>((resolve) => {
      restore = resolve;
    });
    for (const stream of streams) stream.majority = majority;
    await clock.pass(1_000_000);
    const looked = () => streams.filter(({ looks }) => looks.length > 0).length;
    assert.equal(looked(), 17, "one is waited for");
    restore();
    await new Promise((resolve) => setImmediate(resolve));
    await clock.pass(20_000);
    assert.equal(looked(), 40);
  });

  test("are over when the node stops", async () => {
    const { clock, streams, rounds } = newRounds(1);
    rounds.stop();
    const [only] = streams;
    assert.ok(only);
    rounds.rolled(only);
    await clock.pass(100_000);
    assert.equal(only.looks.length, 0);
  });
});
