/** An appender with a producer: what it does when connections are lost, and what it gives as done. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport, type Interceptor } from "@connectrpc/connect";
import { ErrorDetailSchema, Fate, Reason } from "../wire/gen/tailrace/v1/error_pb.ts";
import { type AppendStreamRequest, LogService } from "../wire/gen/tailrace/v1/log_pb.ts";
import { AppendError, Appender, type AppenderOptions } from "./appender.ts";
import { createClient } from "./client.ts";
import { NotConnectedError } from "./errors.ts";

/** What a call does with its n-th request, from 0: fails before it is stored, or after it, or goes on. */
interface Failing {
  readonly at: number;
  readonly isStored: boolean;
  readonly failure: () => ConnectError;
}

/** A node that stores a producer's batches once; its calls fail as told, one after the other. */
class ModelNode {
  readonly stored: string[] = [];
  /** Numbers of the requests, call by call. */
  readonly calls: number[][] = [];
  /** Stream's id and name in each call's first request. */
  readonly named: string[] = [];
  /** Numbers of batches that a node on the way sends twice: the second answer is what comes back. */
  readonly sentTwice = new Set<number>();
  readonly #failing: Failing[];

  constructor(...failing: Failing[]) {
    this.#failing = failing;
  }

  get client() {
    const appendStream = (requests: AsyncIterable<AppendStreamRequest>) => this.#append(requests);
    return createClient(createRouterTransport((router) => router.service(LogService, { appendStream })));
  }

  async *#append(requests: AsyncIterable<AppendStreamRequest>) {
    const failing = this.#failing.shift();
    const call: number[] = [];
    this.calls.push(call);
    for await (const { producer, batch, stream, streamId } of requests) {
      const sequence = Number(producer?.sequence);
      if (call.length === 0) this.named.push(`${stream} ${streamId ?? "-"}`);
      const isFailing = call.push(sequence) - 1 === failing?.at;
      if (isFailing && !failing.isStored) throw failing.failure();
      const duplicate = sequence < this.stored.length;
      if (!duplicate) assert.equal(sequence, this.stored.push(Buffer.from(batch).toString()) - 1, "no gap");
      if (isFailing) throw failing.failure();
      const place = { streamId: 2n, startOffset: BigInt(sequence), nextOffset: BigInt(sequence + 1) };
      yield { appended: { ...place, duplicate: duplicate || this.sentTwice.has(sequence) } };
    }
  }
}

const lost = () => new ConnectError("read ECONNRESET", Code.Aborted);
const stale = () =>
  new ConnectError("no", Code.FailedPrecondition, undefined, [
    {
      desc: ErrorDetailSchema,
      value: create(ErrorDetailSchema, { reason: Reason.STALE_EPOCH, fate: Fate.NOTHING_WRITTEN }),
    },
  ]);
const producer = { id: new Uint8Array(16).fill(3) };
const texts = ["a", "b", "c", "d", "e"];

/** Appends the texts; gives what was told of each, and how it ended. */
async function appendTo(
  node: ModelNode,
  options: Partial<AppenderOptions<{ payload: Uint8Array; records: number }>> = {},
) {
  const told: string[] = [];
  const appender = new Appender(node.client, {
    ...{ stream: "s", producer, ...options },
    onAppended: ({ payload }, { startOffset }, wasThere) => {
      told.push(`${Buffer.from(payload)}@${startOffset}${wasThere ? " was there" : ""}`);
    },
  });
  const failure = await (async () => {
    for (const text of texts) await appender.send({ payload: Buffer.from(text), records: 1 });
    await appender.finish();
  })().catch((error: unknown) => error);
  assert.ok(failure === undefined || failure instanceof AppendError);
  return { told, failure };
}

const toldOnce = ["a@0", "b@1", "c@2", "d@3", "e@4"];

