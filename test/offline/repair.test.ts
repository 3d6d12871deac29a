/**
 * `tailrace repair DIR`: says what is lost, and with --accept-loss makes a folder that a node starts on, whose streams take
 * appends behind what was whole. Nothing is deleted, and a repair that is killed is run again.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { DataFolderError } from "../../src/base/disk-errors.ts";
import { TailraceError } from "../../src/base/errors.ts";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { repairOn } from "../../src/cli/offline/repair.ts";
import type { Disk, DiskFile } from "../../src/host/disk.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import { once, python, readByPage } from "../format/both-readers.ts";
import { type CliResult, runCli } from "../support/cli.ts";
import { openFolder } from "../support/data-folder.ts";
import { startNode } from "../support/node-process.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";
import { type Damage, damages } from "./damages.ts";
import {
  batchesIn,
  copied,
  fingerprint,
  flip,
  framesIn,
  headerBytes,
  largeRecords,
  nowhere,
  oneOfThree,
  segmentsOf,
  smallRecords,
  stoppedFolder,
  valueBytes,
} from "./folders.ts";

const timeout = 120_000;
const cleanly = once(() => stoppedFolder("SIGTERM"));
const killed = once(() => stoppedFolder("SIGKILL"));

function repair(data: string, ...flags: string[]): Promise<CliResult> {
  return runCli(nowhere, ["repair", data, ...flags]);
}

async function assertWhole(data: string): Promise<void> {
  const { code, stdout } = await runCli(nowhere, ["verify", data]);
  assert.match(stdout.toString(), /^whole: /m);
  assert.equal(code, 0);
}

/** A node on a folder, as long as `work` lasts. */
async function serving<T>(
  data: string,
  work: (client: Connection["client"]) => Promise<T>,
  end: "SIGTERM" | "SIGKILL" = "SIGTERM",
): Promise<T> {
  const node = await startNode({ data });
  const { client, close } = connectTo(node.url);
  try {
    return await work(client);
  } finally {
    close();
    await node.end(end);
  }
}

/** Values of a stream's records by their first bytes, from the first that is kept on. */
async function valuesOf(client: Connection["client"], stream: string): Promise<number[]> {
  const values: number[] = [];
  for (let next = 0n; ; ) {
    const answer = await client.log.read({ stream, start: { at: { case: "offset", value: next } } });
    values.push(...answer.batches.flatMap(({ records }) => records.map(({ value }) => value[0] ?? -1)));
    next = answer.nextOffset;
    if (next === answer.highWatermark) return values;
  }
}

/** The streams after a repair: "large" with its first records and "small" with all of them take appends. */
async function assertServed(data: string, largeKept: number, smallKept = smallRecords): Promise<void> {
  await serving(data, async (client) => {
    for (const [stream, kept] of [
      ["large", largeKept],
      ["small", smallKept],
    ] as const) {
      const first = stream === "large" ? (record: number) => record : () => "s".charCodeAt(0);
      const expected = Array.from({ length: kept }, (_, record) => first(record));
      assert.deepEqual(await valuesOf(client, stream), expected, stream);
      const { startOffset } = await client.log.append({ stream, records: [{ value: Uint8Array.of(200) }] });
      assert.equal(startOffset, BigInt(kept));
      const value = new Uint8Array(valueBytes).fill(201);
      await client.log.append({ stream, records: [{ value }] });
      assert.deepEqual(await valuesOf(client, stream), [...expected, 200, 201]);
    }
  });
  await assertWhole(data);
}

/** How many of the ten large records are kept, by the first that is lost. */
function keptOf({ lost }: { lost?: { firstOffset: number } }): number {
  return lost?.firstOffset ?? largeRecords;
}

const ofSegments = damages.filter(({ name }) => !/journal|id file/.test(name));

