/** `tailrace streams` against a real node. */
import assert from "node:assert/strict";
import * as path from "node:path";
import { after, before, describe, test } from "node:test";
import { present } from "../../src/base/assert.ts";
import { connectTo } from "../../src/cli/connection.ts";
import { runCli } from "../support/cli.ts";
import { type NodeProcess, startNode } from "../support/node-process.ts";
import { temporaryFolder } from "./support.ts";

const timeout = 60_000;
const folder = temporaryFolder();
let node: NodeProcess | undefined;

/** Runs `tailrace streams ARGS`. */
async function streams(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await runCli(present(node, "the node has started").url, ["streams", ...args]);
  return { code, stdout: stdout.toString(), stderr };
}

before(
  async () => {
    node = await startNode({ data: path.join(folder, "data") });
  },
  { timeout },
);
after(async () => {
  await node?.end("SIGTERM");
});

const defaults = {
  segmentMaxBytes: 64 << 20,
  segmentMaxAgeS: 7 * 86_400,
  retentionBytes: 0,
  retentionAgeS: 0,
  recordMaxBytes: 0,
  batchMaxBytes: 0,
  replicationFactor: 0,
};

test("no stream yet", { timeout }, async () => {
  assert.deepEqual(await streams("ls"), {
    code: 0,
    stdout: "      RECORDS     STORED  LAST APPEND           NAME\n",
    stderr: "",
  });
  assert.deepEqual(await streams("ls", "--json"), { code: 0, stdout: "", stderr: "" });
});

test("create, again, and with other settings", { timeout }, async () => {
  const created = await streams("create", "orders", "--segment-max-bytes", "2MiB", "--segment-max-age", "1d");
  assert.match(created.stdout, /^created orders \(id \d+\)\n$/);
  const again = await streams("create", "orders", "--segment-max-bytes", "2097152", "--segment-max-age", "24h");
  assert.equal(again.stdout, created.stdout.replace("created", "there already:"));
  const other = await streams("create", "orders", "--segment-max-bytes", "3MiB");
  assert.equal(other.code, 1);
  assert.match(other.stderr, /^tailrace: .*"orders".*\.\n$/);
  const refused = await streams("create", "tiny", "--segment-max-bytes", "1");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /^tailrace: .*segment_max_bytes.*\.\n$/);
  const asJson = await streams("create", "made/for/json", "--json");
  const { isNew, name, state, settings } = JSON.parse(asJson.stdout);
  assert.deepEqual([isNew, name, state], [true, "made/for/json", "normal"]);
  assert.deepEqual(settings, defaults);
});

test("describe says how a stream stands", { timeout }, async () => {
  const { url } = present(node, "the node has started");
  await runCli(url, ["append", "orders"], Buffer.from("a\nb\nc\n"));
  const { stdout } = await streams("describe", "orders");
  assert.deepEqual(
    stdout
      .trimEnd()
      .split("\n")
      .map((line) => line.slice(0, 18).trim()),
    [
      "name",
      "id",
      "state",
      "created",
      "records",
      "log start",
      "high watermark",
      "first append",
      "last append",
      "stored",
      "next index",
      "digest",
      "fence",
      "settings version",
      "segment max bytes",
      "segment max age",
      "retention bytes",
      "retention age",
      "record max bytes",
      "batch max bytes",
      "replication factor",
    ],
  );
  assert.match(stdout, /^high watermark {5}3$/m);
  const described = JSON.parse((await streams("describe", "orders", "--json")).stdout);
  const { name, records, logStart, highWatermark, digest, settings } = described;
  assert.deepEqual(
    { name, records, logStart, highWatermark },
    { name: "orders", records: 3, logStart: 0, highWatermark: 3 },
  );
  assert.match(digest, /^[0-9a-f]{64}$/);
  assert.deepEqual(settings, { ...defaults, segmentMaxBytes: 2 << 20, segmentMaxAgeS: 86_400 });
});