describe("an appender with a producer", () => {
  for (const isStored of [true, false]) {
    test(`sends again what was not answered, ${isStored ? "stored" : "not stored"} before the connection was lost`, async () => {
      const node = new ModelNode(
        { at: 2, isStored, failure: lost },
        { at: 1, isStored, failure: lost },
        { at: 0, isStored, failure: lost },
      );
      const { told, failure } = await appendTo(node);
      assert.equal(failure, undefined);
      assert.deepEqual([node.stored, told], [texts, toldOnce]);
      assert.deepEqual(
        node.calls.map(([first]) => first),
        [0, 2, 3, 3],
      );
      assert.deepEqual(node.named, ["s -", "s 2", "s 2", "s 2"]);
    });
  }

  test("counts what was there before as there, under the numbers that it was given", async () => {
    const node = new ModelNode();
    node.stored.push("x", "y", "a", "b");
    const { told } = await appendTo(node, { producer: { ...producer, sequence: 2 } });
    assert.deepEqual(told, ["a@2 was there", "b@3 was there", "c@4", "d@5", "e@6"]);
  });

  test("counts what a node on the way sent twice as its own, behind what was new", async () => {
    const node = new ModelNode();
    node.stored.push("a");
    node.sentTwice.add(2).add(4);
    const { told } = await appendTo(node);
    assert.deepEqual([node.stored, told], [texts, ["a@0 was there", ...toldOnce.slice(1)]]);
  });

  test("gives up after as many tries as allowed, and then nobody knows what was written", async () => {
    const node = new ModelNode(...Array.from({ length: 9 }, () => ({ at: 0, isStored: false, failure: lost })));
    const { failure } = await appendTo(node, { triesMax: 3 });
    assert.deepEqual([node.calls.length, failure?.nothingWritten, failure?.unacknowledged], [3, false, 5]);
  });

  test("each answer gives it all its tries again", async () => {
    const node = new ModelNode(...Array.from({ length: 4 }, () => ({ at: 1, isStored: false, failure: lost })));
    const { failure } = await appendTo(node, { triesMax: 2 });
    assert.deepEqual([failure, node.stored], [undefined, texts]);
  });

  test("a node that was never there is told at once", async () => {
    let calls = 0;
    const noWay: Interceptor = () => () => {
      calls++;
      throw new ConnectError("gone", Code.Unavailable, undefined, undefined, new NotConnectedError("gone"));
    };
    const transport = createRouterTransport(() => {}, { transport: { interceptors: [noWay] } });
    const appender = new Appender(createClient(transport), { stream: "s", producer });
    await assert.rejects(appender.finish(), { nothingWritten: true });
    assert.equal(calls, 1);
  });

  test("a refusal is final, and says nothing was written where nothing was sent before", async () => {
    const node = new ModelNode({ at: 1, isStored: false, failure: stale });
    const { failure } = await appendTo(node);
    assert.deepEqual([node.calls.length, failure?.cause.conflict?.kind], [1, "staleEpoch"]);
    assert.deepEqual([failure?.acknowledged, failure?.nothingWritten], [1, true]);
  });

  test("a refusal of what was sent before leaves its fate open", async () => {
    const node = new ModelNode({ at: 1, isStored: true, failure: lost }, { at: 0, isStored: false, failure: stale });
    const { failure } = await appendTo(node);
    assert.deepEqual([failure?.cause.conflict?.kind, failure?.nothingWritten], ["staleEpoch", false]);
  });

  test("a duplicate of another number of records is no success", async () => {
    const node = new ModelNode();
    node.stored.push("a");
    const appender = new Appender(node.client, { stream: "s", producer });
    await appender.send({ payload: Buffer.from("a and more"), records: 2 });
    await assert.rejects(appender.finish(), {
      message: "the stream has another batch 0 of this producer: of 1 records, not 2",
      nothingWritten: false,
    });
    assert.equal(node.calls.length, 1);
  });

  test("close() ends the wait for the next try", async () => {
    const node = new ModelNode({ at: 0, isStored: false, failure: lost });
    const appender: Appender = new Appender(node.client, {
      ...{ stream: "s", producer },
      onDisconnected: () => appender.close(),
    });
    await appender.send({ payload: Buffer.from("a"), records: 1 });
    await appender.ended;
    assert.equal(node.stored.length, 0);
  });
});
