/**
 * Damage on a node that is alone: what is damaged is served to nobody, what comes before it is, and nothing is appended
 * behind it. Other streams go on.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { type ErrorDetail, ErrorDetailSchema, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { StreamState } from "../../src/wire/gen/tailrace/v1/stream_pb.ts";
import { runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { type NodeProcess, startNode } from "../support/node-process.ts";

const timeout = 60_000;
const headerBytes = 128;
/** Each of these is a batch of its own that goes to its segment at once; four fill the smallest one. */
const valueBytes = 300_000;
const records = 10;

/** A node that serves two streams, as long as `work` lasts. */
async function serving(data: string, work: (connection: Connection, node: NodeProcess) => Promise<void>) {
  const node = await startNode({ data });
  const connection = connectTo(node.url);
  try {
    await work(connection, node);
  } finally {
    connection.close();
    await node.end("SIGTERM");
  }
}

/** A stopped node's data folder with a stream of ten records in some segments, and where those are. */
async function stopped(): Promise<{ data: string; segments: string[] }> {
  const data = temporaryFolder();
  let segments: string[] = [];
  await serving(data, async ({ client }) => {
    const { stream } = await client.streams.createStream({ name: "hurt", settings: { segmentMaxBytes: 1n << 20n } });
    for (let record = 0; record < records; record++) await append(client, "hurt", record);
    await append(client, "well", 0);
    const folder = path.join(data, "groups", String(stream?.id), "1");
    segments = fs.readdirSync(folder).filter((name) => name.endsWith(".log"));
    segments = segments.sort().map((name) => path.join(folder, name));
  });
  assert.ok(segments.length >= 3);
  return { data, segments };
}

async function append(client: Connection["client"], stream: string, record: number): Promise<void> {
  await client.log.append({ stream, records: [{ value: new Uint8Array(valueBytes).fill(record) }] });
}

/** Reads on until the end, or until that is refused. */
async function readOn(client: Connection["client"], from: number) {
  const read: number[] = [];
  for (let next = BigInt(from); next < records; ) {
    const start = { at: { case: "offset", value: next } } as const;
    const answer = await client.log.read({ stream: "hurt", start }).catch((error: unknown) => ConnectError.from(error));
    if (answer instanceof ConnectError) return { read, refusal: answer };
    for (const record of answer.batches.flatMap((batch) => batch.records)) {
      const [first = -1] = record.value;
      assert.deepEqual(record.value, new Uint8Array(valueBytes).fill(first));
      read.push(first);
    }
    next = answer.nextOffset;
  }
  return { read, refusal: undefined };
}

function detailOf(error: ConnectError): ErrorDetail | undefined {
  return error.findDetails(ErrorDetailSchema)[0];
}

function flip(file: string, position: number): void {
  const bytes = fs.readFileSync(file);
  bytes[position] = (bytes[position] ?? 0) ^ 0x10;
  fs.writeFileSync(file, bytes);
}

/** Length of the checkpoint that a segment begins with. */
function checkpointBytes(file: string): number {
  return headerBytes + fs.readFileSync(file).readUInt32LE(12);
}

describe("a damaged stream of a node that is alone", () => {
  const cases = [
    {
      name: "a bit of a record in a sealed segment",
      spoil: ([, second = ""]: string[]) => flip(second, checkpointBytes(second) + headerBytes + 1000),
      whole: 4,
      atStart: false,
    },
    {
      name: "a bit of a batch's header in a sealed segment",
      spoil: ([, second = ""]: string[]) => flip(second, checkpointBytes(second) + 20),
      whole: 4,
      atStart: false,
    },
    {
      name: "a bit of the newest batch",
      spoil: (segments: string[]) => flip(segments.at(-1) ?? "", fs.statSync(segments.at(-1) ?? "").size - 5),
      whole: records - 1,
      atStart: false,
    },
    {
      name: "the end of the newest segment",
      spoil: (segments: string[]) => fs.truncateSync(segments.at(-1) ?? "", 1000),
      whole: 8,
      atStart: true,
    },
    {
      name: "the newest segment",
      spoil: (segments: string[]) => fs.rmSync(segments.at(-1) ?? ""),
      whole: 8,
      atStart: true,
    },
    {
      name: "a segment in the middle",
      spoil: ([, second = ""]: string[]) => fs.rmSync(second),
      whole: 4,
      atStart: false,
    },
    { name: "the first segment", spoil: ([first = ""]: string[]) => fs.rmSync(first), whole: 0, atStart: true },
  ];
  for (const { name, spoil, whole, atStart } of cases) {
    test(`is read up to the damage and takes nothing more: ${name}`, { timeout }, async () => {
      const { data, segments } = await stopped();
      spoil(segments);
      await serving(data, async ({ client }, node) => {
        if (!atStart) {
          const { stream } = await client.streams.getStream({ name: "hurt" });
          assert.equal(stream?.highWatermark, BigInt(records));
        }
        const { read, refusal } = await readOn(client, 0);
        assert.deepEqual(
          read,
          Array.from({ length: whole }, (_, record) => record),
        );
        assert.ok(refusal !== undefined);
        assert.equal(refusal.code, Code.DataLoss);
        assert.equal(detailOf(refusal)?.reason, Reason.DAMAGED);

        // Nor is what is missing passed over by who asks for an offset in it.
        assert.deepEqual((await readOn(client, whole)).read, []);

        const appending = await append(client, "hurt", 99).catch((error: unknown) => ConnectError.from(error));
        assert.ok(appending instanceof ConnectError);
        assert.equal(appending.code, Code.DataLoss);
        assert.match(appending.message, /: groups\/\d+\/1/);
        // Nobody is told where on the node's machine its data folder is.
        for (const { message } of [refusal, appending]) assert.ok(!message.includes(data), message);
        assert.match(detailOf(appending)?.todo ?? "", /tailrace repair/);
        const { stream } = await client.streams.getStream({ name: "hurt" });
        assert.equal(stream?.state, StreamState.READ_ONLY);
        const { stdout } = await runCli(node.url, ["streams", "describe", "hurt"]);
        assert.match(stdout.toString(), /read.only/);

        await append(client, "well", 1);
        assert.equal((await client.streams.getStream({ name: "well" })).stream?.highWatermark, 2n);
      });
      // It is no other after a kill and a start.
      await serving(data, async ({ client }) => {
        const { read, refusal } = await readOn(client, 0);
        assert.equal(read.length, whole);
        assert.equal(refusal?.code, Code.DataLoss);
        await client.streams.deleteStream({ name: "hurt" });
        await client.streams.createStream({ name: "hurt" });
        await append(client, "hurt", 0);
        assert.equal((await client.streams.getStream({ name: "hurt" })).stream?.highWatermark, 1n);
      });
    });
  }
});