test("set changes what is given, and tells the version", { timeout }, async () => {
  const created = await streams("create", "kept", "--retention-bytes", "1TiB", "--batch-max-bytes", "1MiB");
  const [, id] = /\(id (\d+)\)/.exec(created.stdout) ?? [];
  const set = await streams("set", "kept", "--retention-age", "30d", "--record-max-bytes", "64KiB");
  assert.deepEqual(set, { code: 0, stdout: `set kept (id ${id}): settings version 2\n`, stderr: "" });
  const none = await streams("set", "kept", "--retention-bytes", "none", "--expect-version", "2", "--json");
  const { settings, settingsVersion, name } = JSON.parse(none.stdout);
  const expected = { ...defaults, retentionAgeS: 30 * 86_400, recordMaxBytes: 65_536, batchMaxBytes: 1 << 20 };
  assert.deepEqual({ settings, settingsVersion, name }, { settings: expected, settingsVersion: 3, name: "kept" });
  const { stdout } = await streams("describe", "kept");
  assert.deepEqual(stdout.trimEnd().split("\n").slice(-8), [
    "settings version   3",
    "segment max bytes  67108864",
    "segment max age    604800 s",
    "retention bytes    none",
    "retention age      2592000 s",
    "record max bytes   65536",
    "batch max bytes    1048576",
    "replication factor by default",
  ]);
});

test("set refuses what can't be, and a version that is past", { timeout }, async () => {
  await streams("create", "held");
  const other = await streams("set", "held", "--retention-age", "1d", "--expect-version", "9");
  assert.deepEqual([other.code, other.stdout], [1, ""]);
  assert.match(other.stderr, /^tailrace: .*"held": their version is 1, not 9\. .*\.\n$/);
  const tiny = await streams("set", "held", "--retention-bytes", "10");
  assert.deepEqual([tiny.code, tiny.stdout], [1, ""]);
  assert.match(tiny.stderr, /retention_bytes.*1048576/);
  assert.equal((await streams("set", "held")).code, 2);
  assert.equal((await streams("set", "held", "--retention-age", "soon")).code, 2);
  assert.equal((await streams("set", "not/there", "--retention-age", "1d")).code, 4);
});

test("rm deletes, and says what is not there", { timeout }, async () => {
  await streams("create", "one");
  await streams("create", "two");
  const both = await streams("rm", "one", "two");
  assert.match(both.stdout, /^deleted one \(id \d+\)\ndeleted two \(id \d+\)\n$/);
  const again = await streams("rm", "one");
  assert.deepEqual([again.code, again.stdout], [4, ""]);
  assert.match(again.stderr, /^tailrace: .*"one".*\.\n$/);
  assert.equal((await streams("describe", "one")).code, 4);
});

describe("ls", () => {
  test("lists in the order of names, by prefix, over many pages, with one head", { timeout }, async () => {
    const { client, close } = connectTo(present(node, "the node has started").url);
    const names = Array.from({ length: 130 }, (_, number) => `many/${String(number).padStart(3, "0")}`);
    for (const name of names) await client.streams.createStream({ name });
    close();
    const { stdout } = await streams("ls", "--prefix", "many/");
    const [head, ...rows] = stdout.trimEnd().split("\n");
    assert.match(head ?? "", /RECORDS +STORED +LAST APPEND +NAME$/);
    assert.deepEqual(
      rows.map((row) => row.trim().split(/ +/).at(-1)),
      names,
    );
    const objects = (await streams("ls", "--json")).stdout.trimEnd().split("\n");
    assert.deepEqual(
      objects.map((line) => JSON.parse(line).name),
      ["held", "kept", "made/for/json", ...names, "orders"],
    );
  });

  test("the system's are shown when asked for", { timeout }, async () => {
    assert.match((await streams("ls", "--prefix", "_")).stdout, / _meta\n$/);
  });
});
