import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Member, type MetaView, metaPlacement } from "./meta-placement.ts";

const member = (node: string, more: Partial<Member> = {}): Member => ({
  ...{ node, role: "voter", region: "ams", alive: true },
  ...more,
});
const nobody: ReadonlySet<string> = new Set();

describe("metaPlacement()", () => {
  const cases: readonly (Partial<MetaView> & { readonly name: string; readonly nodes: readonly string[] })[] = [
    { name: "a lone node", nodes: ["a"] },
    {
      name: "nodes that join become voters, up to the number that is wanted",
      members: [member("a"), member("d"), member("b"), member("c")],
      nodes: ["a", "b", "c"],
    },
    {
      name: "observers and the dead do not",
      members: [member("a"), member("b", { role: "observer" }), member("c", { alive: false }), member("d")],
      nodes: ["a", "d"],
    },
    {
      name: "other regions come first",
      members: [member("a"), member("b"), member("c"), member("d", { region: "fra" })],
      nodes: ["a", "d", "b"],
    },
    {
      name: "a voter that is down is not replaced by itself",
      voters: ["a", "b", "c"],
      members: [member("a"), member("b", { alive: false }), member("c"), member("d")],
      nodes: ["a", "b", "c"],
    },
    {
      name: "one that was added by hand is one beyond the number",
      voters: ["a", "b", "c"],
      added: new Set(["d"]),
      nodes: ["a", "b", "c", "d"],
    },
    {
      name: "one that was removed by hand does not come back by itself, and another takes its place",
      voters: ["a", "b", "c"],
      members: [member("a"), member("b"), member("c"), member("d")],
      removed: new Set(["b"]),
      nodes: ["a", "c", "d"],
    },
    { name: "the leader may be removed too", voters: ["a", "b"], removed: new Set(["a"]), nodes: ["b"] },
    { name: "who leads comes first", self: "c", voters: ["a", "b", "c"], nodes: ["c", "a", "b"] },
  ];
  for (const { name, nodes, ...view } of cases) {
    test(name, () => {
      const lone = { self: "a", voters: ["a"], members: [member("a")], wanted: 3, added: nobody, removed: nobody };
      assert.deepEqual(metaPlacement({ ...lone, ...view }), nodes);
    });
  }
});
