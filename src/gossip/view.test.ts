import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { MemberInfo } from "./types.ts";
import { View } from "./view.ts";

function infoOf(id: string): MemberInfo {
  return { id, instance: "1", peerAddress: id, apiAddress: id, region: "r", role: "voter", version: "1" };
}

const changes = fc.array(
  fc.record({
    what: fc.constantFrom("add", "bury dead", "bury left", "forget"),
    id: fc.constantFrom("a", "b", "c", "d", "e"),
    incarnation: fc.nat(3),
  }),
);

describe("a view", () => {
  test("has the digest of what is in it, whatever was done to it before", () => {
    fc.assert(
      fc.property(changes, (done) => {
        const view = new View(() => 0.5);
        for (const { what, id, incarnation } of done) apply(view, { what, id, incarnation });
        const fresh = new View(() => 0.5);
        for (const { info, incarnation } of view.members.values()) fresh.add(info, incarnation);
        for (const tombstone of view.tombstones.values()) fresh.bury(tombstone);
        const self = infoOf("self");
        assert.deepEqual(view.digestWith(self, 1), fresh.digestWith(self, 1));
        assert.deepEqual(view.sortedIds(), fresh.sortedIds());
        assert.equal(view.size, view.members.size);
      }),
    );
  });

  test("picks as many as there are, each once", () => {
    fc.assert(
      fc.property(
        changes,
        fc.nat(6),
        fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })),
        (done, count, luck) => {
          const view = new View(() => luck.next().value);
          for (const change of done) apply(view, change);
          const picked = view.pick(count, () => true).map(({ info }) => info.id);
          assert.equal(picked.length, Math.min(count, view.size));
          assert.equal(new Set(picked).size, picked.length);
          for (const id of picked) assert.ok(view.members.has(id));
        },
      ),
    );
  });
});

function apply(view: View, { what, id, incarnation }: { what: string; id: string; incarnation: number }): void {
  if (what === "add") view.add(infoOf(id), incarnation);
  else if (what === "forget") view.forget(id);
  else view.bury({ info: infoOf(id), incarnation, how: what === "bury dead" ? "dead" : "left", sinceMs: 0 });
}
