import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { ErrorDetailSchema, Fate, Reason } from "../wire/gen/tailrace/v1/error_pb.ts";
import { type AppendRequest, LogService, Routing } from "../wire/gen/tailrace/v1/log_pb.ts";
import { appendBatch, fenceStream, producerPlace } from "./append.ts";
import { createClient } from "./client.ts";
import { RequestError } from "./errors.ts";

type Detail = MessageInitShape<typeof ErrorDetailSchema>;

/** An error of a node's. */
function refusal(code: Code, detail: Detail): ConnectError {
  return new ConnectError("no", code, undefined, [
    { desc: ErrorDetailSchema, value: create(ErrorDetailSchema, { fate: Fate.NOTHING_WRITTEN, ...detail }) },
  ]);
}

/** A client of a node that fails the first appends so, and then takes them; and what it was sent. */
function nodeThatFails(...failures: ConnectError[]) {
  const requests: AppendRequest[] = [];
  const append = (request: AppendRequest) => {
    requests.push(request);
    const failure = failures.shift();
    if (failure) throw failure;
    return { startOffset: 7n, nextOffset: 8n };
  };
  const fence = ({ token }: { token: Uint8Array }) => ({ streamId: 5n, nextOffset: BigInt(token.length) });
  return {
    client: createClient(createRouterTransport((router) => router.service(LogService, { append, fence }))),
    requests,
  };
}

const lost = () => new ConnectError("read ECONNRESET", Code.Aborted);
const id = new Uint8Array(16).fill(3);
const at = (epoch: number, sequence: bigint) => ({ id, epoch, sequence });
const payload = Uint8Array.of(0x0a, 0);

async function failureOf(work: Promise<unknown>): Promise<RequestError> {
  const failure = await work.catch((error: unknown) => error);
  assert.ok(failure instanceof RequestError);
  return failure;
}

