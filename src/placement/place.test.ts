/**
 * Where new groups go: what a few come to, and that many are spread evenly.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SimRandom } from "../sim/random.ts";
import type { Load } from "./cluster.ts";
import { type PlaceRequest, place } from "./place.ts";

type Case = Partial<PlaceRequest> & { readonly name: string; readonly nodes: readonly string[] };

const none: ReadonlyMap<string, Load> = new Map();
const three = ["a", "b", "c"];
const holds = (replicas: number, leaders: number): Load => ({ replicas, leaders });
const regions = new Map([
  ["a", "ams"],
  ["b", "ams"],
  ["c", "ams"],
  ["d", "fra"],
]);

describe("place()", () => {
  const cases: readonly Case[] = [
    { name: "a lone node has all", voters: ["a"], nodes: ["a"] },
    { name: "three by default, of which two are there", voters: ["a", "b"], nodes: ["a", "b"] },
    { name: "three by default", voters: ["a", "b", "c", "d"], nodes: ["a", "b", "c"] },
    { name: "one where one was asked for", voters: three, factor: 1, nodes: ["a"] },
    { name: "no more than there are", voters: three, factor: 5, nodes: ["a", "b", "c"] },
    {
      name: "who leads the least comes first, who holds the least then",
      ...{ voters: ["a", "b", "c", "d"], factor: 2, nodes: ["d", "b"] },
      load: new Map([
        ["a", holds(9, 2)],
        ["b", holds(4, 3)],
        ["c", holds(5, 2)],
        ["d", holds(9, 1)],
      ]),
    },
    {
      name: "a region that has none of it comes before a node that holds less",
      ...{ voters: ["a", "b", "c", "d"], factor: 2, regions, nodes: ["a", "d"] },
      load: new Map([["d", holds(9, 9)]]),
    },
    { name: "regions come again when all have one", voters: ["a", "b", "d"], regions, nodes: ["a", "d", "b"] },
    {
      name: "who is down comes last, and is one where there are no others",
      ...{ voters: three, alive: (node) => node !== "a", nodes: ["b", "c", "a"] },
    },
    {
      name: "who is down is none where there are others",
      ...{ voters: ["a", "b", "c", "d"], alive: (node) => node !== "b", nodes: ["a", "c", "d"] },
    },
    { name: "without voters nowhere", voters: [], nodes: [] },
  ];
  for (const { name, nodes, ...request } of cases) {
    test(name, () => assert.deepEqual(place({ factor: 0, voters: [], load: none, ...request }), nodes));
  }

  for (const { nodes, factor } of [
    { nodes: 3, factor: 3 },
    { nodes: 3, factor: 1 },
    { nodes: 5, factor: 3 },
    { nodes: 7, factor: 3 },
    { nodes: 7, factor: 5 },
  ]) {
    test(`1,000 groups of ${factor} on ${nodes} nodes: no node has two more than another, and none leads two more`, () => {
      const load = filled(nodes, () => factor, 1000);
      assert.ok(spread(load, "replicas") <= 1, `replicas differ by ${spread(load, "replicas")}`);
      assert.ok(spread(load, "leaders") <= 1, `leaders differ by ${spread(load, "leaders")}`);
    });
  }

  test("groups of many sizes are as even", () => {
    const random = new SimRandom(7);
    const load = filled(6, () => random.between(1, 5), 1000);
    assert.ok(spread(load, "replicas") <= 1, `replicas differ by ${spread(load, "replicas")}`);
    assert.ok(spread(load, "leaders") <= 1, `leaders differ by ${spread(load, "leaders")}`);
  });
});

function filled(nodes: number, factor: () => number, groups: number): ReadonlyMap<string, Load> {
  const voters = Array.from({ length: nodes }, (_, at) => `node-${at}`);
  const load = new Map(voters.map((node) => [node, holds(0, 0)]));
  for (let group = 0; group < groups; group++) {
    for (const [at, node] of place({ factor: factor(), voters, load }).entries()) {
      const { replicas = 0, leaders = 0 } = load.get(node) ?? {};
      load.set(node, holds(replicas + 1, leaders + (at === 0 ? 1 : 0)));
    }
  }
  return load;
}

function spread(load: ReadonlyMap<string, Load>, what: keyof Load): number {
  const counts = [...load.values()].map((held) => held[what]);
  return Math.max(...counts) - Math.min(...counts);
}
