import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Acquaintances, acquaintancesMax } from "./acquaintances.ts";
import type { Greeting } from "./types.ts";

function greeting(node: string, changes: Partial<Greeting> = {}): Greeting {
  return {
    ...{ node, disk: "d", instance: `${node} 1`, version: "1", clusterId: "", peerAddress: `${node}:1`, apiUrl: "" },
    ...{ region: "", role: "voter", nowMicros: 0, bootstrapExpect: 3, acquaintances: [], ...changes },
  };
}

const names = (greetings: readonly Greeting[]) => greetings.map(({ node }) => node);

describe("acquaintances", () => {
  test("are there when they were reached a short while ago, not when they only came here", () => {
    const met = new Acquaintances();
    met.heard(greeting("b"), 1_000, true);
    met.heard(greeting("a"), 2_000, true);
    met.heard(greeting("c"), 2_000, false);
    assert.deepEqual(names(met.reached(2_000, 1_000)), ["a", "b"]);
    met.heard(greeting("b"), 3_000, false);
    assert.deepEqual(names(met.reached(3_000, 1_000)), ["a"]);
    assert.deepEqual(names(met.all()), ["b", "a", "c"]);
    // Where it is now nobody has reached it.
    met.heard(greeting("a", { peerAddress: "a:2" }), 3_000, false);
    assert.deepEqual(names(met.reached(3_000, 1_000)), []);
  });

  test("are news when anything but their clock is, or when they are reached for the first time", () => {
    const met = new Acquaintances();
    assert.equal(met.heard(greeting("a"), 1, false), true);
    assert.equal(met.heard(greeting("a", { nowMicros: 5 }), 2, false), false);
    assert.equal(met.heard(greeting("a"), 3, true), true);
    assert.equal(met.heard(greeting("a"), 4, true), false);
    assert.equal(met.heard(greeting("a", { clusterId: "x" }), 5, true), true);
  });

  test("have rivals: other processes of the name, elsewhere", () => {
    const met = new Acquaintances();
    met.heard(greeting("a"), 1, true);
    assert.equal(met.rivalOf(greeting("a")), undefined);
    assert.equal(met.rivalOf(greeting("b")), undefined);
    assert.equal(met.rivalOf(greeting("a", { instance: "a 2" })), undefined);
    const rival = met.rivalOf(greeting("a", { instance: "a 2", peerAddress: "a:2" }));
    assert.equal(rival?.greeting.instance, "a 1");
  });

  test("are forgotten when there are too many, the one that was silent longest first", () => {
    const met = new Acquaintances();
    for (let i = 0; i < acquaintancesMax; i++) met.heard(greeting(`n${i}`), i, true);
    met.heard(greeting("n0"), 1_000, false);
    met.heard(greeting("new"), 1_000, false);
    assert.equal(met.all().length, acquaintancesMax);
    assert.equal(met.get("n1"), undefined);
    assert.ok(met.get("n0") && met.get("new"));
  });
});
