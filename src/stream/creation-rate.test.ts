import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { assertRefuses } from "../../test/support/refusal.ts";
import { CreationRate } from "./creation-rate.ts";

function take(rate: CreationRate, client: string, times: number): void {
  for (let time = 0; time < times; time++) rate.take(client, "s");
}

describe("creations per second and client", () => {
  test("come as many at once as in a second, then evenly, and the refusal says when", async () => {
    const clock = new ManualClock();
    const rate = new CreationRate(4, clock);
    take(rate, "a", 4);
    const refusal = {
      reason: "limit",
      message: /stream_creations_max_per_s is 4/,
      facts: {
        stream: "s",
        limit: { name: "stream_creations_max_per_s", value: 4 },
        retryAfterMs: 250,
        fate: "nothing_written",
      },
    } as const;
    assertRefuses(() => rate.take("a", "s"), refusal);
    await clock.pass(100);
    assertRefuses(() => rate.take("a", "s"), { ...refusal, facts: { ...refusal.facts, retryAfterMs: 150 } });
    await clock.pass(150);
    take(rate, "a", 1);
    assertRefuses(() => rate.take("a", "s"), refusal);
    await clock.pass(10_000);
    take(rate, "a", 4);
    assertRefuses(() => rate.take("a", "s"), refusal);
  });

  test("are each client's own", () => {
    const rate = new CreationRate(2, new ManualClock());
    take(rate, "a", 2);
    take(rate, "b", 2);
    assertRefuses(() => rate.take("a", "s"), { reason: "limit" });
  });

  test("are shared by those for whom the table has no room, and it is bounded", async () => {
    const clock = new ManualClock();
    const rate = new CreationRate(2, clock);
    for (let client = 0; client < 1000; client++) rate.take(`${client}`, "s");
    take(rate, "one more", 1);
    take(rate, "and one", 1);
    assertRefuses(() => rate.take("the last", "s"), { reason: "limit" });
    assert.equal(rate.clients, 1000);
    take(rate, "7", 1);
    await clock.pass(1000);
    take(rate, "the last", 2);
    assert.ok(rate.clients <= 2, `${rate.clients} are left`);
  });

  test("have no limit where that is 0", () => {
    take(new CreationRate(0, new ManualClock()), "a", 100_000);
  });
});
