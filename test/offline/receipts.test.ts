/** `tailrace verify STREAM --receipt FILE`: what appends were answered is what a node has, or it says what differs. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { type CliResult, runCli } from "../support/cli.ts";
import { RestartedNode } from "../support/restarted-node.ts";
import { batchesIn, copied, flip, headerBytes, place, segmentsOf } from "./folders.ts";

const timeout = 60_000;

interface Verdict {
  readonly index: number;
  readonly proven: boolean;
  readonly what: string;
}

/** A node, as long as `work` lasts. */
async function serving(work: (node: RestartedNode) => Promise<void>): Promise<void> {
  const node = new RestartedNode();
  await node.start();
  try {
    await work(node);
  } finally {
    await node.stop("SIGTERM");
  }
}

/** Appends a line by the command line; the receipt as printed. */
async function append(node: RestartedNode, stream: string, line: string): Promise<string> {
  const { code, stdout } = await runCli(node.url, ["append", stream, "--json"], Buffer.from(line));
  assert.equal(code, 0);
  return stdout.toString();
}

async function verify(node: RestartedNode, stream: string, receipts: string, ...more: string[]): Promise<CliResult> {
  const file = place();
  fs.writeFileSync(file, receipts);
  return await runCli("", ["verify", "--server", node.url, stream, "--receipt", file, ...more]);
}

async function verdicts(node: RestartedNode, stream: string, receipts: string): Promise<Verdict[]> {
  const { code, stdout, stderr } = await verify(node, stream, receipts, "--json");
  assert.equal(stderr, "");
  const lines = stdout.toString().trim().split("\n");
  const said: Verdict[] = lines.map((line) => JSON.parse(line));
  assert.equal(code, said.every(({ proven }) => proven) ? 0 : 1);
  return said;
}