describe("a damaged stream is kept up to the damage", () => {
  for (const { name, spoil } of ofSegments) {
    test(name, { timeout }, async () => {
      const folder = await cleanly();
      const data = copied(folder.data);
      const told = spoil(data, folder.large, folder.small);
      const kept = keptOf(told);
      const before = fingerprint(data);

      const shown = await repair(data);
      assert.equal(shown.code, 1);
      assert.match(shown.stdout.toString(), /A repair would do this:[\s\S]*stream "large"[\s\S]*Nothing was changed/);
      if (told.lost) {
        assert.match(shown.stdout.toString(), new RegExp(`lost: .*offsets? ${kept}( to ${largeRecords - 1})? \\(`));
      }
      assert.deepEqual(fingerprint(data), before);

      const done = await repair(data, "--accept-loss");
      assert.equal(done.stderr, "");
      assert.equal(done.code, 0);
      assert.match(done.stdout.toString(), /^repaired: the folder is whole/m);
      await assertWhole(data);
      const again = await repair(data, "--accept-loss");
      assert.deepEqual([again.code, /nothing to repair/.test(again.stdout.toString())], [0, true]);
      await assertServed(data, kept);
    });
  }

  test("its first batch: nothing is kept, and the stream begins anew", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const [first = ""] = segmentsOf(data, folder.large);
    flip(data, first, 30);
    assert.match((await repair(data)).stdout.toString(), /nothing of it is kept[\s\S]*begins anew, empty/);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    await assertServed(data, 0);
  });

  test("what is not kept is aside, byte for byte", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const [, second = "", third = ""] = segmentsOf(data, folder.large);
    const { position = 0 } = batchesIn(data, second)[2] ?? {};
    flip(data, second, position + headerBytes + 5);
    const [bytesOfSecond, bytesOfThird] = [second, third].map((file) => fs.readFileSync(path.join(data, file)));
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    const aside = path.join(data, "aside/1");
    assert.deepEqual(
      fs.readFileSync(path.join(aside, `${second}.from-${position}`)),
      bytesOfSecond?.subarray(position),
    );
    assert.deepEqual(fs.readFileSync(path.join(aside, third)), bytesOfThird);
    assert.deepEqual(fs.readFileSync(path.join(data, second)), bytesOfSecond?.subarray(0, position));
    const report = JSON.parse(fs.readFileSync(path.join(aside, "report.json"), "utf8"));
    assert.deepEqual([report.whole, report.findings[0].file], [false, second]);
  });

  test("batches that only the journal has go aside, too", { timeout }, async () => {
    const folder = await killed();
    const data = copied(folder.data);
    await serving(data, async (client) => {
      await client.log.append({ stream: "large", records: [{ value: Buffer.from("only in the journal") }] });
    });
    const [first = ""] = segmentsOf(data, folder.large);
    flip(data, first, (batchesIn(data, first)[2]?.position ?? 0) + 20);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    const aside = path.join(data, "aside/1", path.dirname(first), "from-journal");
    assert.ok(fs.readFileSync(aside).includes("only in the journal"));
    await assertServed(data, 0);
  });
});

describe("a damaged id", () => {
  test("is put right where one byte is wrong", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const id = fs.readFileSync(path.join(data, "id"));
    flip(data, "id", 50);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    assert.deepEqual(fs.readFileSync(path.join(data, "id")), id);
    await assertServed(data, largeRecords);
  });

  test("is refused in words where it can't be", { timeout }, async () => {
    const data = copied((await cleanly()).data);
    fs.writeFileSync(path.join(data, "id"), new Uint8Array(128));
    const before = fingerprint(data);
    for (const flags of [[], ["--accept-loss"]]) {
      const { code, stderr } = await repair(data, ...flags);
      assert.equal(code, 1);
      assert.match(stderr, /id is damaged beyond repair.*Restore this file from a copy/);
    }
    assert.deepEqual(fingerprint(data), before);
  });
});

/** Position of the frame that first holds this text. */
function frameWith(data: string, file: string, text: string): { position: number; length: number } {
  const bytes = fs.readFileSync(path.join(data, file));
  const found = framesIn(data, file).find(({ position, length }) => {
    return bytes.subarray(position, position + length).includes(text);
  });
  assert.ok(found);
  return found;
}

