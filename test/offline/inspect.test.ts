/** `tailrace inspect DIR`: shows what is in a folder, and changes nothing. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { once } from "../format/both-readers.ts";
import { runCli } from "../support/cli.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { startNode } from "../support/node-process.ts";
import {
  batchesIn,
  copied,
  fingerprint,
  flip,
  framesIn,
  headerBytes,
  largeRecords,
  nowhere,
  place,
  segmentsOf,
  smallRecords,
  stoppedFolder,
} from "./folders.ts";

const timeout = 60_000;
const cleanly = once(() => stoppedFolder("SIGTERM"));
const killed = once(() => stoppedFolder("SIGKILL"));

/** Runs the command for a program. Its members are what a test asks for. */
async function inspect(data: string, ...flags: string[]) {
  const { code, stdout, stderr } = await runCli(nowhere, ["inspect", data, "--json", ...flags]);
  assert.deepEqual([stderr, code], ["", 0]);
  return JSON.parse(stdout.toString());
}

describe("inspect shows", () => {
  test("the folder, its journal and its streams, and leaves it as it was", { timeout }, async () => {
    for (const [make, cleanStop] of [
      [cleanly, true],
      [killed, false],
    ] as const) {
      const { data, large, small } = await make();
      const before = fingerprint(data);
      const id = fs.readFileSync(`${data}/id`);
      const frames = framesIn(data, "journal/0");
      const shown = await inspect(data, "--frames");
      assert.deepEqual(
        [shown.folder, shown.format, shown.diskId, shown.journal.cleanStop],
        [data, 1, id.toString("hex", 16, 32), cleanStop],
      );
      assert.deepEqual(
        shown.journal.frames.map(({ number, position, bytes }: { number: number; position: number; bytes: number }) => {
          return { position, length: bytes, number };
        }),
        frames,
      );
      assert.deepEqual(
        [shown.journal.frames.at(-1).kind, shown.journal.newestFrame],
        [cleanStop ? "clean" : "frame", frames.at(-1)?.number],
      );
      assert.equal(shown.journal.records.made, 3);
      assert.deepEqual(
        shown.streams.map(({ id, name, records, nextOffset, segments, tailBatches }: Record<string, unknown>) => {
          return [id, name, records, nextOffset, segments, tailBatches === 0];
        }),
        [
          [0, "_meta", 2, 2, 0, false],
          [large, "large", largeRecords, largeRecords, 3, true],
          [small, "small", smallRecords, smallRecords, 0, false],
        ],
      );
      assert.deepEqual(fingerprint(data), before);
    }
  });

  test("one stream by name or id: segments, checkpoints, mark, vote, voters, settings", { timeout }, async () => {
    const { data, large } = await cleanly();
    const shown = await inspect(data, "--stream", "large");
    assert.deepEqual(await inspect(data, "--stream", String(large)), shown);
    const diskId = fs.readFileSync(`${data}/id`).toString("hex", 16, 32);
    const segments = segmentsOf(data, large).map((file) => ({ file, batches: batchesIn(data, file) }));
    const ends = segments.map(({ batches }) => batches.at(-1));
    assert.deepEqual(
      shown.segments,
      segments.map(({ batches }, i) => ({
        firstIndex: batches[0]?.index,
        bytes: (ends[i]?.position ?? 0) + (ends[i]?.length ?? 0),
        sealed: i < segments.length - 1,
      })),
    );
    assert.deepEqual(
      shown.checkpoints.map(({ index, file, position }: Record<string, unknown>) => [index, file, position]),
      segments.map(({ file, batches }) => [batches[0]?.index, file, 0]),
    );
    assert.deepEqual([shown.end.index, shown.end.offset], [(ends.at(-1)?.index ?? 0) + 1, largeRecords]);
    assert.deepEqual([shown.mark.index, shown.mark.digest], [shown.end.index, shown.end.digest]);
    assert.deepEqual([shown.vote, shown.note], [{ term: 1, diskId, life: 0 }, [{ diskId, life: 0 }]]);
    assert.equal(shown.lastCheckpoint.settings.segmentMaxBytes, String(1 << 20));
    assert.deepEqual(shown.kinds, { checkpoint: 3, leaderChange: 1, records: largeRecords });
  });

  test("the producers that a stream knows, behind its last checkpoint too", { timeout }, async () => {
    const data = temporaryFolder();
    const node = await startNode({ data });
    const { client, close } = connectTo(node.url);
    await client.streams.createStream({ name: "made", settings: { segmentMaxBytes: 1n << 20n } });
    const [early, late] = [new Uint8Array(16).fill(1), new Uint8Array(16).fill(2)];
    const send = (id: Uint8Array, epoch: number, sequence: bigint) =>
      client.log.append({
        stream: "made",
        records: [{ value: new Uint8Array(400_000) }],
        producer: { id, epoch, sequence },
      });
    // Three fill a segment: the first producer is in the checkpoint behind them.
    for (const sequence of [0n, 1n, 2n]) await send(early, 0, sequence);
    const [first, again] = [await send(late, 3, 0n), await send(late, 3, 1n)];
    assert.ok(first.startOffset === 3n && again.startOffset === 4n);
    close();
    await node.end("SIGTERM");
    const shown = await inspect(data, "--stream", "made");
    assert.equal(shown.segments.length, 2);
    assert.deepEqual(
      shown.producers.map(({ id, epoch, sequence, offset }: Record<string, unknown>) => [id, epoch, sequence, offset]),
      [
        ["01".repeat(16), 0, 2, 2],
        ["02".repeat(16), 3, 1, 4],
      ],
    );
  });

  test("one batch: its header, and its records or what it says", { timeout }, async () => {
    const { data, large } = await cleanly();
    const [first = ""] = segmentsOf(data, large);
    const bytes = fs.readFileSync(`${data}/${first}`);
    const checkpoint = await inspect(data, "--stream", "large", "--batch", "0");
    assert.deepEqual(
      [checkpoint.kind, checkpoint.digest, checkpoint.says.name, checkpoint.before.digest],
      ["checkpoint", bytes.toString("hex", 96, 128), "large", "00".repeat(32)],
    );
    const { says } = await inspect(data, "--stream", "large", "--batch", "1");
    assert.equal(
      Buffer.from(says.leader.diskId, "base64").toString("hex"),
      fs.readFileSync(`${data}/id`).toString("hex", 16, 32),
    );
    const small = await inspect(data, "--stream", "small", "--batch", "3");
    assert.match(small.file, /^journal\//);
    assert.deepEqual([small.baseOffset, small.records, small.term], [1, 1, 1]);
    assert.deepEqual(
      small.content.map(({ offset, value }: Record<string, unknown>) => [offset, value]),
      [[1, "small 1"]],
    );
    const meta = await inspect(data, "--stream", "_meta", "--batch", "2");
    assert.equal(meta.changes[0].streamCreated.name, "large");
  });

  test("people the same, without --json", { timeout }, async () => {
    const { data } = await cleanly();
    const { stdout } = await runCli(nowhere, ["inspect", data]);
    const text = stdout.toString();
    assert.match(text, /^nodeId +[0-9a-f]{16}$/m);
    assert.match(text, /^ +ID +NAME +SEGMENTS +RECORDS/m);
    assert.match(text, /^ +2 +large +3 +10 /m);
    assert.doesNotMatch(text, /\[object|undefined/);
  });

  test("what is whole of a damaged folder, and says that it is damaged", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const [first = ""] = segmentsOf(data, folder.large);
    flip(data, first, (batchesIn(data, first)[2]?.position ?? 0) + headerBytes);
    const { code, stdout, stderr } = await runCli(nowhere, ["inspect", data, "--stream", "large", "--json"]);
    assert.equal(code, 0);
    assert.equal(JSON.parse(stdout.toString()).records, largeRecords - 1);
    assert.match(stderr, /is damaged: "tailrace verify" tells where/);
  });
});

describe("inspect refuses in words", () => {
  const cases: [string, string[], number, RegExp][] = [
    ["a stream that is not there", ["--stream", "none"], 4, /there is no stream none in this folder/],
    ["a batch that is not there", ["--stream", "small", "--batch", "99"], 1, /has no batch 99 here .* it has 0 to 6/],
    ["a batch of no stream", ["--batch", "1"], 2, /--batch needs --stream/],
  ];
  for (const [name, flags, exit, says] of cases) {
    test(name, { timeout }, async () => {
      const { data } = await cleanly();
      const { code, stdout, stderr } = await runCli(nowhere, ["inspect", data, ...flags]);
      assert.deepEqual([code, stdout.length], [exit, 0]);
      assert.match(stderr, says);
    });
  }

  test("a folder that a node has open", { timeout }, async () => {
    const data = place();
    const node = await startNode({ data });
    const { code, stderr } = await runCli(nowhere, ["inspect", data]);
    await node.end("SIGTERM");
    assert.equal(code, 1);
    assert.match(stderr, /is in use by a node/);
  });
});
