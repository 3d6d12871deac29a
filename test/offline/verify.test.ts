/** `tailrace verify DIR`: finds each kind of damage, says where it is and what is lost, and changes nothing. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { once } from "../format/both-readers.ts";
import { runCli } from "../support/cli.ts";
import { startNode } from "../support/node-process.ts";
import { damages, type Lost } from "./damages.ts";
import { copied, fingerprint, flip, framesIn, nowhere, place, segmentsOf, stoppedFolder, sumOf } from "./folders.ts";

const timeout = 60_000;

interface Report {
  readonly whole: boolean;
  readonly cleanStop: boolean;
  readonly logs: number;
  readonly records: number;
  readonly findings: {
    readonly kind: string;
    readonly file: string;
    readonly position: number;
    readonly stream?: string;
    readonly what: string;
    readonly lost?: Lost;
  }[];
}

/** Runs the command; what it says as JSON, which must go with its exit code. */
async function verify(data: string): Promise<Report> {
  const { code, stdout, stderr } = await runCli(nowhere, ["verify", data, "--json"]);
  assert.equal(stderr, "");
  const report: Report = JSON.parse(stdout.toString());
  assert.equal(code, report.whole ? 0 : 1);
  return report;
}

const cleanly = once(() => stoppedFolder("SIGTERM"));
const killed = once(() => stoppedFolder("SIGKILL"));

describe("verify finds a healthy folder whole and leaves it byte for byte as it was", () => {
  for (const [name, make, isClean] of [
    ["after a clean stop", cleanly, true],
    ["after kill -9", killed, false],
  ] as const) {
    test(name, { timeout }, async () => {
      const { data } = await make();
      const before = fingerprint(data);
      const report = await verify(data);
      assert.deepEqual(
        [report.whole, report.cleanStop, report.logs, report.records, report.findings],
        [true, isClean, 3, 10 + 5 + 2, []],
      );
      const { stdout, code } = await runCli(nowhere, ["verify", data]);
      assert.match(stdout.toString(), /^whole: 3 logs, \d+ batches, 17 records, .* MB\/s\n$/);
      assert.equal(code, 0);
      assert.equal((await runCli(nowhere, ["verify", data, "--quiet"])).stdout.length, 0);
      assert.deepEqual(fingerprint(data), before);
    });
  }

  test("where nobody may write, and no lock was ever taken", { timeout }, async () => {
    const data = copied((await cleanly()).data);
    fs.rmSync(path.join(data, "lock"));
    const before = fingerprint(data);
    assert.equal((await verify(data)).whole, true);
    assert.deepEqual(fingerprint(data), before);
  });
});

describe("verify tells of damage", () => {
  for (const { name, spoil, says } of damages) {
    test(name, { timeout }, async () => {
      const folder = await cleanly();
      const data = copied(folder.data);
      const told = spoil(data, folder.large, folder.small);
      const before = fingerprint(data);
      const report = await verify(data);
      const [damage, ...more] = report.findings.filter(({ kind }) => kind === "damage");
      assert.equal(report.whole, false);
      assert.deepEqual(
        more.map(({ stream, lost }) => [stream, lost !== undefined]),
        (told.more ?? []).map((stream) => [stream, true]),
      );
      assert.equal(damage?.file, told.file);
      assert.equal(damage?.position, told.from);
      assert.equal(damage?.stream, told.stream);
      assert.deepEqual(damage?.lost, told.lost);
      assert.match(damage?.what ?? "", says);
      const { stdout } = await runCli(nowhere, ["verify", data]);
      assert.match(stdout.toString(), /^damaged in \d+ places?: .*$/m);
      assert.ok(stdout.toString().includes(told.file));
      assert.deepEqual(fingerprint(data), before);
    });
  }
});

describe("verify calls no damage", () => {
  test("what a kill leaves: bytes above a mark, a frame that was cut short, a file of no log", {
    timeout,
  }, async () => {
    const { data: original, large } = await killed();
    const data = copied(original);
    const last = segmentsOf(data, large).at(-1) ?? "";
    const { size } = fs.statSync(path.join(data, last));
    fs.appendFileSync(path.join(data, last), new Uint8Array(500).fill(7));
    fs.mkdirSync(path.join(data, "groups/77/1"), { recursive: true });
    const newest = framesIn(data, "journal/0").at(-1);
    assert.ok(newest);
    flip(data, "journal/0", newest.position + newest.length - 1);
    const { whole, findings } = await verify(data);
    assert.equal(whole, true);
    assert.deepEqual(
      findings.map(({ kind, file, position }) => [kind, file, position]),
      [
        ["crash", "journal/0", newest.position],
        ["crash", last, size],
        ["crash", "groups/77", 0],
      ],
    );
  });

  const spoilt: { name: string; spoil: (bytes: Buffer) => void; says: RegExp }[] = [
    { name: "that is not whole", spoil: (bytes) => bytes.writeUInt8(99, 50), says: /not whole/ },
    {
      name: "that tells of another batch",
      spoil: (bytes) => {
        bytes.writeUInt8(77, 40 + 32);
        sumOf(bytes);
      },
      says: /tells of other batches/,
    },
  ];
  for (const { name, spoil, says } of spoilt) {
    test(`an index file ${name}: it is a cache`, { timeout }, async () => {
      const folder = await cleanly();
      const data = copied(folder.data);
      const [first = ""] = segmentsOf(data, folder.large);
      const index = first.replace(/log$/, "index");
      const bytes = fs.readFileSync(path.join(data, index));
      spoil(bytes);
      fs.writeFileSync(path.join(data, index), bytes);
      const { whole, findings } = await verify(data);
      assert.equal(whole, true);
      assert.deepEqual(
        findings.map(({ kind, file }) => [kind, file]),
        [["note", index]],
      );
      assert.match(findings[0]?.what ?? "", says);
    });
  }
});

describe("verify refuses in words", () => {
  test("a folder that a node has open", { timeout }, async () => {
    const data = place();
    const node = await startNode({ data });
    const connection = connectTo(node.url);
    const { code, stdout, stderr } = await runCli(nowhere, ["verify", data]);
    assert.deepEqual([code, stdout.length], [1, 0]);
    assert.match(stderr, /^tailrace: The data folder .* is in use by a node.*Stop that node first.*--receipt/);
    await connection.client.log.append({ stream: "on", records: [{ value: Buffer.from("and on") }] });
    connection.close();
    await node.end("SIGTERM");
    assert.equal((await verify(data)).whole, true);
  });

  for (const [name, make, says] of [
    ["a folder that is none of tailrace's", (folder: string) => fs.mkdirSync(folder), /is no data folder of tailrace/],
    ["a folder that is not there", () => {}, /There is no folder/],
    ["a file", (folder: string) => fs.writeFileSync(folder, ""), /Cannot list/],
  ] as const) {
    test(name, { timeout }, async () => {
      const folder = place();
      make(folder);
      const { code, stderr } = await runCli(nowhere, ["verify", folder]);
      assert.equal(code, 1);
      assert.match(stderr, says);
      assert.doesNotMatch(stderr, /should not have happened/);
    });
  }

  test("an id of a newer version", { timeout }, async () => {
    const data = copied((await cleanly()).data);
    const id = fs.readFileSync(path.join(data, "id"));
    id.writeUInt32LE(2, 8);
    sumOf(id.subarray(0, 128));
    fs.writeFileSync(path.join(data, "id"), id);
    const { code, stderr } = await runCli(nowhere, ["verify", data]);
    assert.equal(code, 1);
    assert.match(stderr, /newer version/);
  });
});
