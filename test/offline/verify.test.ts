/** `tailrace verify DIR`: finds each kind of damage, says where it is and what is lost, and changes nothing. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { connectTo } from "../../src/cli/connection.ts";
import { once } from "../format/both-readers.ts";
import { runCli } from "../support/cli.ts";
import { startNode } from "../support/node-process.ts";
import {
  batchesIn,
  copied,
  fingerprint,
  flip,
  forge,
  framesIn,
  headerBytes,
  nowhere,
  place,
  segmentsOf,
  stampGroup,
  stoppedFolder,
  sumOf,
} from "./folders.ts";

const timeout = 60_000;

interface Lost {
  readonly firstIndex: number;
  readonly endIndex: number;
  readonly firstOffset: number;
  readonly endOffset: number;
}

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

/** What a damage is told as: the file, from where to where its position may be, the stream and what is lost. */
interface Told {
  readonly file: string;
  readonly from: number;
  readonly to?: number;
  readonly stream?: string;
  readonly lost?: Lost;
  /** Streams that it is told of again, each with what it lost. */
  readonly more?: readonly string[];
}

/** Batches and offsets of the stream "large": in each of its segments a checkpoint, then its records. */
const batch = (index: number, offset: number, count = 1, records = count): Lost => ({
  firstIndex: index,
  endIndex: index + count,
  firstOffset: offset,
  endOffset: offset + records,
});

