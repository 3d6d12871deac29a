/**
 * What durability costs: syncs and bytes, by the log's own counters, and by strace where it may attach.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, test } from "node:test";
import { RecordsWriter } from "../../src/base/records-writer.ts";
import { type Connection, connectTo } from "../../src/cli/connection.ts";
import { Metrics } from "../support/metrics.ts";
import { startNode } from "../support/node-process.ts";
import { unless } from "../support/skip.ts";

const streams = 500;
const inFlight = 64;
/** Appends of one measurement, and how often each of the two is made. They alternate, as disks have moods. */
const appends = 2_500;
const rounds = 4;
/**
 * What many streams may cost more than one, in journal syncs for an append: how many appends gather during a sync is up
 * to the machine's load at that moment. A sync for each stream would make it about nine times as many.
 */
const noise = 2;

const large = { batches: 48, bytes: 1 << 20, inFlight: 4 };

const root = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-syncs-"));
after(() => fs.rmSync(root, { recursive: true, force: true }));

describe("syncs", () => {
  test("500 streams need no more journal syncs for an append than one", { timeout: 300_000 }, async () => {
    const node = await startNode({ data: path.join(root, "streams") });
    const connection = connectTo(node.url);
    const many = Array.from({ length: streams }, (_, number) => `many/${number}`);
    await appendTo(connection, ["one"], 1);
    await appendTo(connection, many, streams);

    const perAppend = { one: 0, many: 0 };
    for (let round = 0; round < rounds; round++) {
      for (const [kind, names] of Object.entries({ one: ["one"], many })) {
        const before = await Metrics.of(node.url);
        await appendTo(connection, names, appends);
        const since = (await Metrics.of(node.url)).since(before);
        perAppend[kind === "one" ? "one" : "many"] += since.syncs("journal") / appends / rounds;
      }
    }
    connection.close();
    assert.equal(await node.end("SIGTERM"), 0, node.output());
    const told = `journal syncs an append: one stream ${perAppend.one.toFixed(4)}, ${streams} ${perAppend.many.toFixed(4)}`;
    console.log(told);
    assert.ok(perAppend.many <= perAppend.one * noise, told);
    assert.ok(perAppend.many < 0.4, told);
  });

  const strace = unless(straceWorks(), "strace is missing or may not attach; syncs were counted by the log alone");
  test("strace counts the same syncs as the log", { ...strace, timeout: 120_000 }, async () => {
    const trace = path.join(root, "trace");
    const data = path.join(root, "traced");
    const calls = "trace=fdatasync,fsync";
    const node = await startNode({ data, wrapper: ["strace", "-D", "-f", "-qq", "-y", "-o", trace, "-e", calls] });
    const connection = connectTo(node.url);
    const names = Array.from({ length: 50 }, (_, number) => `traced/${number}`);
    await appendTo(connection, names, 1_000);
    await appendLarge(connection, "traced/large", 8);
    const counted = (await Metrics.settled(node.url)).allSyncs();
    const traced = fs.readFileSync(trace, "utf8").split("\n");
    const ofData = traced.filter((line) => /\b(fdatasync|fsync)\(\d+</.test(line) && line.includes(`<${data}`));
    connection.close();
    assert.equal(await node.end("SIGTERM"), 0, node.output());
    console.log(`syncs by strace ${ofData.length}, by the log ${counted}`);
    assert.equal(ofData.length, counted);
  });
});

test("a large round is written once", { timeout: 120_000 }, async () => {
  const data = path.join(root, "large");
  const node = await startNode({ data });
  const connection = connectTo(node.url);
  await appendTo(connection, ["large"], 1);
  const before = await Metrics.of(node.url);
  await appendLarge(connection, "large", large.batches);
  const since = (await Metrics.settled(node.url)).since(before);
  connection.close();
  const appended = large.batches * large.bytes;
  const [flushed, direct, journaled] = [since.flushBytes(), since.directBytes(), since.journalBytes()];
  console.log(
    `of ${appended} bytes appended ${flushed} were flushed, ${direct} of them directly, ${journaled} journaled`,
  );
  assert.ok(flushed >= appended && flushed < appended * 1.02);
  assert.ok(direct >= appended);
  assert.ok(journaled < appended * 0.02);
  const stored = bytesBelow(path.join(data, "groups"));
  assert.ok(stored >= appended && stored < appended * 1.02 + (8 << 20), `${stored} bytes in segments`);
  assert.equal(await node.end("SIGTERM"), 0, node.output());
});

/** Appends small batches, `count` in all, round the streams, many in flight. */
async function appendTo({ client }: Connection, names: readonly string[], count: number): Promise<void> {
  const batch = payload(100);
  let sent = 0;
  const one = async () => {
    while (sent < count) {
      const stream = names[sent++ % names.length] ?? "";
      await client.log.append({ stream, batch });
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
}

async function appendLarge({ client }: Connection, stream: string, count: number): Promise<void> {
  const batch = payload(large.bytes);
  let sent = 0;
  const one = async () => {
    while (sent++ < count) await client.log.append({ stream, batch });
  };
  await Promise.all(Array.from({ length: large.inFlight }, one));
}

/** A payload of one record after the other, `bytes` in all of their values, at least one record. */
function payload(bytes: number): Uint8Array {
  const writer = new RecordsWriter();
  const value = new Uint8Array(Math.min(bytes, 64 << 10)).fill(0x61);
  for (let left = bytes; left > 0; left -= value.length) writer.add(value);
  return writer.take();
}

function straceWorks(): boolean {
  try {
    execFileSync("strace", ["-D", "-qq", "-o", "/dev/null", "true"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function bytesBelow(folder: string): number {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.reduce((sum, entry) => sum + fs.statSync(path.join(entry.parentPath, entry.name)).size, 0);
}