describe("a damaged journal", () => {
  test("is written anew from what is whole: only what a bad frame had, and what follows, is lost", {
    timeout,
  }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    flip(data, "journal/0", frameWith(data, "journal/0", "small 3").position + 100);
    const shown = (await repair(data)).stdout.toString();
    assert.match(shown, /journal: written anew/);
    assert.match(shown, /stream "small" .*: batches 0 to 4 are kept, up to offset 3; lost: .*offset.* 3 to 4/);
    assert.doesNotMatch(shown, /stream "large"/);
    const { code, stdout } = await repair(data, "--accept-loss");
    assert.equal(code, 0);
    assert.match(stdout.toString(), /3 logs are told that this disk is their voter/);
    assert.ok(fs.existsSync(path.join(data, "aside/1/journal/0")));
    await assertWhole(data);
    await assertServed(data, largeRecords, 3);
  });

  test("reads as the page of the format says after the repair", { ...python, timeout }, async () => {
    const data = copied((await killed()).data);
    flip(data, "journal/0", frameWith(data, "journal/0", "small 3").position + 100);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    const { status, errors } = readByPage(data);
    assert.deepEqual([status, errors], [0, []]);
  });

  test("that lost the making of a stream leaves it empty, and the node makes it anew", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const made = framesIn(data, "journal/0").find(({ position }) => hasRecord(data, position, 2, folder.small));
    assert.ok(made);
    flip(data, "journal/0", made.position + 70);
    assert.match((await repair(data)).stdout.toString(), /stream "small" \(id \d+\): begins anew, empty/);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    await assertServed(data, largeRecords, 0);
  });
});

/** Whether the frame at a position says of a group that it is made (2), or gone (13). */
function hasRecord(data: string, position: number, kind: number, group: number): boolean {
  const bytes = fs.readFileSync(path.join(data, "journal/0"));
  const end = position + bytes.readUInt32LE(position + 8);
  for (let at = position + 64; at < end; at += bytes.readUInt32LE(at + 4)) {
    if (bytes[at] === kind && Number(bytes.readBigUInt64LE(at + 8)) === group) return true;
  }
  return false;
}

test("a journal that lost the end of a deleted stream does not bring it back", { timeout }, async () => {
  const data = copied((await cleanly()).data);
  // A clean stop would say again which streams there are.
  const id = await serving(
    data,
    async (client) => {
      const { stream } = await client.streams.createStream({ name: "gone" });
      await client.log.append({ stream: "gone", records: [{ value: Uint8Array.of(1) }] });
      await client.streams.deleteStream({ name: "gone" });
      await client.streams.createStream({ name: "next" });
      return Number(stream?.id);
    },
    "SIGKILL",
  );
  const end = framesIn(data, "journal/0").find(({ position }) => hasRecord(data, position, 13, id));
  assert.ok(end);
  flip(data, "journal/0", end.position + 70);
  const { code, stdout } = await repair(data, "--accept-loss");
  assert.equal(code, 0);
  assert.match(stdout.toString(), /stream "gone" .*: the catalogue does not have it, so all of it is moved aside/);
  await serving(data, async (client) => {
    const { streams } = await client.streams.listStreams({});
    const names = streams.map(({ name }) => name).filter((name) => name !== "next");
    assert.deepEqual(names, ["large", "small"]);
  });
  await assertServed(data, largeRecords);
});

