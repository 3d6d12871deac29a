import assert from "node:assert/strict";
import { test } from "node:test";
import type { Call } from "../../raft/types.ts";
import { CallQueue } from "./call-queue.ts";

/** A queue whose requests are answered by hand. */
function queue(): {
  add: (...groups: number[]) => void;
  sent: number[][];
  answer: (isLost?: boolean) => Promise<void>;
} {
  const sent: number[][] = [];
  const open: ((isLost: boolean) => void)[] = [];
  const calls = new CallQueue((gathered) => {
    sent.push(gathered.map(({ group }) => group));
    return new Promise<void>((resolve, reject) => {
      open.push((isLost) => (isLost ? reject(new Error("lost")) : resolve()));
    });
  });
  return {
    add: (...groups) => calls.add(groups.map(lead)),
    sent,
    async answer(isLost = false) {
      open.shift()?.(isLost);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

function lead(group: number): Call {
  return { kind: "lead", group, term: 1, from: "a/00/0", to: "b/00/0" };
}

test("calls gather while two requests are on their way, and go together, in order", async () => {
  const { add, sent, answer } = queue();
  for (const group of [1, 2, 3, 4, 5]) add(group);
  assert.deepEqual(sent, [[1], [2]]);
  await answer();
  assert.deepEqual(sent, [[1], [2], [3, 4, 5]]);
  add(6);
  await answer();
  await answer();
  assert.deepEqual(sent, [[1], [2], [3, 4, 5], [6]]);
});

test("a request that is lost makes room for the next, and its calls are not sent again", async () => {
  const { add, sent, answer } = queue();
  for (const group of [1, 2, 3]) add(group);
  await answer(true);
  assert.deepEqual(sent, [[1], [2], [3]]);
  await answer(true);
  await answer(true);
  add(4);
  assert.deepEqual(sent, [[1], [2], [3], [4]]);
});

test("a request has at most 256 calls, and of more than 10,000 that wait the oldest go", async () => {
  const { add, sent, answer } = queue();
  add(1);
  add(2);
  for (let group = 3; group < 10_013; group++) add(group);
  await answer();
  assert.deepEqual([sent[2]?.length, sent[2]?.[0]], [256, 13]);
});