describe("receipts", () => {
  test("of the command line, of HTTP and of the proto's names are proven, over kills and segments", {
    timeout,
  }, async () => {
    await serving(async (node) => {
      const first = await append(node, "orders", "one\ntwo\n");
      await node.createLarge("large", 6);
      const answer = await fetch(`${node.url}/v1/streams/orders/records`, {
        method: "POST",
        headers: { "content-type": "text/plain" },
        body: "three",
      });
      const second = await answer.text();
      await node.restart("SIGKILL");
      const third = await append(node, "orders", "four\n");
      const { streamId, index, nextOffset, digest } = JSON.parse(third);
      const named = JSON.stringify({
        stream_id: String(streamId),
        index: String(index),
        next_offset: nextOffset,
        digest,
      });
      const { code, stdout } = await verify(node, "orders", `${first}${second}\n\n${named}\n`);
      assert.equal(code, 0);
      const [one, three, four, ...rest] = stdout.toString().trim().split("\n");
      assert.match(
        one ?? "",
        /^proven: batch 2 of orders, up to offset 2: batches 0 to 2 recomputed: the digest is equal$/,
      );
      assert.match(three ?? "", /^proven: batch 3 of orders, up to offset 3: batches 0 to 3 recomputed/);
      assert.match(four ?? "", /^proven: batch 5 of orders, up to offset 4: batches 0 to 5 recomputed/);
      assert.deepEqual(rest, []);
      const last = await node.client.log.append({ stream: "large", records: [{ value: Uint8Array.of(1) }] });
      const large = { streamId: Number(last.streamId), index: Number(last.index), nextOffset: Number(last.nextOffset) };
      const receipt = JSON.stringify({ ...large, digest: Buffer.from(last.digest).toString("base64") });
      assert.deepEqual(
        (await verdicts(node, "large", receipt)).map(({ proven }) => proven),
        [true],
      );
    });
  });

  test("with one changed member are not proven, and it is said what differs", { timeout }, async () => {
    await serving(async (node) => {
      const line = await append(node, "orders", "one\n");
      await append(node, "orders", "two\n");
      const receipt = JSON.parse(line);
      const other = `${receipt.digest[0] === "0" ? "1" : "0"}${receipt.digest.slice(1)}`;
      const cases: [object, RegExp][] = [
        [
          { ...receipt, digest: other },
          new RegExp(`the log differs: .*${receipt.digest}, and the receipt says .*${other}`),
        ],
        [{ ...receipt, nextOffset: 2 }, /the log differs: batch 2 ends with offset 1/],
        [{ ...receipt, index: 3 }, /the log differs: there is no batch 3 below offset 1/],
        [{ ...receipt, streamId: 99 }, /of the stream with id 99; "orders" is another one now, with id \d+/],
        [{ ...receipt, index: 50, nextOffset: 48 }, /the log ends before it, at index 4 and offset 2/],
      ];
      for (const [changed, says] of cases) {
        const [verdict] = await verdicts(node, "orders", JSON.stringify(changed));
        assert.equal(verdict?.proven, false);
        assert.match(verdict?.what ?? "", says);
      }
    });
  });

  test("of a stream that was deleted and made again are of another one", { timeout }, async () => {
    await serving(async (node) => {
      const line = await append(node, "orders", "one\n");
      await node.client.streams.deleteStream({ name: "orders" });
      assert.equal((await verify(node, "orders", line)).code, 4);
      await append(node, "orders", "one\n");
      const [verdict] = await verdicts(node, "orders", line);
      assert.equal(verdict?.proven, false);
      assert.match(verdict?.what ?? "", /is another one now/);
    });
  });

  test("of trimmed records can't be proven, those behind them can", { timeout }, async () => {
    await serving(async (node) => {
      await node.createLarge("large", 6);
      const [first, second] = [await append(node, "large", "six\n"), await append(node, "large", "seven\n")];
      await node.trim("large", 7n);
      const [gone, kept] = await verdicts(node, "large", first + second);
      assert.deepEqual([gone?.proven, kept?.proven], [false, false]);
      assert.match(gone?.what ?? "", /trimmed: the stream begins at offset 7 now/);
      assert.match(kept?.what ?? "", /can't be recomputed: the batch before it is not served/);
      const [third] = await verdicts(node, "large", await append(node, "large", "eight\n"));
      assert.equal(third?.proven, true);
      assert.match(third?.what ?? "", /batches \d+ to \d+ recomputed, from the digest that batch \d+ left/);
    });
  });

  test("tell an older copy of the data that was put back, and went on with other records", { timeout }, async () => {
    const node = new RestartedNode();
    await node.start();
    await append(node, "orders", "one\n");
    await node.stop("SIGTERM");
    const old = copied(node.data);
    await node.start();
    const lost = await append(node, "orders", "two\n");
    await node.stop("SIGTERM");
    fs.rmSync(node.data, { recursive: true });
    fs.cpSync(old, node.data, { recursive: true });
    await node.start();
    const [missing] = await verdicts(node, "orders", lost);
    assert.match(missing?.what ?? "", /what was acknowledged is missing/);
    await append(node, "orders", "2\n");
    const [differing] = await verdicts(node, "orders", lost);
    await node.stop("SIGTERM");
    assert.equal(differing?.proven, false);
    assert.match(differing?.what ?? "", /the log differs/);
  });

  test("of what is damaged on the node's disk end with its refusal", { timeout }, async () => {
    const node = new RestartedNode();
    await node.start();
    const id = Number(await node.createLarge("large", 6));
    const line = await append(node, "large", "six\n");
    await node.stop("SIGTERM");
    const [first = ""] = segmentsOf(node.data, id);
    flip(node.data, first, (batchesIn(node.data, first)[2]?.position ?? 0) + headerBytes + 9);
    await node.start();
    const { code, stderr } = await verify(node, "large", line);
    await node.stop("SIGTERM");
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`${path.basename(first)} is damaged at byte \\d+`));
  });
});

describe("what is no receipt is refused before anything is asked", () => {
  const cases: [string, string, RegExp][] = [
    ["nothing", "\n", /has no receipt in it/],
    ["text", "hello\n", /line 1, is no receipt: it is no JSON object/],
    ["a receipt without an index", `{"streamId":2,"nextOffset":1,"digest":"00"}`, /it has no index/],
    ["a short digest", `{"streamId":2,"index":2,"nextOffset":1,"digest":"00"}`, /no digest of 32 bytes/],
  ];
  for (const [name, text, says] of cases) {
    test(name, { timeout }, async () => {
      const file = place();
      fs.writeFileSync(file, text);
      const { stderr, stdout } = await runCli("http://127.0.0.1:1", ["verify", "s", "--receipt", file]);
      assert.match(stderr, says);
      assert.equal(stdout.length, 0);
    });
  }

  test("a file that is not there", { timeout }, async () => {
    const { code, stderr } = await runCli("http://127.0.0.1:1", ["verify", "s", "--receipt", place()]);
    assert.deepEqual([code, /cannot read/.test(stderr)], [2, true]);
  });
});
