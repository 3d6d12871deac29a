import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DataFolderError } from "../base/disk-errors.ts";
import { type ReplicaId, replicaId } from "../raft/types.ts";
import { replicaOf } from "../replica/core-batch.ts";
import { encodeVoters } from "../wire/checkpoint.ts";
import { checkSameCluster } from "./meta-renewal.ts";

const replica = (node: string, disk: string, life = 0): ReplicaId => replicaId(node, disk.repeat(32), life);
const note = encodeVoters([replica("a", "1"), replica("b", "2"), replica("c", "3")].map(replicaOf));
const clusterId = "0123456789abcdef".repeat(2);

describe("a folder that has lost which cluster it is of takes the one that was found for its own", () => {
  const cases = [
    { what: "all voters are those that it knows", voters: [replica("a", "1"), replica("b", "2"), replica("c", "3")] },
    { what: "one of them is left, in a later life", voters: [replica("b", "2", 4), replica("d", "4")] },
  ];
  for (const { what, voters } of cases) test(what, () => checkSameCluster(note, { clusterId, voters }));

  test("not where nodes of the same names vote on other disks: it says whose it is, and what to do", () => {
    const voters = [replica("a", "5"), replica("b", "6"), replica("c", "7")];
    assert.throws(
      () => checkSameCluster(note, { clusterId, voters }),
      (error) =>
        error instanceof DataFolderError &&
        /cluster (0123456789abcdef){2}, .* is not its own: of a, b, c, .* none votes there$/.test(error.message) &&
        error.todo.startsWith("Give --seeds of its own cluster"),
    );
  });
});
