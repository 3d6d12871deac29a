import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { ErrorDetailSchema, Reason } from "../wire/gen/tailrace/v1/error_pb.ts";
import {
  LogService,
  type ReadRequest,
  TailEndReason,
  type TailRequest,
  type TailResponseSchema,
} from "../wire/gen/tailrace/v1/log_pb.ts";
import { createClient } from "./client.ts";
import { RequestError } from "./errors.ts";
import { followParts } from "./follower.ts";
import { atOffset, type ReadPart, readParts } from "./reader.ts";

type Frame = MessageInitShape<typeof TailResponseSchema>;

/** Batches of a stream, by start offset and count. */
type Batches = readonly (readonly [start: number, count: number])[];

const batchOf = ([start, count]: readonly [number, number], skip = 0) => ({
  startOffset: BigInt(start),
  recordCount: count,
  skip,
});
const frameOf = (batch: readonly [number, number]): Frame => ({ frame: { case: "batch", value: batchOf(batch) } });
const endOf = (reason: TailEndReason): Frame => ({ frame: { case: "end", value: { reason } } });

/** A node that answers each read with one batch, up to what it holds at the time, and tails as told. */
function nodeOf(held: Batches[], tails: ((request: TailRequest) => AsyncGenerator<Frame>)[] = []) {
  const reads: string[] = [];
  let tailNumber = 0;
  const client = createClient(
    createRouterTransport((router) =>
      router.service(LogService, {
        read(request: ReadRequest) {
          const at = request.start?.at;
          reads.push(`${at?.case} ${at?.value}${request.endOffset === undefined ? "" : ` to ${request.endOffset}`}`);
          const batches = held[Math.min(tailNumber, held.length - 1)] ?? [];
          const high = batches.reduce((end, [start, count]) => Math.max(end, start + count), 0);
          const from = at?.case === "offset" ? Number(at.value) : 0;
          const found = batches.find(([start, count]) => start + count > from);
          const next = found ? found[0] + found[1] : from;
          return {
            batches: found ? [batchOf(found, Math.max(0, from - found[0]))] : [],
            streamId: 5n,
            nextOffset: BigInt(next),
            highWatermark: BigInt(high),
          };
        },
        async *tail(request: TailRequest) {
          const tail = tails[tailNumber++];
          if (tail) yield* tail(request);
        },
      }),
    ),
  );
  return { client, reads };
}

/** Start and end of each part that has records. */
async function ranges(parts: AsyncIterable<ReadPart>): Promise<string[]> {
  const said: string[] = [];
  for await (const { startOffset, nextOffset } of parts) {
    if (nextOffset > startOffset) said.push(`${startOffset}-${nextOffset}`);
  }
  return said;
}

/** The same, until the parts fail; the failure comes last. */
async function rangesAndFailure(parts: AsyncIterable<ReadPart>): Promise<string[]> {
  const said: string[] = [];
  try {
    for await (const { startOffset, nextOffset } of parts) {
      if (nextOffset > startOffset) said.push(`${startOffset}-${nextOffset}`);
    }
    return said;
  } catch (error) {
    assert.ok(error instanceof RequestError);
    return [...said, `${error.kind}: ${error.message}`];
  }
}

const lost = () => new ConnectError("read ECONNRESET", Code.Aborted);
const held: Batches = [
  [0, 2],
  [2, 3],
  [5, 1],
];
const stream = "s";

describe("readParts()", () => {
  test("reads to the high watermark of its first answer", async () => {
    const { client, reads } = nodeOf([held]);
    assert.deepEqual(await ranges(readParts(client, { stream, start: atOffset(0) })), ["0-2", "2-5", "5-6"]);
    assert.deepEqual(reads, ["offset 0", "offset 2 to 6", "offset 5 to 6"]);
  });

  test("begins inside of a batch", async () => {
    const { client } = nodeOf([held]);
    assert.deepEqual(await ranges(readParts(client, { stream, start: atOffset(3) })), ["3-5", "5-6"]);
  });

  test("an empty stream gives one part without records", async () => {
    const { client } = nodeOf([[]]);
    const parts: number[] = [];
    for await (const { nextOffset } of readParts(client, { stream, start: atOffset(0) })) parts.push(nextOffset);
    assert.deepEqual(parts, [0]);
  });

  test("a node that gives nothing where there is something is no endless loop", async () => {
    const client = createClient(
      createRouterTransport((router) => router.service(LogService, { read: () => ({ highWatermark: 9n }) })),
    );
    assert.deepEqual(await rangesAndFailure(readParts(client, { stream, start: atOffset(0) })), [
      "refused: the node gave no records from offset 0 to 9",
    ]);
  });
});

