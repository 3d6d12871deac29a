import assert from "node:assert/strict";
import { test } from "node:test";
import { Slots } from "./slots.ts";

test("so many at once, the others in the order they came", async () => {
  const slots = new Slots(2);
  const got: number[] = [];
  const all = [1, 2, 3, 4, 5].map((who) => slots.acquire().then(() => got.push(who)));
  await Promise.all(all.slice(0, 2));
  assert.deepEqual(got, [1, 2]);
  slots.release();
  await all[2];
  assert.deepEqual(got, [1, 2, 3]);
  slots.release();
  slots.release();
  await Promise.all(all);
  assert.deepEqual(got, [1, 2, 3, 4, 5]);
  for (let held = 2; held > 0; held--) slots.release();
  await slots.acquire();
  await slots.acquire();
});