describe("verify tells of damage", () => {
  const cases: { name: string; spoil: (data: string, large: number, small: number) => Told; says: RegExp }[] = [
    {
      name: "a bit of a batch's header",
      spoil: (data, large) => {
        const [, second = ""] = segmentsOf(data, large);
        const { position, index } = batchesIn(data, second)[1] ?? { position: 0, index: 0 };
        flip(data, second, position + 20);
        return { file: second, from: position, stream: "large", lost: batch(index, 4) };
      },
      says: /header .* checksum/,
    },
    {
      name: "a bit of a payload",
      spoil: (data, large) => {
        const [first = ""] = segmentsOf(data, large);
        const { position, index } = batchesIn(data, first)[3] ?? { position: 0, index: 0 };
        flip(data, first, position + headerBytes + 1000);
        return { file: first, from: position, stream: "large", lost: batch(index, 1) };
      },
      says: /payload of batch 3 is not what its checksum says/,
    },
    {
      name: "a bit of the newest batch",
      spoil: (data, large) => {
        const last = segmentsOf(data, large).at(-1) ?? "";
        const { position, index, length } = batchesIn(data, last).at(-1) ?? { position: 0, index: 0, length: 0 };
        flip(data, last, position + length - 1);
        return { file: last, from: position, stream: "large", lost: batch(index, 9) };
      },
      says: /payload/,
    },
    {
      name: "the magic of a segment's first batch",
      spoil: (data, large) => {
        const [, second = ""] = segmentsOf(data, large);
        flip(data, second, 4);
        const [{ index } = { index: 0 }] = batchesIn(data, second);
        return { file: second, from: 0, stream: "large", lost: batch(index, 4, 1, 0) };
      },
      says: /no batch begins here/,
    },
    {
      name: "a frame of the journal",
      spoil: (data) => {
        const [, , third] = framesIn(data, "journal/0");
        const { position = 0, length = 0 } = third ?? {};
        flip(data, "journal/0", position + length - 1);
        // It had the first record of _meta: without it what follows there hangs in the air.
        return { file: "journal/0", from: position, more: ["_meta"] };
      },
      says: /is bad, and frame \d+ at \d+ is whole/,
    },
    {
      name: "the journal's file missing",
      spoil: (data) => {
        fs.rmSync(path.join(data, "journal/0"));
        return { file: "journal", from: 0 };
      },
      says: /no whole frame/,
    },
    {
      name: "a bit of the id file",
      spoil: (data) => {
        flip(data, "id", 40);
        return { file: "id", from: 40 };
      },
      says: /a byte is not what it was/,
    },
    {
      name: "an id file of zeros",
      spoil: (data) => {
        fs.writeFileSync(path.join(data, "id"), new Uint8Array(128));
        return { file: "id", from: 0 };
      },
      says: /says who this folder is/,
    },
    {
      name: "a segment missing in the middle",
      spoil: (data, large) => {
        const [, second = ""] = segmentsOf(data, large);
        const batches = batchesIn(data, second);
        fs.rmSync(path.join(data, second));
        const lost = batch(batches[0]?.index ?? 0, 4, batches.length, batches.length - 1);
        return { file: second, from: 0, stream: "large", lost };
      },
      says: /missing/,
    },
    {
      name: "the newest segment missing",
      spoil: (data, large) => {
        const last = segmentsOf(data, large).at(-1) ?? "";
        const batches = batchesIn(data, last);
        fs.rmSync(path.join(data, last));
        const lost = batch(batches[0]?.index ?? 0, 8, batches.length, batches.length - 1);
        return { file: last, from: 0, stream: "large", lost };
      },
      says: /missing/,
    },
    {
      name: "a sealed segment cut within a batch",
      spoil: (data, large) => {
        const [first = ""] = segmentsOf(data, large);
        const { position, index, length } = batchesIn(data, first).at(-1) ?? { position: 0, index: 0, length: 0 };
        fs.truncateSync(path.join(data, first), position + length - 7);
        return { file: first, from: position, stream: "large", lost: batch(index, 3) };
      },
      says: /the file ends within batch/,
    },
    {
      name: "the newest segment cut",
      spoil: (data, large) => {
        const last = segmentsOf(data, large).at(-1) ?? "";
        const { position, index } = batchesIn(data, last).at(-1) ?? { position: 0, index: 0 };
        fs.truncateSync(path.join(data, last), position);
        return { file: last, from: position, stream: "large", lost: batch(index, 9) };
      },
      says: /the file ends here, and \d+ bytes were synced/,
    },
    {
      name: "a segment of another stream in the place of one",
      spoil: (data, large, small) => {
        const [, second = ""] = segmentsOf(data, large);
        const batches = batchesIn(data, second);
        const bytes = fs.readFileSync(path.join(data, second));
        for (const { position, length } of batches) stampGroup(bytes.subarray(position, position + length), small);
        fs.writeFileSync(path.join(data, second), bytes);
        const lost = batch(batches[0]?.index ?? 0, 4, batches.length, batches.length - 1);
        return { file: second, from: 0, stream: "large", lost };
      },
      says: /a batch of stream \d+ stands here/,
    },
    {
      name: "another segment of the stream in the place of one",
      spoil: (data, large) => {
        const [first = "", second = ""] = segmentsOf(data, large);
        const batches = batchesIn(data, second);
        fs.copyFileSync(path.join(data, first), path.join(data, second));
        const lost = batch(batches[0]?.index ?? 0, 4, batches.length, batches.length - 1);
        return { file: second, from: 0, stream: "large", lost };
      },
      says: /batch 0 begins a file that is named for \d+/,
    },
    {
      name: "a batch with other records and right checksums",
      spoil: (data, large) => {
        const [, second = ""] = segmentsOf(data, large);
        const { position, length, index } = batchesIn(data, second)[2] ?? { position: 0, length: 0, index: 0 };
        const bytes = fs.readFileSync(path.join(data, second));
        forge(bytes.subarray(position, position + length));
        fs.writeFileSync(path.join(data, second), bytes);
        return { file: second, from: position, stream: "large", lost: batch(index, 5) };
      },
      says: /digest that does not follow/,
    },
    {
      name: "bytes behind a sealed segment",
      spoil: (data, large) => {
        const [first = ""] = segmentsOf(data, large);
        const { size } = fs.statSync(path.join(data, first));
        fs.appendFileSync(path.join(data, first), new Uint8Array(500));
        return { file: first, from: size, stream: "large" };
      },
      says: /no batch begins here/,
    },
  ];
  for (const { name, spoil, says } of cases) {
    test(name, { timeout }, async () => {
      const folder = await cleanly();
      const data = copied(folder.data);
      const told = spoil(data, folder.large, folder.small);
      const before = fingerprint(data);
      const report = await verify(data);
      const damages = report.findings.filter(({ kind }) => kind === "damage");
      const [damage, ...more] = damages;
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

  test("a bad index file: it is a cache", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const [first = ""] = segmentsOf(data, folder.large);
    const index = first.replace(/log$/, "index");
    flip(data, index, 50);
    const { whole, findings } = await verify(data);
    assert.equal(whole, true);
    assert.deepEqual(
      findings.map(({ kind, file }) => [kind, file]),
      [["note", index]],
    );
  });
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
