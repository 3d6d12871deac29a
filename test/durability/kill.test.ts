/**
 * A node is killed in the middle of heavy appends, again and again. After each start, at once and without a further
 * append, each stream holds what was acknowledged: in order, once, byte for byte, offsets dense, digests as in the
 * receipts. What was on its way may be there or not, a whole batch at a time and in order.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { RecordsWriter } from "../../src/base/records-writer.ts";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { Appender } from "../../src/client/index.ts";
import { type AppendResponse, Form } from "../../src/wire/gen/tailrace/v1/log_pb.ts";
import { hasPython, python, type ReadByPage, readByPage } from "../format/both-readers.ts";
import { type NodeProcess, startNode } from "../support/node-process.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { StoredChain } from "../support/stored-chain.ts";

const cycles = 20;
const streams = 200;
/** Of these, so many are appended to by one pipelined call each; the others by one unary call after the other. */
const pipelinedStreams = 20;
const pipelineDepth = 8;
/** A node is killed when it has acknowledged so many batches. */
const acknowledgements = { from: 1, to: 3_000 };
/** Small batches have up to so many records of up to so many bytes. */
const small = { records: 5, bytes: 300 };
/** One batch in so many is large: it goes to its segment directly. */
const large = { oneIn: 60, from: 256 << 10, to: 700 << 10 };
const readsAtOnce = 16;

const data = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-kill-"));
after(() => fs.rmSync(data, { recursive: true, force: true }));

/** A batch that was sent; acknowledged if it has a receipt. */
interface Attempt {
  readonly payload: Uint8Array;
  readonly records: number;
  receipt?: AppendResponse;
}

type Receive = (attempt: Attempt, receipt: AppendResponse) => void;

/** One stream as its writer knows it. */
interface Written {
  readonly name: string;
  readonly chain: StoredChain;
  serial: number;
  /** Sent since the chain was last checked. */
  attempts: Attempt[];
}

/** All receipts that were handed out, and the folder after the last kill as reader.py has it. */
let killed: { readonly receipts: readonly AppendResponse[]; readonly read?: ReadByPage } | undefined;

test(`kill -9, ${cycles} times`, { timeout: 900_000 }, async () => {
  const random = seeded(chooseSeed("kill"), large.to);
  const all: Written[] = Array.from({ length: streams }, (_, number) => {
    return { name: `kill/${number}`, chain: new StoredChain(), serial: 0, attempts: [] };
  });
  let acknowledged = 0;
  let unknown = 0;
  let kept = 0;
  const receipts: AppendResponse[] = [];
  for (let cycle = 0; cycle < cycles; cycle++) {
    const node = await startNode({ data });
    const found = await checkAll(node, all);
    kept += found.unacknowledged;
    const fate = await appendUntilKilled(node, all, random.between(acknowledgements.from, acknowledgements.to));
    acknowledged += fate.acknowledged;
    unknown += fate.unknown;
    receipts.push(...all.flatMap(({ attempts }) => attempts.flatMap(({ receipt }) => receipt ?? [])));
  }
  assert.equal(receipts.length, acknowledged);
  killed = { receipts, ...(hasPython ? { read: readByPage(data) } : {}) };

  const last = await startNode({ data });
  kept += (await checkAll(last, all)).unacknowledged;
  assert.equal(await last.end("SIGTERM"), 0, last.output());

  const again = await startNode({ data });
  const connection = connectTo(again.url);
  await forEach(all, async ({ name, chain }) => {
    const whole = new StoredChain();
    await readOn(connection, name, whole, () => {});
    assert.deepEqual(whole.digest, chain.digest, name);
  });
  connection.close();
  assert.equal(await again.end("SIGTERM"), 0);
  console.log(`kill: ${acknowledged} batches acknowledged, all there; of ${unknown} on their way ${kept} were kept`);

  function nextAttempt(written: Written): Attempt {
    const writer = new RecordsWriter();
    const isLarge = random.between(1, large.oneIn) === 1;
    const count = isLarge ? 1 : random.between(1, small.records);
    for (let number = 0; number < count; number++) {
      const label = Buffer.from(`${written.name} ${written.serial++} `);
      const bytes = isLarge ? random.between(large.from, large.to) : random.between(0, small.bytes);
      writer.add(Buffer.concat([label, random.bytes(bytes)]));
    }
    const attempt = { payload: writer.take(), records: count };
    written.attempts.push(attempt);
    return attempt;
  }

  /** Appends to all streams at once, kills the node at its `last` acknowledgement, and waits for all calls to fail. */
  async function appendUntilKilled(node: NodeProcess, to: readonly Written[], last: number) {
    const connection = connectTo(node.url);
    let left = last;
    let killed: Promise<unknown> | undefined;
    const receive = (attempt: Attempt, receipt: AppendResponse) => {
      attempt.receipt = receipt;
      left--;
      if (left === 0) killed = node.end("SIGKILL");
    };
    const failed = (error: unknown) => {
      if (killed === undefined) throw error;
    };
    await Promise.all(
      to.map((written, number) => {
        const append = number < pipelinedStreams ? pipeline : oneByOne;
        return append(connection, written, receive).catch(failed);
      }),
    );
    assert.equal(await killed, "SIGKILL", node.output());
    connection.close();
    const attempts = to.flatMap((written) => written.attempts);
    const acknowledged = attempts.filter(({ receipt }) => receipt !== undefined).length;
    return { acknowledged, unknown: attempts.length - acknowledged };
  }

  async function oneByOne({ client }: Connection, written: Written, receive: Receive): Promise<never> {
    for (;;) {
      const attempt = nextAttempt(written);
      receive(attempt, await client.log.append({ stream: written.name, batch: attempt.payload }));
    }
  }

  async function pipeline({ client }: Connection, written: Written, receive: Receive): Promise<never> {
    const appender = new Appender<Attempt>(client, {
      stream: written.name,
      maxInFlight: pipelineDepth,
      onAppended: receive,
    });
    for (;;) await appender.send(nextAttempt(written));
  }
});