describe("a catalogue that lost batches is made anew from the streams that are left", () => {
  /** The streams are there with what they had, and a new one gets an id that none of them had. */
  async function assertCatalogue(data: string, large: number): Promise<void> {
    await serving(data, async (client) => {
      const { streams } = await client.streams.listStreams({});
      assert.ok(streams.some(({ name, id }) => name === "large" && Number(id) === large));
      const { stream } = await client.streams.createStream({ name: "new" });
      assert.ok(Number(stream?.id) > 1000);
      await client.log.append({ stream: "new", records: [{ value: Uint8Array.of(1) }] });
    });
    await serving(data, async (client) => assert.deepEqual(await valuesOf(client, "new"), [1]));
    await assertWhole(data);
  }

  test("where a frame with its first record is bad", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    damages.find(({ name }) => name === "a frame of the journal")?.spoil(data, folder.large, folder.small);
    assert.match((await repair(data)).stdout.toString(), /catalogue \(_meta\): made anew .*, 2 of them/);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    await assertServed(data, largeRecords);
    await assertCatalogue(data, folder.large);
  });

  test("where it is damaged in a segment, with a journal that is whole", { ...python, timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    // So it is all in a segment.
    assert.equal((await repair(data, "--new-disk-id")).code, 0);
    const [segment = ""] = segmentsOf(data, 0);
    const { position = 0 } = batchesIn(data, segment)[2] ?? {};
    flip(data, segment, position + 20);
    assert.equal((await repair(data, "--accept-loss")).code, 0);
    assert.ok(fs.existsSync(path.join(data, "aside/2", segment)));
    const { status, errors } = readByPage(data);
    assert.deepEqual([status, errors], [0, []]);
    await assertServed(data, largeRecords);
    await assertCatalogue(data, folder.large);
  });

  test("where its first batch is damaged, and where the whole journal is gone", { timeout }, async () => {
    const folder = await cleanly();
    const first = copied(folder.data);
    assert.equal((await repair(first, "--new-disk-id")).code, 0);
    const [segment = ""] = segmentsOf(first, 0);
    flip(first, segment, 20);
    assert.equal((await repair(first, "--accept-loss")).code, 0);
    await assertServed(first, largeRecords);
    await assertCatalogue(first, folder.large);

    const second = copied(folder.data);
    fs.rmSync(path.join(second, "journal"), { recursive: true });
    assert.equal((await repair(second, "--accept-loss")).code, 0);
    await serving(second, async (client) => {
      const large = Array.from({ length: largeRecords }, (_, record) => record);
      assert.deepEqual(await valuesOf(client, "large"), large);
    });
    await assertCatalogue(second, folder.large);
  });
});

describe("a copied folder", () => {
  test("becomes another disk and another node, with all its records", { timeout }, async () => {
    const folder = await killed();
    const data = copied(folder.data);
    const id = fs.readFileSync(path.join(data, "id"));
    const { code, stdout } = await repair(data, "--new-disk-id");
    assert.equal(code, 0);
    assert.match(stdout.toString(), /3 logs are told that this disk is their voter/);
    const other = fs.readFileSync(path.join(data, "id"));
    assert.notDeepEqual(other.subarray(16, 32), id.subarray(16, 32));
    assert.notDeepEqual(other.subarray(32, 64), id.subarray(32, 64));
    await assertWhole(data);
    await assertServed(data, largeRecords);
    await serving(data, async (client) => {
      await client.streams.createStream({ name: "new" });
      await client.log.append({ stream: "new", records: [{ value: Uint8Array.of(1) }] });
    });
    await assertWhole(data);
  });

  test("that is damaged is not changed without --accept-loss", { timeout }, async () => {
    const folder = await cleanly();
    const data = copied(folder.data);
    const [first = ""] = segmentsOf(data, folder.large);
    flip(data, first, 300);
    const before = fingerprint(data);
    const { code, stderr } = await repair(data, "--new-disk-id");
    assert.equal(code, 1);
    assert.match(stderr, /is damaged\. Run "tailrace repair .*" to see what is lost/);
    assert.deepEqual(fingerprint(data), before);
    assert.equal((await repair(data, "--new-disk-id", "--accept-loss")).code, 0);
    await assertServed(data, 0);
  });
});

