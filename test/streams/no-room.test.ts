/**
 * A disk that has no room now and again: what is refused surely was not written, what is acknowledged is there after the
 * next start, and the same process goes on when there is room.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { NoRoomError } from "../../src/base/disk-errors.ts";
import { TailraceError } from "../../src/base/errors.ts";
import type { Disk } from "../../src/host/disk.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import type { LocalStreams } from "../../src/stream/streams.ts";
import type { Receipt } from "../../src/stream/types.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { openFolder, temporaryFolder } from "../support/data-folder.ts";
import { assertRefused } from "../support/refusal.ts";
import { chooseSeed, seeded } from "../support/seeded.ts";
import { payloadOf, streamsOf } from "../support/streams.ts";

/** The real disk, whose writes find no room while it is full. */
function fickleDisk(): { disk: Disk; isFull: boolean } {
  const real = nodeDisk();
  const fickle = {
    isFull: false,
    disk: {
      ...real,
      async open(path, options) {
        const file = await real.open(path, options);
        if (file === undefined) return undefined;
        const write = file.write.bind(file);
        file.write = (parts, at) => {
          if (fickle.isFull) return Promise.reject(new NoRoomError("the test's disk is full", "ENOSPC"));
          return write(parts, at);
        };
        return file;
      },
    } as Disk,
  };
  return fickle;
}

async function valuesOf(streams: LocalStreams, name: string): Promise<string[]> {
  const stream = streams.get(name);
  const values: string[] = [];
  let next = 0;
  while (next < stream.highWatermark) {
    const { batches, nextOffset } = await stream.read({ startOffset: next, maxBytes: 1 << 20, controlBatches: false });
    for (const { batch } of batches) {
      const { records } = fromBinary(RecordsSchema, batch.payload);
      values.push(...records.map(({ value }) => new TextDecoder().decode(value)));
    }
    next = nextOffset;
  }
  return values;
}

describe("a disk without room now and again", () => {
  test("loses nothing, doubles nothing, and needs no restart", { timeout: 60_000 }, async () => {
    const random = seeded(chooseSeed("no room"), 16);
    const data = temporaryFolder();
    const acknowledged = new Map<string, { id: number; values: string[] }>();
    let refused = 0;
    const note = (name: string, value: string, { streamId: id, startOffset }: Receipt, isDeleted: boolean) => {
      if (isDeleted) return;
      const known = acknowledged.get(name);
      const values = known?.id === id ? known.values : [];
      assert.equal(startOffset, values.length, name);
      acknowledged.set(name, { id, values: [...values, value] });
    };
    for (let start = 0; start < 3; start++) {
      const fickle = fickleDisk();
      const folder = await openFolder(data, fickle.disk);
      const streams = await streamsOf(folder);
      for (const [name, { values }] of acknowledged) assert.deepEqual(await valuesOf(streams, name), values, name);
      for (let round = 0; round < 30; round++) {
        fickle.isFull = random.between(0, 2) === 0;
        const work = Array.from({ length: random.between(1, 8) }, async (_, at) => {
          const name = `s${random.between(0, 5 + start * 5)}`;
          if (random.between(0, 15) === 0 && acknowledged.has(name)) {
            const id = await streams.delete(name);
            if (acknowledged.get(name)?.id === id) acknowledged.delete(name);
            return;
          }
          const stream = await streams.getForAppend(name);
          // Large ones go to their segment directly, small ones to the journal.
          const value = `${start}.${round}.${at} ${"x".repeat(random.between(0, 9) === 0 ? 300_000 : 10)}`;
          note(name, value, await stream.append(payloadOf(value)), stream.deleted);
        });
        for (const outcome of await Promise.allSettled(work)) {
          if (outcome.status === "fulfilled") continue;
          const { reason } = outcome;
          assert.ok(reason instanceof TailraceError, String(reason?.stack));
          if (reason.reason !== "disk_full") assert.match(reason.reason, /^stream_(not_found|replaced)$/);
          refused++;
        }
      }
      fickle.isFull = false;
      note("last", "x", await (await streams.getForAppend("last")).append(payloadOf("x")), false);
      for (const [name, { values }] of acknowledged) assert.deepEqual(await valuesOf(streams, name), values, name);
      await folder.close();
    }
    assert.ok(refused > 10, `${refused} were refused`);
  });
});

describe("a node with too many open files", () => {
  test("refuses what it can't read or write by that name, and does it when there are fewer", async () => {
    const data = temporaryFolder();
    const value = "x".repeat(300_000);
    const before = await openFolder(data);
    await (await (await streamsOf(before)).getForAppend("a")).append(payloadOf(value));
    await before.close();

    let areTooMany = false;
    const real = nodeDisk();
    const open: Disk["open"] = (path, options) => {
      const isRefused = areTooMany && path.includes("/groups/");
      return isRefused ? Promise.reject(new NoRoomError("no file can be opened", "EMFILE")) : real.open(path, options);
    };
    const folder = await openFolder(data, { ...real, open });
    const streams = await streamsOf(folder);
    areTooMany = true;
    const stream = streams.get("a");
    const request = { startOffset: 0, maxBytes: 1, controlBatches: false };
    const tries = [
      () => stream.read(request),
      () => stream.describe(),
      () => stream.resolve({ at: "time", micros: 0 }),
      () => stream.append(payloadOf(value)),
      () => stream.trim(1),
    ];
    for (const attempt of tries) {
      await assertRefused(attempt(), { reason: "disk_full", message: /the node has too many files open \(EMFILE\)/ });
    }
    areTooMany = false;
    for (const attempt of tries) await attempt();
    await folder.close();
  });
});