test("the second reader finds in the killed folder the batch of every receipt", python, () => {
  assert.ok(killed?.read, "the folder was not killed");
  const { batches, errors, status } = killed.read;
  assert.deepEqual([status, errors], [0, []]);
  const lineOf = (...parts: (number | bigint | string | undefined)[]) => parts.join(" ");
  const there = new Set(
    batches.map(({ group, index, base_offset, records, digest }) => {
      return lineOf(group, index, base_offset + records, digest);
    }),
  );
  const missing = killed.receipts.filter(({ streamId, index, nextOffset, digest }) => {
    return !there.has(lineOf(streamId, index, nextOffset, Buffer.from(digest).toString("hex")));
  });
  assert.deepEqual(missing, [], "these receipts are of batches that are not there");
  console.log(`kill: reader.py finds the batches of all ${killed.receipts.length} receipts`);
});

/** Checks what was written to each stream since the last time; counts the batches that nobody had acknowledged. */
async function checkAll(node: NodeProcess, all: readonly Written[]): Promise<{ unacknowledged: number }> {
  const connection = connectTo(node.url);
  let unacknowledged = 0;
  await forEach(all, async (written) => {
    const attempts = written.attempts.values();
    const { name, chain } = written;
    const found = await readOn(connection, name, chain, (batch) => {
      const attempt = attempts.next().value;
      assert.ok(attempt, `${name} holds a batch more than was sent`);
      assert.ok(Buffer.from(attempt.payload).equals(batch.payload), `${name}: payload of batch ${batch.index}`);
      const { receipt } = attempt;
      if (receipt === undefined) {
        unacknowledged++;
        return;
      }
      assert.equal(Number(receipt.index), batch.index);
      assert.equal(Number(receipt.startOffset), batch.startOffset);
      assert.equal(Number(receipt.nextOffset), batch.nextOffset);
      assert.deepEqual(receipt.digest, batch.digest);
    });
    for (const { receipt } of attempts) assert.ok(receipt === undefined, `${name}: batch ${receipt?.index} is gone`);
    assert.ok(found || chain.nextOffset === 0, `${name} is gone`);
    written.attempts = [];
  });
  connection.close();
  return { unacknowledged };
}

/** Reads from the chain's end to the stream's; false if there is no such stream. */
async function readOn(
  { client }: Connection,
  stream: string,
  chain: StoredChain,
  take: (batch: NonNullable<ReturnType<StoredChain["add"]>>) => void,
): Promise<boolean> {
  for (;;) {
    const start = { at: { case: "offset", value: BigInt(chain.nextOffset) } } as const;
    const answer = await client.log.read({ stream, start, form: Form.STORED, maxBytes: 4 << 20 }).catch((error) => {
      if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
      throw error;
    });
    if (answer === undefined) return false;
    for (const batch of answer.batches) {
      const checked = chain.add(batch);
      if (checked !== undefined) take(checked);
    }
    assert.equal(Number(answer.nextOffset), chain.nextOffset);
    if (answer.nextOffset === answer.highWatermark) return true;
  }
}

async function forEach<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const left = items.values();
  const take = async () => {
    for (const item of left) await run(item);
  };
  await Promise.all(Array.from({ length: readsAtOnce }, take));
}