describe("repair", () => {
  test("finds nothing to do in a healthy folder", { timeout }, async () => {
    const { data } = await killed();
    const before = fingerprint(data);
    const { code, stdout } = await repair(data);
    assert.deepEqual([code, stdout.toString()], [0, "nothing is damaged: there is nothing to repair\n"]);
    assert.deepEqual(fingerprint(data), before);
  });

  test("says why it can't beside a node", { timeout }, async () => {
    const data = copied((await cleanly()).data);
    await serving(data, async () => {
      for (const flags of [[], ["--accept-loss"], ["--new-disk-id"]]) {
        const { code, stderr } = await repair(data, ...flags);
        assert.equal(code, 1);
        assert.match(stderr, /is in use by a node/);
      }
    });
  });

  /** A disk of a process that dies at its nth call that changes anything. */
  function dying(calls: number): { disk: Disk; left: () => number } {
    const real = nodeDisk();
    let left = calls;
    const step = () => {
      left -= 1;
      if (left < 0) throw new Killed();
    };
    const guard = (file: DiskFile): DiskFile => ({
      size: () => file.size(),
      read: (into, at) => file.read(into, at),
      readRecent: (into, at) => file.readRecent(into, at),
      write: async (parts, at) => {
        step();
        await file.write(parts, at);
      },
      sync: async () => {
        step();
        await file.sync();
      },
      truncate: async (size) => {
        step();
        await file.truncate(size);
      },
      close: () => file.close(),
    });
    const disk: Disk = {
      ...real,
      lock: async () => ({ release: async () => {} }),
      async open(name, options) {
        if (options.create) step();
        const file = await real.open(name, options);
        return file && guard(file);
      },
      async makeFolder(name) {
        step();
        await real.makeFolder(name);
      },
      async rename(from, to) {
        step();
        await real.rename(from, to);
      },
      async remove(name) {
        step();
        await real.remove(name);
      },
    };
    return { disk, left: () => left };
  }

  class Killed extends Error {}

  const kinds: {
    name: string;
    spoil: Damage["spoil"] | typeof oneOfThree | undefined;
    flags: object;
    large: number;
    small: number;
  }[] = [
    {
      name: "of a stream",
      spoil: ofSegments.find(({ name }) => name === "a bit of a batch's header")?.spoil,
      flags: { acceptLoss: true },
      large: 4,
      small: smallRecords,
    },
    {
      name: "of the journal",
      spoil: (data: string) => {
        const { position } = frameWith(data, "journal/0", "small 2");
        flip(data, "journal/0", position + 100);
        return { file: "journal/0", from: position };
      },
      flags: { acceptLoss: true },
      large: largeRecords,
      small: 2,
    },
    {
      name: "of the catalogue",
      spoil: damages.find(({ name }) => name === "a frame of the journal")?.spoil,
      flags: { acceptLoss: true },
      large: largeRecords,
      small: smallRecords,
    },
    { name: "that makes another disk", spoil: undefined, flags: { newDiskId: true }, large: largeRecords, small: 5 },
    { name: "that leaves its cluster", spoil: oneOfThree, flags: { alone: true }, large: largeRecords, small: 5 },
  ];
  for (const { name, spoil, flags, large, small } of kinds) {
    test(`${name}, killed at each of its steps, is run again`, { timeout: 400_000 }, async () => {
      const folder = await killed();
      const spoiled = copied(folder.data);
      await spoil?.(spoiled, folder.large, folder.small);
      const say = async () => {};
      let steps = 0;
      for (let isKilled = true; isKilled; steps++) {
        const data = copied(spoiled);
        const { disk, left } = dying(steps);
        await repairOn(disk, data, flags, say).catch(() => {});
        isKilled = left() < 0;
        // A node may be started before it is run again, and it may take an append.
        const appended = steps % 2 === 0 ? await appendIfItStarts(data) : 0;
        await repairOn(dying(1e9).disk, data, flags, say);
        await assertWholeHere(data, large + small + appended);
        // A few of them are started for real: each takes a second.
        if (steps % 16 === 5) await assertServed(data, large, small);
        fs.rmSync(path.dirname(data), { recursive: true });
      }
      console.log(`# ${steps} steps`);
      assert.ok(steps > 20);
    });
  }
});

/** Starts a node's streams in this process, if that can be, and appends to one; gives how many records that was. */
async function appendIfItStarts(data: string): Promise<number> {
  const folder = await openFolder(data).catch((error: unknown) => {
    assert.ok(error instanceof DataFolderError, String(error));
    return undefined;
  });
  if (!folder) return 0;
  try {
    const streams = await streamsOf(folder);
    await streams.get("small").append(payloadOf("between"));
    return 1;
  } catch (error) {
    assert.ok(error instanceof TailraceError, String(error));
    return 0;
  } finally {
    await folder.close();
  }
}

/** In this process: whole, with so many records of the two streams. */
async function assertWholeHere(data: string, records: number): Promise<void> {
  const { checkFolder } = await import("../../src/cli/offline/folder-check.ts");
  const { systemHash } = await import("../../src/host/hash.ts");
  await checkFolder({ path: data, disk: nodeDisk() }, { hash: systemHash }, async ({ findings, logs }) => {
    assert.deepEqual(
      findings.filter(({ kind }) => kind === "damage"),
      [],
    );
    const streams = logs.filter(({ known }) => known.group !== 0);
    assert.equal(
      streams.reduce((sum, log) => sum + log.records, 0),
      records,
    );
  });
}
