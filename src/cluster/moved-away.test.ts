import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Group, openGroup, type Source } from "../raft/group.ts";
import { hasMovedAway, mayGo, saidCommit } from "./moved-away.ts";

const [a, b, c, d] = ["a/01/0", "b/02/0", "c/03/0", "d/04/0"];

/** A replica whose log ends at 3, and says so of voters: the later set is committed, or not. */
function groupOf(self: string, voters: readonly string[], commit = 3): Group {
  const log = {
    base: { index: 0, before: { term: 0, digest: new Uint8Array(32) } },
    ...{ terms: [{ term: 0, index: 0 }], end: 3, commit },
    digests: Array.from({ length: 4 - commit }, () => new Uint8Array(32)),
    voterSets: [
      { index: 0, voters: [a, b, c] },
      { index: 2, voters },
    ],
  };
  const promises = { term: 1, votedFor: null };
  return openGroup({ group: 7, self, promises, floor: { term: 0, index: 0 }, log }, 0);
}

describe("a stream has moved away from a node", () => {
  const cases: readonly {
    readonly name: string;
    readonly self?: string;
    readonly voters: readonly string[];
    readonly placement: readonly string[];
    readonly commit?: number;
    readonly away: boolean;
  }[] = [
    { name: "when others hold it, and it votes no more", voters: [b, c, d], placement: ["b", "c", "d"], away: true },
    { name: "but not where the node is to hold it", voters: [b, c, d], placement: ["a", "b", "c"], away: false },
    { name: "but not while it votes", voters: [a, b, c, d], placement: ["b", "c", "d"], away: false },
    {
      name: "but not before it is committed that it votes no more",
      ...{ voters: [b, c, d], placement: ["b", "c", "d"], commit: 2, away: false },
    },
    {
      name: "but not while an earlier replica of the node votes",
      ...{ self: "a/01/1", voters: [a, b, c, d], placement: ["b", "c", "d"], away: false },
    },
    {
      name: "nor one of an earlier disk",
      ...{ self: "a/09/0", voters: [a, b, c, d], placement: ["b", "c", "d"], away: false },
    },
    {
      name: "nor one that its disk was called by while it was alone",
      ...{ voters: ["/01/0", b, c, d], placement: ["b", "c", "d"], away: false },
    },
    { name: "but not before each that is to hold it votes", voters: [b, c], placement: ["b", "c", "d"], away: false },
    { name: "but not where nobody says who is to hold it", voters: [b, c, d], placement: [], away: false },
  ];
  for (const { name, self = a, voters, placement, commit, away } of cases) {
    test(name, () => assert.equal(hasMovedAway(groupOf(self, voters, commit), placement), away));
  }
});

describe("its replica may go", () => {
  const source: Source = {
    ...{ node: "b", replica: b, asVoter: false, id: 1, answered: true, matched: 3, saidCommit: 3, passed: false },
    ...{
      behindSinceMs: undefined,
      restartAt: undefined,
      askedAtMs: 0,
      askedDurable: 3,
      retryAtMs: 0,
      awaitsLog: false,
    },
  };
  const following = (changed: Partial<Source> = {}): Group => {
    const g = groupOf(a, [b, c, d]);
    g.role = { kind: "follower", source: { ...source, ...changed }, campaignAtMs: Number.POSITIVE_INFINITY };
    return g;
  };

  test("when it has all that was committed", () => assert.ok(mayGo(following(), 3)));

  test("also while more comes all the time", () => assert.ok(mayGo(following({ saidCommit: 9, behindSinceMs: 5 }), 3)));

  const cases: readonly { readonly name: string; readonly group: () => Group; readonly commit?: number }[] = [
    { name: "but not before it has that", group: () => following({ saidCommit: 4 }), commit: 4 },
    { name: "nor when nobody answers", group: () => following({ answered: false }) },
    { name: "nor when it follows nobody", group: () => groupOf(a, [b, c, d]) },
    { name: "nor when it begins anew at a checkpoint", group: () => following({ restartAt: 2 }) },
    { name: "nor with a promise on its way", group: () => Object.assign(following(), { saving: 1 }) },
    { name: "nor while it is mended", group: () => Object.assign(following(), { repairing: true }) },
  ];
  for (const { name, group, commit = 3 } of cases) test(name, () => assert.equal(mayGo(group(), commit), false));

  test("what is committed is told by who is followed, if that is more", () => {
    assert.equal(saidCommit(following({ saidCommit: 9 })), 9);
    assert.equal(saidCommit(following({ saidCommit: 0 })), 3);
    assert.equal(saidCommit(following({ answered: false })), undefined);
  });
});
