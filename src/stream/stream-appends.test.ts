/** What appends depend on: producers, fences and offsets, in that order, and in one order with the data. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemoryFolder } from "../../test/support/memory-folder.ts";
import { assertRefused } from "../../test/support/refusal.ts";
import { payloadOf, streamsOf } from "../../test/support/streams.ts";
import type { AppendAnswer, AppendOptions, Stream } from "./types.ts";

const id = new Uint8Array(16).fill(5);
const other = new Uint8Array(16).fill(6);
const token = new Uint8Array([1, 2, 3]);

async function newStream(folder = new MemoryFolder()): Promise<{ folder: MemoryFolder; stream: Stream }> {
  const streams = await streamsOf(folder);
  const stream = await streams.getForAppend("a");
  return { folder, stream };
}

function send(stream: Stream, sequence: number, more: AppendOptions = {}, epoch = 0): Promise<AppendAnswer> {
  return stream.append(payloadOf(`${epoch}.${sequence}`), { ...more, producer: { id, epoch, sequence } });
}

describe("a producer's appends", () => {
  test("are stored once, and answered again with their first receipt", async () => {
    const { stream } = await newStream();
    const first = await send(stream, 0);
    const second = await send(stream, 1);
    assert.deepEqual(await send(stream, 0), { ...first, duplicate: true });
    assert.deepEqual(await send(stream, 1), { ...second, duplicate: true });
    assert.equal(stream.highWatermark, 2);
  });

  test("sent again while the first is on its way are answered when that is durable", async () => {
    const { folder, stream } = await newStream();
    await send(stream, 0);
    folder.hold = true;
    let answered = 0;
    const both = [send(stream, 1), send(stream, 1)].map((append) =>
      append.then((answer) => {
        answered += 1;
        return answer;
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(answered, 0);
    folder.release();
    const [first, again] = await Promise.all(both);
    assert.deepEqual(again, { ...first, duplicate: true });
    assert.equal(stream.highWatermark, 2);
  });

  test("sent again while the first is on its way are refused with it", async () => {
    const { folder, stream } = await newStream();
    await send(stream, 0);
    folder.refuse = 1;
    const both = [send(stream, 1), send(stream, 1)];
    for (const refused of both) await assertRefused(refused, { reason: "disk_full" });
    assert.equal((await send(stream, 1)).startOffset, 1);
  });

  test("that were refused are not known, though a change of the stream has their place now", async () => {
    const { folder, stream } = await newStream();
    await send(stream, 0);
    const changes = [() => stream.fence(token), () => stream.trim(1), () => stream.update({ retentionAgeS: 3600 })];
    for (const [at, change] of changes.entries()) {
      folder.refuse = 1;
      await assertRefused(send(stream, at + 1, { fence: at === 0 ? new Uint8Array(0) : token }), {
        reason: "disk_full",
      });
      await change();
      const answer = await send(stream, at + 1, { fence: token });
      assert.equal(answer.duplicate, undefined);
      assert.equal(stream.highWatermark, at + 2);
    }
  });

  test("sent again are answered also where nothing new has room", async () => {
    const { folder, stream } = await newStream();
    const first = await send(stream, 0);
    folder.isFull = true;
    assert.deepEqual(await send(stream, 0), { ...first, duplicate: true });
    await assertRefused(send(stream, 1), { reason: "disk_full" });
  });

  test("with a gap, of an old epoch, or of nobody known are refused with what would be taken", async () => {
    const { stream } = await newStream();
    await send(stream, 0);
    const expected = (epoch: number, sequence: number) => ({ facts: { producer: { id, epoch, sequence } } });
    await assertRefused(send(stream, 2), { reason: "sequence_gap", ...expected(0, 1) });
    await send(stream, 0, {}, 3);
    await assertRefused(send(stream, 1), { reason: "stale_epoch", ...expected(3, 1) });
    await assertRefused(send(stream, 1, {}, 4), { reason: "sequence_gap", ...expected(4, 0) });
    const stranger = stream.append(payloadOf("x"), { producer: { id: other, epoch: 1, sequence: 2 } });
    const facts = { producer: { id: other, epoch: 1, sequence: 0 } };
    await assertRefused(stranger, { reason: "unknown_producer", facts });
    assert.equal(stream.highWatermark, 2);
  });

  test("are known after a start, with what came behind the last checkpoint", async () => {
    const folder = new MemoryFolder();
    folder.rollAfterBatches = 4;
    const { stream } = await newStream(folder);
    const receipts: AppendAnswer[] = [];
    for (let sequence = 0; sequence < 7; sequence++) receipts.push(await send(stream, sequence));
    const again = (await streamsOf(folder.reopen())).get("a");
    // Of those before the last checkpoint but one it knows that they were here.
    assert.deepEqual(await send(again, 0), { streamId: stream.id, duplicate: true });
    for (const sequence of [5, 6])
      assert.deepEqual(await send(again, sequence), { ...receipts[sequence], duplicate: true });
    await assertRefused(send(again, 8), { reason: "sequence_gap" });
    assert.equal((await send(again, 7)).startOffset, 7);
  });

  test("refused for want of room are taken when they are sent again, all of them", async () => {
    const { folder, stream } = await newStream();
    await send(stream, 0);
    folder.refuse = 1;
    const refused = [1, 2, 3].map((sequence) => send(stream, sequence));
    for (const append of refused) await assertRefused(append, { reason: "disk_full" });
    const offsets = await Promise.all([1, 2, 3].map((sequence) => send(stream, sequence)));
    assert.deepEqual(
      offsets.map(({ startOffset, duplicate }) => [startOffset, duplicate]),
      [
        [1, undefined],
        [2, undefined],
        [3, undefined],
      ],
    );
  });

  test("refused for want of room are not known, though something else has their place", async () => {
    const changes: ((stream: Stream) => Promise<unknown>)[] = [
      (stream) => stream.fence(new Uint8Array(0)),
      (stream) => stream.trim(1),
      (stream) => stream.update({ retentionAgeS: 1000 }),
    ];
    for (const change of changes) {
      const { folder, stream } = await newStream();
      await send(stream, 0);
      folder.refuse = 1;
      await assertRefused(send(stream, 1), { reason: "disk_full" });
      await change(stream);
      const { startOffset, duplicate } = await send(stream, 1);
      assert.deepEqual([startOffset, duplicate], [1, undefined]);
    }
  });
});

describe("a conditional append", () => {
  test("goes in at its offset only, and is told which is next", async () => {
    const { stream } = await newStream();
    await stream.append(payloadOf("a"), { expectedOffset: 0 });
    const refusal = { reason: "offset_taken", facts: { nextOffset: 1, fate: "nothing_written" } } as const;
    await assertRefused(stream.append(payloadOf("b"), { expectedOffset: 0 }), refusal);
    await assertRefused(stream.append(payloadOf("b"), { expectedOffset: 2 }), refusal);
    await stream.append(payloadOf("b", "c"), { expectedOffset: 1 });
    assert.equal(stream.highWatermark, 3);
  });

  test("of many at once one goes in, and the others are told when it is durable", async () => {
    const { folder, stream } = await newStream();
    await stream.append(payloadOf("a"));
    folder.hold = true;
    const settled: string[] = [];
    const all = Array.from({ length: 5 }, (_, at) =>
      stream.append(payloadOf(`${at}`), { expectedOffset: 1 }).then(
        () => settled.push("taken"),
        () => settled.push("refused"),
      ),
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(settled, []);
    folder.release();
    await Promise.all(all);
    assert.deepEqual(settled.sort(), ["refused", "refused", "refused", "refused", "taken"]);
    assert.equal(stream.highWatermark, 2);
  });

  test("that lost to one which is refused is refused for the same reason, not by an offset that nobody has", async () => {
    const { folder, stream } = await newStream();
    await stream.append(payloadOf("a"));
    folder.refuse = 1;
    const both = [0, 1].map((at) => stream.append(payloadOf(`${at}`), { expectedOffset: 1 }));
    for (const append of both) await assertRefused(append, { reason: "disk_full" });
    await stream.append(payloadOf("b"), { expectedOffset: 1 });
  });
});

describe("a fence", () => {
  test("lets only appends in that name its token, from its place on", async () => {
    const { stream } = await newStream();
    const before = stream.append(payloadOf("before"));
    const fence = stream.fence(token);
    await before;
    assert.equal(await fence, 1);
    await assertRefused(stream.append(payloadOf("a")), { reason: "fenced", facts: { fence: token } });
    const wrong = stream.append(payloadOf("a"), { fence: new Uint8Array([9]) });
    await assertRefused(wrong, { reason: "fenced", facts: { fence: token } });
    await stream.append(payloadOf("a"), { fence: token });
    await stream.fence(new Uint8Array(0));
    await assertRefused(stream.append(payloadOf("b"), { fence: token }), { reason: "fenced" });
    await stream.append(payloadOf("b"));
    assert.equal(stream.highWatermark, 3);
  });

  test("is in force after a start, and in checkpoints", async () => {
    for (const rollAfterBatches of [undefined, 2]) {
      const folder = new MemoryFolder();
      folder.rollAfterBatches = rollAfterBatches;
      const { stream } = await newStream(folder);
      await stream.fence(token);
      for (let at = 0; at < 5; at++) await stream.append(payloadOf("a"), { fence: token });
      const again = (await streamsOf(folder.reopen())).get("a");
      assert.deepEqual((await again.describe()).fence, token);
      await assertRefused(again.append(payloadOf("b")), { reason: "fenced", facts: { fence: token } });
      await again.append(payloadOf("b"), { fence: token });
    }
  });
});

describe("what an append depends on", () => {
  test("is looked at in the order producer, fence, offset: a retry is a duplicate whatever came since", async () => {
    const { stream } = await newStream();
    const first = await send(stream, 0, { expectedOffset: 0 });
    await stream.append(payloadOf("else"));
    await stream.fence(token);
    assert.deepEqual(await send(stream, 0, { expectedOffset: 0 }), { ...first, duplicate: true });
    await assertRefused(send(stream, 2, { expectedOffset: 9 }), { reason: "sequence_gap" });
    await assertRefused(send(stream, 1, { expectedOffset: 9 }), { reason: "fenced" });
    await assertRefused(send(stream, 1, { fence: token, expectedOffset: 9 }), { reason: "offset_taken" });
    assert.equal((await send(stream, 1, { fence: token, expectedOffset: 2 })).startOffset, 2);
  });

  test("breaks a series where it had no room: nothing behind it goes in, though it waited for a new term", async () => {
    const before = await newStream();
    await before.stream.append(payloadOf("before"));
    const { folder, stream } = await newStream(before.folder.reopen());
    const series = { isBroken: false };
    folder.hold = true;
    folder.refuse = 1;
    const first = stream.append(payloadOf("first"), { series });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = stream.append(payloadOf("second"), { series });
    const third = stream.append(payloadOf("of another"));
    folder.release();
    await assertRefused(first, { reason: "disk_full" });
    await assertRefused(second, { reason: "not_ready", facts: { fate: "nothing_written" } });
    assert.equal((await third).startOffset, 1);
  });

  test("breaks a series: nothing behind a refused append goes in, though it was sent already", async () => {
    const { stream } = await newStream();
    const series = { isBroken: false };
    const outcomes = await Promise.allSettled([
      stream.append(payloadOf("a"), { series }),
      stream.append(payloadOf("b"), { series, expectedOffset: 7 }),
      stream.append(payloadOf("c"), { series }),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "rejected"],
    );
    assert.equal(stream.highWatermark, 1);
  });

  test("breaks a series also where it was want of room, and what comes next has room again", async () => {
    const { folder, stream } = await newStream();
    await send(stream, 0);
    folder.refuse = 1;
    const series = { isBroken: false };
    await assertRefused(stream.append(payloadOf("a"), { series }), { reason: "disk_full" });
    await assertRefused(stream.append(payloadOf("b"), { series }), { reason: "not_ready" });
    await stream.append(payloadOf("c"));
    assert.equal(stream.highWatermark, 2);
  });

  test("breaks a series where a duplicate could not be told, since what came before it was refused", async () => {
    const { folder, stream } = await newStream();
    await send(stream, 0);
    folder.refuse = 1;
    const series = { isBroken: false };
    const refused = stream.append(payloadOf("a"));
    const duplicate = send(stream, 0, { series });
    await assertRefused(refused, { reason: "disk_full" });
    await assertRefused(duplicate, { reason: "disk_full" });
    await assertRefused(stream.append(payloadOf("b"), { series }), { reason: "not_ready" });
    assert.equal(stream.highWatermark, 1);
  });
});
