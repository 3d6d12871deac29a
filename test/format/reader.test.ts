/**
 * The page against the code: reader.py was written from docs/format.md alone, and must read in a data folder what the log
 * reads in it, however the node stopped.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { openFolder } from "../support/data-folder.ts";
import { runtimeCommand } from "../support/runtime.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";
import { folderPlaces, python, readByLog, readByPage } from "./both-readers.ts";
import { livedFolder, whatLogsSay } from "./folder.ts";

const { place, copied } = folderPlaces();

describe("reader.py", () => {
  test("reads what the log reads, after a clean stop and after a kill", { ...python, timeout: 120_000 }, async () => {
    const random = seeded(chooseSeed("reader.py"), 100_000);
    const data = place();
    const { folder } = await livedFolder(data, random);
    const killed = copied(data);
    const batches = await whatLogsSay(folder);
    await folder.close();

    const clean = readByPage(data);
    assert.deepEqual(clean.errors, []);
    assert.deepEqual(clean.batches, batches);
    assert.equal(clean.summary.clean, true);
    assert.ok(clean.summary.tail_batches > 0);
    assert.ok(clean.summary.index_entries > 0);

    const unclean = readByPage(killed);
    assert.deepEqual(unclean.errors, []);
    assert.deepEqual(unclean.batches, batches);
    assert.equal(unclean.summary.clean, false);
    const byLog = await readByLog(killed);
    assert.equal(byLog.report.kind, "recovered");
    assert.deepEqual(byLog.batches, batches);
  });

  test("reads what was acknowledged before a kill, and what the log keeps", {
    ...python,
    timeout: 120_000,
  }, async () => {
    const random = seeded(chooseSeed("reader.py"), 1000);
    const data = place();
    const acknowledged: string[] = [];
    for (let life = 0; life < 3; life++) {
      acknowledged.push(...(await appendUntilKilled(data, random.between(0, 2 ** 31), random.between(100, 800))));
      const read = readByPage(data);
      assert.deepEqual(read.errors, []);
      const there = new Set(read.batches.map(({ group, index, digest }) => `${group} ${index} ${digest}`));
      assert.deepEqual(
        acknowledged.filter((receipt) => !there.has(receipt)),
        [],
      );
      const copy = copied(data);
      assert.deepEqual((await readByLog(copy)).batches, read.batches);
      fs.rmSync(copy, { recursive: true });
    }
  });

  test("finds streams and their making as _meta says", { ...python, timeout: 120_000 }, async () => {
    const data = place();
    const folder = await openFolder(data);
    const streams = await streamsOf(folder);
    for (const name of ["a", "b/c"]) await streams.create(name, { segmentMaxBytes: 1 << 20 });
    await streams.delete("a");
    await (await streams.getForAppend("a")).append(payloadOf("hello"));
    const batches = await whatLogsSay(folder);
    await folder.close();
    const read = readByPage(data);
    assert.deepEqual(read.errors, []);
    assert.deepEqual(read.batches, batches);
    assert.equal(read.summary.creations, 2);
  });

  test("finds producers and fences in headers and in checkpoints", { ...python, timeout: 120_000 }, async () => {
    const data = place();
    const folder = await openFolder(data);
    const streams = await streamsOf(folder);
    const { stream } = await streams.create("a", { segmentMaxBytes: 1 << 20 });
    const token = new Uint8Array([0, 1, 2]);
    await stream.fence(token);
    for (let sequence = 0; sequence < 12; sequence++) {
      for (const one of [1, 2]) {
        const producer = { id: new Uint8Array(16).fill(one), epoch: Math.floor(sequence / 8), sequence: sequence % 8 };
        await stream.append(payloadOf("x".repeat(150_000)), { producer, fence: token });
      }
    }
    await stream.fence(new Uint8Array(0));
    const batches = await whatLogsSay(folder);
    await folder.close();
    const read = readByPage(data);
    assert.deepEqual(read.errors, []);
    assert.deepEqual(read.batches, batches);
    assert.equal(read.batches.filter(({ producer }) => producer !== null).length, 24);
    assert.equal(read.summary.fences, 2);
    assert.equal(read.summary.producers, 6, "three checkpoints tell of both");
  });
});

/** Starts a process that appends, kills it after `count` acknowledgements, and gives all that it told of. */
function appendUntilKilled(data: string, seed: number, count: number): Promise<string[]> {
  const [command, ...args] = runtimeCommand("./appender", import.meta.url);
  const child = spawn(command, [...args, data, String(seed)], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString();
    if (output.split("\n").length > count) child.kill("SIGKILL");
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status, signal) => {
      if (signal !== "SIGKILL") reject(new Error(`the appender ended by itself: ${status ?? signal}`));
      // A line that is cut short tells of nothing.
      else resolve(output.split("\n").slice(0, -1));
    });
  });
}
