/**
 * A volume that is full to its last byte, and has room again: in one process, and across kills while it is full.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { beforeEach, describe, test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { BatchKind } from "../../src/base/batch.ts";
import { NoRoomError } from "../../src/base/disk-errors.ts";
import { connectTo } from "../../src/cli/connection.ts";
import { systemClock } from "../../src/host/clock.ts";
import type { Disk } from "../../src/host/disk.ts";
import { systemHash } from "../../src/host/hash.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import { systemRandom } from "../../src/host/random.ts";
import { openDataFolder } from "../../src/log/data-folder.ts";
import type { DataFolder, GroupLog } from "../../src/log/types.ts";
import { ErrorDetailSchema, Reason } from "../../src/wire/gen/tailrace/v1/error_pb.ts";
import { temporaryFolder } from "../support/data-folder.ts";
import { startNode } from "../support/node-process.ts";
import { unless } from "../support/skip.ts";
import { Life } from "./support/kill-cycles.ts";
import type { LoadOrders, Said } from "./support/said.ts";
import { SmallVolume } from "./support/small-volume.ts";

/** Enough for all that is appended: only what fills it makes it full. */
const mounted = SmallVolume.mount(64 << 20);
const skip = unless(mounted instanceof SmallVolume, `no tmpfs can be mounted: ${mounted}`);

function volume(): SmallVolume {
  assert.ok(mounted instanceof SmallVolume);
  return mounted;
}

const cycles = 5;
/** Appends work again so soon when there is room, milliseconds. */
const againMs = 5_000;
/** Between appends to a full volume, milliseconds. */
const paceMs = 10;

/** Trims and deletions are begun when appends are refused: they need no room but what the journal holds back. */
const load: LoadOrders = {
  ...{ groups: 40, busyGroups: 20, inFlight: 40, payloadBytes: { from: 20, to: 3_000 }, largeOneIn: 60 },
  ...{ segmentMaxBytes: 60_000, tailMaxBytes: 60_000, changes: ["trim", "remove"] },
};

describe("a volume that is full to its last byte", () => {
  beforeEach(() => {
    if (mounted instanceof SmallVolume) mounted.clear();
  });

  test(`refuses appends, reads, trims and deletes, goes on when there is room, and starts while it is full (${cycles} times)`, {
    ...skip,
    timeout: 120_000,
  }, async () => {
    const data = path.join(volume().folder, "log");
    const life = new Life("full disk", temporaryFolder(), { data, freeSpaceReserve: 0 });
    const counts = { refused: 0, trimmed: 0, ackedAgain: 0, startsFull: 0 };
    for (let cycle = 0; cycle < cycles; cycle++) {
      const fillAt = life.random.between(200, 1500);
      const seen = new Count();
      let stage: "room" | "full" | "room again" | "full again" = "room";
      const { how } = await life.run({ ...load, changesAfterRefusals: 20 }, (said) => {
        seen.add(said);
        if (stage === "room" && seen.of("acked") >= fillAt) {
          volume().fill();
          stage = "full";
          seen.clear();
        } else if (stage === "full" && seen.of("removed") > 2) {
          counts.refused += seen.of("refused");
          counts.trimmed += seen.of("trimmed");
          volume().empty();
          stage = "room again";
          seen.clear();
        } else if (stage === "room again" && seen.of("acked") > 50) {
          counts.ackedAgain += seen.of("acked");
          volume().fill();
          stage = "full again";
          seen.clear();
        } else if (stage === "full again") {
          volume().fill();
          if (seen.of("refused") > 10) return life.random.between(0, 1000);
        }
        return undefined;
      });
      assert.equal(how, "SIGKILL", stage);

      let isRoom = false;
      seen.clear();
      const again = await life.run({ ...load, changesAfterRefusals: Number.MAX_SAFE_INTEGER }, (said) => {
        seen.add(said);
        if (!isRoom && seen.of("refused") > 3) {
          counts.startsFull++;
          volume().empty();
          isRoom = true;
          seen.clear();
        }
        return isRoom && seen.of("acked") > 100 ? 0 : undefined;
      });
      assert.equal(again.how, "SIGKILL");
    }
    await life.end();
    console.log(`full disk: ${life.ledger.acknowledged} batches acknowledged, ${JSON.stringify(counts)}`);
    assert.equal(counts.startsFull, cycles);
    assert.ok(counts.trimmed > 0);
  });

  test("C015: a node says which limit it is, reads, trims and deletes, and starts while it is full", {
    ...skip,
    timeout: 60_000,
  }, async () => {
    const data = path.join(volume().folder, "node");
    let node = await startNode({ data });
    let connection = connectTo(node.url);
    const { streams } = connection.client;
    await streams.createStream({ name: "large", settings: { segmentMaxBytes: 1n << 20n } });
    const large = Array.from({ length: 12 }, (_, at) => new Uint8Array(300_000).fill(at));
    const append = (stream: string, value: Uint8Array) =>
      connection.client.log.append({ stream, records: [{ value }] });
    for (const value of large) await append("large", value);
    const small: Uint8Array[] = [];
    const appendSmall = async () => {
      const value = new TextEncoder().encode(`${small.length}`);
      await append("small", value);
      small.push(value);
    };
    await appendSmall();
    await append("deleted", new Uint8Array(10));

    const readAll = async (stream: string, from: bigint) => {
      const values: Uint8Array[] = [];
      for (let next = from; ; ) {
        const start = { at: { case: "offset", value: next } } as const;
        const { batches, nextOffset, highWatermark } = await connection.client.log.read({ stream, start });
        values.push(...batches.flatMap(({ records }) => records.map(({ value }) => value)));
        next = nextOffset;
        if (next === highWatermark) return values;
      }
    };
    volume().fill();
    await refusedForRoom(appendSmall);
    assert.deepEqual(await readAll("large", 0n), large);
    assert.deepEqual(await readAll("small", 0n), small);
    await streams.trimStream({ name: "large", logStart: 8n });
    await streams.deleteStream({ name: "deleted" });
    volume().fill();
    await refusedForRoom(appendSmall);
    assert.equal(await node.end("SIGKILL"), "SIGKILL");
    connection.close();

    node = await startNode({ data });
    connection = connectTo(node.url);
    assert.deepEqual(await readAll("large", 8n), large.slice(8));
    assert.deepEqual(await readAll("small", 0n), small);
    await refusedForRoom(appendSmall);
    volume().empty();
    await untilTaken(appendSmall);
    assert.deepEqual(await readAll("small", 0n), small);
    connection.close();
    assert.equal(await node.end("SIGTERM"), 0, node.output());
  });

  for (const { name, fillsAt } of [
    { name: "has made the segment, and not written to it", fillsAt: ".log" },
    { name: "has made the segment, and not its index", fillsAt: ".index" },
  ]) {
    test(`C017: it gets full when a roll ${name}; the next append works when there is room`, {
      ...skip,
      timeout: 30_000,
    }, async () => {
      const data = path.join(volume().folder, "roll");
      let armed = false;
      const disk = fillingDisk(fillsAt, () => armed && volume().fill());
      const folder = await open(data, disk);
      const log = make(folder);
      const contents: number[] = [];
      const append = async () => {
        const { index } = await log.append({
          kind: BatchKind.records,
          payload: payload(contents.length),
          recordCount: 1,
        });
        contents[index] = contents.length;
      };
      for (let i = 0; i < 30; i++) await append();
      armed = true;
      let refused = 0;
      for (let i = 0; i < 200 && refused < 3; i++) {
        await append().catch((error: unknown) => {
          assert.ok(error instanceof NoRoomError, String(error));
          refused++;
        });
      }
      armed = false;
      assert.ok(refused > 0 || fillsAt === ".index");
      volume().empty();
      await untilTaken(append);
      for (let i = 0; i < 30; i++) await append();
      await checkRead(log);
      await folder.close();
      const names = fs.readdirSync(path.join(data, "groups", "1", "1")).sort();
      const alone = names.filter((file) => file.endsWith(".index") && !names.includes(file.replace(".index", ".log")));
      assert.deepEqual(alone, []);
      const again = await open(data, nodeDisk());
      const found = again.log(1);
      assert.ok(found);
      await checkRead(found);
      await again.close();

      async function checkRead(of: GroupLog) {
        const belowIndex = of.durableEnd.index;
        const batches = await of.read({ from: { index: 0 }, belowIndex, maxBytes: 1 << 30 });
        const values = batches.filter(({ kind }) => kind === BatchKind.records).map((batch) => batch.payload);
        assert.deepEqual(values, contents.filter((value) => value !== undefined).map(payload));
      }
    });
  }
});

