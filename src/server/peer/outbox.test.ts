import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Outbox } from "./outbox.ts";

/** Takes so many turns of what is to be sent. */
async function take(outbox: Outbox<string>, turns: number): Promise<(readonly string[])[]> {
  const sent: (readonly string[])[] = [];
  if (turns === 0) return sent;
  for await (const messages of outbox) {
    sent.push(messages);
    if (sent.length === turns) break;
  }
  return sent;
}

describe("an outbox", () => {
  test("sends small messages together, in order, before large ones", async () => {
    const outbox = new Outbox<string>(100_000, () => assert.fail("it overflows"));
    outbox.addLarge("batches 1", 40_000);
    outbox.add(["beat", "commit"]);
    outbox.addLarge("batches 2", 10_000);
    outbox.add(["following"]);
    assert.deepEqual(await take(outbox, 3), [["beat", "commit", "following"], ["batches 1"], ["batches 2"]]);
  });

  test("sends large ones with others, as far as they are small", async () => {
    const outbox = new Outbox<string>(100_000, () => assert.fail("it overflows"));
    outbox.add(["commit"]);
    for (const [message, bytes] of [
      ["a", 100],
      ["b", 16_284],
      ["c", 1],
      ["d", 9_000],
      ["e", 9_000],
    ] as const) {
      outbox.addLarge(message, bytes);
    }
    assert.deepEqual(await take(outbox, 3), [["commit", "a", "b"], ["c", "d"], ["e"]]);
  });

  test("wakes who waits for the next message, and ends for good", async () => {
    const outbox = new Outbox<string>(100, () => {});
    const sent = take(outbox, 2);
    outbox.add(["a"]);
    await Promise.resolve();
    outbox.end();
    assert.deepEqual(await sent, [["a"]]);
    outbox.add(["b"]);
    assert.deepEqual(await take(outbox, 1), []);
  });

  test("tells when more large bytes wait than it may hold: the other side takes nothing", async () => {
    let overflows = 0;
    const outbox = new Outbox<string>(40_000, () => {
      overflows += 1;
    });
    outbox.addLarge("a", 20_000);
    outbox.addLarge("b", 20_000);
    assert.equal(overflows, 0);
    await take(outbox, 1);
    outbox.addLarge("c", 20_001);
    assert.equal(overflows, 1);
  });

  test("keeps nothing that comes after its end, though who sends asks for no more", async () => {
    let overflows = 0;
    const outbox = new Outbox<string>(100, () => {
      overflows += 1;
      outbox.end();
    });
    for (let i = 0; i < 10; i++) outbox.addLarge("batches", 60);
    outbox.add(["beat"]);
    assert.equal(overflows, 1);
    assert.deepEqual(await take(outbox, 1), []);
  });
});
