import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { ReachChecks } from "./reach-checks.ts";
import type { GreetAnswer, Greeting } from "./types.ts";

const greeting: Greeting = {
  ...{ node: "a", disk: "d", instance: "1", version: "1", clusterId: "", peerAddress: "a:1", apiUrl: "", region: "" },
  ...{ role: "voter", nowMicros: 0, bootstrapExpect: 0, acquaintances: [] },
};

test("an address is called back once when it works, again after a while when not, and anew for another process", async () => {
  const clock = new ManualClock();
  const called: string[] = [];
  let answer: (() => GreetAnswer) | undefined;
  const checks = new ReachChecks(clock, async (address) => {
    called.push(address);
    if (!answer) throw new Error("nobody answers");
    return answer();
  });
  const asks = () => Promise.all([checks.check(greeting), checks.check(greeting)]);
  assert.deepEqual(await asks(), ["nobody answers", "nobody answers"]);
  assert.deepEqual(called, ["a:1"]);
  await clock.pass(30_000);
  answer = () => ({ greeting: { ...greeting, node: "b", instance: "2" }, unreachable: "", refused: "" });
  const wrong = 'the node "b" answers there, not "a"';
  assert.deepEqual([await checks.check(greeting), await checks.check(greeting)], [wrong, wrong]);
  await clock.pass(30_000);
  answer = () => ({ greeting, unreachable: "", refused: "" });
  for (let i = 0; i < 3; i++) assert.equal(await checks.check(greeting), "");
  await clock.pass(300_000);
  assert.equal(await checks.check(greeting), "");
  assert.equal(called.length, 3);
  answer = undefined;
  assert.equal(await checks.check({ ...greeting, instance: "2" }), "nobody answers");
  assert.equal(called.length, 4);
});