describe("appendBatch()", () => {
  test("sends what the append depends on", async () => {
    const { client, requests } = nodeThatFails();
    const fence = Buffer.from("w");
    const producer = { id, epoch: 2, sequence: 4 };
    await appendBatch(client, { stream: "s", payload, producer, expectedOffset: 7, fence, streamId: 9n });
    const [{ stream, producer: sent, expectedOffset, streamId, fence: token = new Uint8Array() } = assert.fail()] =
      requests;
    assert.deepEqual(
      {
        stream,
        epoch: sent?.epoch,
        sequence: sent?.sequence,
        expectedOffset,
        streamId,
        token: `${Buffer.from(token)}`,
      },
      { stream: "s", epoch: 2, sequence: 4n, expectedOffset: 7n, streamId: 9n, token: "w" },
    );
  });

  test("sends it again under its number when the connection was lost or the node was not ready", async () => {
    const { client, requests } = nodeThatFails(lost(), refusal(Code.Unavailable, { reason: Reason.NOT_READY }));
    const { startOffset } = await appendBatch(client, { stream: "s", payload, producer: { id, sequence: 4 } });
    assert.equal(startOffset, 7n);
    assert.deepEqual(
      requests.map(({ producer }) => producer?.sequence),
      [4n, 4n, 4n],
    );
  });

  test("sends it once where it has no producer", async () => {
    const { client, requests } = nodeThatFails(lost());
    const { kind, nothingWritten } = await failureOf(appendBatch(client, { stream: "s", payload }));
    assert.deepEqual([kind, nothingWritten, requests.length], ["lost", false, 1]);
  });

  test("does not ask the same node again that names another leader", async () => {
    const refused = refusal(Code.Unavailable, { reason: Reason.NOT_LEADER, leader: { nodeId: "b", url: "http://b" } });
    const { client, requests } = nodeThatFails(refused);
    const options = { stream: "s", payload, producer: { id, sequence: 4 }, refuseElsewhere: true };
    const { detail, isPassing } = await failureOf(appendBatch(client, options));
    assert.deepEqual([detail?.leader?.url, isPassing, requests.length], ["http://b", false, 1]);
    assert.equal(requests[0]?.routing, Routing.REFUSE);
  });

  test("gives up after as many tries as allowed", async () => {
    const { client, requests } = nodeThatFails(lost(), lost(), lost());
    const producer = { id, sequence: 0 };
    await failureOf(appendBatch(client, { stream: "s", payload, producer, triesMax: 2 }));
    assert.equal(requests.length, 2);
  });

  test("a refusal of a second try says nothing of the first", async () => {
    const stale = refusal(Code.FailedPrecondition, { reason: Reason.STALE_EPOCH, producer: at(2, 0n) });
    const { client } = nodeThatFails(lost(), stale);
    const failure = await failureOf(appendBatch(client, { stream: "s", payload, producer: { id, sequence: 0 } }));
    assert.deepEqual([failure.conflict?.kind, failure.nothingWritten], ["staleEpoch", false]);
  });

  const expected = { epoch: 3, sequence: 5 };
  const conflicts = [
    {
      name: "offset taken",
      detail: { reason: Reason.OFFSET_TAKEN, nextOffset: 8n },
      conflict: { kind: "offsetTaken", nextOffset: 8 },
    },
    { name: "fenced", detail: { reason: Reason.FENCED, fence: payload }, conflict: { kind: "fenced", fence: payload } },
    {
      name: "stale epoch",
      detail: { reason: Reason.STALE_EPOCH, producer: at(3, 5n) },
      conflict: { kind: "staleEpoch", expected },
    },
    {
      name: "sequence gap",
      detail: { reason: Reason.SEQUENCE_GAP, producer: at(3, 5n) },
      conflict: { kind: "sequenceGap", expected },
    },
    {
      name: "unknown producer",
      detail: { reason: Reason.UNKNOWN_PRODUCER, producer: at(3, 5n) },
      conflict: { kind: "unknownProducer", expected },
    },
    { name: "limit", detail: { reason: Reason.LIMIT }, conflict: undefined },
  ];
  for (const { name, detail, conflict } of conflicts) {
    test(`a refusal for ${name} says what is true now, and is final`, async () => {
      const { client, requests } = nodeThatFails(refusal(Code.FailedPrecondition, detail));
      const failure = await failureOf(appendBatch(client, { stream: "s", payload, producer: { id, sequence: 9 } }));
      assert.deepEqual(failure.conflict, conflict);
      assert.deepEqual([failure.nothingWritten, requests.length], [true, 1]);
    });
  }
});

describe("producerPlace()", () => {
  test("is what would be taken next, of a producer that is known or not", async () => {
    const gap = refusal(Code.FailedPrecondition, { reason: Reason.SEQUENCE_GAP, producer: at(1, 6n) });
    const unknown = refusal(Code.FailedPrecondition, { reason: Reason.UNKNOWN_PRODUCER, producer: at(1, 0n) });
    const { client } = nodeThatFails(gap, unknown);
    assert.deepEqual(await producerPlace(client, "s", { id, epoch: 1 }), { epoch: 1, sequence: 6 });
    assert.deepEqual(await producerPlace(client, "s", { id, epoch: 1 }), { epoch: 1, sequence: 0 });
  });

  test("a higher epoch is an error that tells it", async () => {
    const { client } = nodeThatFails(
      refusal(Code.FailedPrecondition, { reason: Reason.STALE_EPOCH, producer: at(4, 6n) }),
    );
    const failure = await failureOf(producerPlace(client, "s", { id, epoch: 1 }));
    assert.equal(failure.message, `Cannot append to stream "s" in the producer's epoch 1: it is in epoch 4`);
    assert.deepEqual(failure.conflict, { kind: "staleEpoch", expected: { epoch: 4, sequence: 6 } });
  });
});

test("fenceStream() gives the offset from which on the token holds", async () => {
  const { client } = nodeThatFails();
  assert.deepEqual(await fenceStream(client, "s", Buffer.from("abc")), { streamId: 5n, nextOffset: 3 });
});