function payload(number: number): Uint8Array {
  return new Uint8Array(20_000).fill(number);
}

function open(data: string, disk: Disk): Promise<DataFolder> {
  return openDataFolder({
    ...{ path: data, disk, clock: systemClock, hash: systemHash, random: systemRandom },
    settings: { journalFileBytes: 1 << 20, journalFiles: 4, arenaBytes: 1 << 20, tailMaxBytes: 1, freeSpaceReserve: 0 },
  });
}

function make(folder: DataFolder): GroupLog {
  const { log } = folder.create({
    ...{ group: 1, checkpointState: new Uint8Array(5), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) },
  });
  log.rollBy({ maxBytes: 200_000, maxAgeMicros: 1e16 }, () => new Uint8Array(20));
  return log;
}

/** The machine's disk, which is told to be full when a file with this ending was made. */
function fillingDisk(ending: string, fill: () => void): Disk {
  const disk = nodeDisk();
  return {
    ...disk,
    async open(file, options) {
      const isNew = options.create && !fs.existsSync(file);
      const opened = await disk.open(file, options);
      if (isNew && file.endsWith(ending)) fill();
      return opened;
    },
  };
}

/**
 * Appends until it is refused for the reserve: what is known of the volume may be half a second old, and until then an
 * append may meet the full volume itself.
 */
async function refusedForRoom(append: () => Promise<void>): Promise<void> {
  for (const end = performance.now() + againMs; ; ) {
    const error = await firstRefusal(append);
    const { code, message } = error;
    const [detail] = error.findDetails(ErrorDetailSchema);
    assert.equal(code, Code.ResourceExhausted, message);
    assert.equal(detail?.reason, Reason.DISK_FULL);
    if (/free_space_reserve/.test(message)) return;
    assert.match(message, /no room for it on its disk/);
    assert.ok(performance.now() < end, `refused for ${againMs} ms, and never for the reserve: ${message}`);
  }
}

/** At a pace: a node looks twice a second how much is free, and meanwhile appends would use up what the journal has. */
async function firstRefusal(append: () => Promise<void>): Promise<ConnectError> {
  for (const end = performance.now() + againMs; performance.now() < end; ) {
    try {
      await append();
    } catch (error) {
      return ConnectError.from(error);
    }
    await new Promise((resolve) => setTimeout(resolve, paceMs));
  }
  return assert.fail(`nothing was refused for ${againMs} ms`);
}

async function untilTaken(append: () => Promise<void>): Promise<void> {
  for (const end = performance.now() + againMs; ; ) {
    try {
      await append();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

class Count {
  readonly #counts = new Map<string, number>();

  add([what]: Said): void {
    this.#counts.set(what, this.of(what) + 1);
  }

  of(what: Said[0]): number {
    return this.#counts.get(what) ?? 0;
  }

  clear(): void {
    this.#counts.clear();
  }
}