describe("followParts()", () => {
  test("goes on where the reads ended, and where each tail broke, with nothing twice", async () => {
    const tailed: string[] = [];
    const note = ({ streams }: TailRequest) => {
      const [first] = streams;
      tailed.push(`${first?.start?.at.value} of ${first?.streamId}`);
    };
    const { client, reads } = nodeOf(
      [[[0, 2]], [...held]],
      [
        async function* (request) {
          note(request);
          yield frameOf([2, 3]);
          throw lost();
        },
        async function* (request) {
          note(request);
          yield frameOf([6, 1]);
          yield endOf(TailEndReason.RECONNECT);
        },
        async function* (request) {
          note(request);
          yield frameOf([6, 1]);
          yield endOf(TailEndReason.DELETED);
        },
      ],
    );
    const events: string[] = [];
    const parts = followParts(client, {
      stream,
      start: { case: "earliest", value: true },
      onDisconnected: (why) => events.push(why.message),
      onReconnected: (offset) => events.push(`back at ${offset}`),
    });
    // The last tail sends a batch again that the one before it gave.
    assert.deepEqual(await rangesAndFailure(parts), [
      "0-2",
      "2-5",
      "5-6",
      "6-7",
      "refused: the node sent the records from offset 6 on where those from 7 on were due",
    ]);
    assert.deepEqual(tailed, ["2 of 5", "6 of 5", "7 of 5"]);
    assert.deepEqual(reads, ["earliest true", "offset 5", "offset 7"]);
    assert.deepEqual(events, ["read ECONNRESET", "back at 5", "the node is stopping", "back at 7"]);
  });

  test("a deleted stream ends it in words", async () => {
    const { client } = nodeOf(
      [held],
      [
        async function* () {
          yield endOf(TailEndReason.DELETED);
        },
      ],
    );
    assert.deepEqual(await rangesAndFailure(followParts(client, { stream, start: atOffset(5) })), [
      "5-6",
      'refused: Stream "s" was deleted',
    ]);
  });

  test("a refusal ends it, after a reconnect too", async () => {
    const gone = create(ErrorDetailSchema, { reason: Reason.BELOW_LOG_START, logStart: 9n });
    const { client } = nodeOf(
      [held],
      [
        async function* () {
          yield frameOf([6, 1]);
          throw new ConnectError("gone", Code.OutOfRange, undefined, [{ desc: ErrorDetailSchema, value: gone }]);
        },
      ],
    );
    assert.deepEqual(await rangesAndFailure(followParts(client, { stream, start: atOffset(5) })), [
      "5-6",
      "6-7",
      "refused: gone",
    ]);
  });

  test("a node that is not to be reached at the first try is an error", async () => {
    const fails = () => {
      throw lost();
    };
    const client = createClient(createRouterTransport((router) => router.service(LogService, { read: fails })));
    assert.deepEqual(await rangesAndFailure(followParts(client, { stream, start: atOffset(0) })), [
      "lost: read ECONNRESET",
    ]);
  });

  test("an abort ends it without an error", async () => {
    const abort = new AbortController();
    const { client } = nodeOf(
      [held],
      [
        async function* () {
          yield frameOf([6, 1]);
          await new Promise(() => {});
        },
      ],
    );
    const parts = followParts(client, { stream, start: atOffset(6), signal: abort.signal });
    for await (const { nextOffset } of parts) if (nextOffset === 7) setTimeout(() => abort.abort(), 10);
  });
});
