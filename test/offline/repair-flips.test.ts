/**
 * Whichever bits of a folder are flipped: after a repair it starts, every stream that is there has a beginning of what it
 * had, those of which nothing was told as lost have all of it, and all take appends.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { RecordsWriter } from "../../src/base/records-writer.ts";
import { checkFolder } from "../../src/cli/offline/folder-check.ts";
import { repairOn } from "../../src/cli/offline/repair.ts";
import { systemHash } from "../../src/host/hash.ts";
import { nodeDisk } from "../../src/host/node-disk.ts";
import type { Stream } from "../../src/stream/types.ts";
import { RecordsSchema } from "../../src/wire/gen/tailrace/v1/record_pb.ts";
import { once } from "../format/both-readers.ts";
import { openFolder } from "../support/data-folder.ts";
import { chooseSeed, type Seeded, seeded } from "../support/seeded.ts";
import { streamsOf } from "../support/streams.ts";
import { copied, flip, framesIn, place } from "./folders.ts";

const timeout = 400_000;
const rounds = 24;
const seed = chooseSeed("repair after flips");
const disk = { ...nodeDisk(), lock: async () => ({ release: async () => {} }) };

/** A folder that lived through some starts, and what each of its streams has: the last 4 bytes of a value tell its number. */
const lived = once(async () => {
  const data = place();
  const random = seeded(seed, 700_000);
  const counts = new Map<string, number>();
  let copy = data;
  for (let start = 0; start < 3; start++) {
    const folder = await openFolder(data);
    const streams = await streamsOf(folder);
    const append = async (name: string, bytes: number) => {
      const stream = await (streams.list({ prefix: name, limit: 1 }).streams.some((one) => one.name === name)
        ? streams.getForAppend(name)
        : streams.create(name, { segmentMaxBytes: 1 << 20 }).then((created) => created.stream));
      const number = counts.get(name) ?? 0;
      await stream.append(payloadOf(makeValue(number, bytes, random)));
      counts.set(name, number + 1);
    };
    for (let at = 0; at < 150; at++) await append(`s/${random.between(0, 11)}`, someBytes(random));
    // Its frame has the marks of all that went to segments at once: what a mark does not cover looks torn when damaged.
    await append("s/0", 0);
    // The last time as a kill leaves it: nothing is on its way.
    if (start === 2) copy = copied(data);
    await folder.close();
  }
  return { data: copy, counts };
});

function someBytes(random: Seeded): number {
  return random.between(0, 4) === 0 ? random.between(200_000, 600_000) : random.between(0, 2000);
}

function makeValue(number: number, bytes: number, random: Seeded): Uint8Array {
  const value = new Uint8Array(bytes + 4);
  value.set(random.bytes(bytes));
  new DataView(value.buffer).setUint32(bytes, number);
  return value;
}

function payloadOf(value: Uint8Array): Uint8Array {
  const writer = new RecordsWriter();
  writer.add(value);
  return writer.take();
}

/** The numbers of a stream's records. */
async function numbersOf(stream: Stream): Promise<number[]> {
  const numbers: number[] = [];
  for (let next = stream.logStart; next < stream.highWatermark; ) {
    const read = await stream.read({ startOffset: next, maxBytes: 1 << 20, controlBatches: false });
    for (const { batch } of read.batches) {
      for (const { value } of fromBinary(RecordsSchema, batch.payload).records) {
        numbers.push(new DataView(value.buffer, value.byteOffset + value.length - 4).getUint32(0));
      }
    }
    next = read.nextOffset;
  }
  return numbers;
}

/** All files of a folder but the lock. */
function filesOf(data: string): { file: string; bytes: number }[] {
  const names = fs.readdirSync(data, { recursive: true, encoding: "utf8" });
  return names
    .map((file) => ({ file, stat: fs.statSync(path.join(data, file)) }))
    .filter(({ stat }) => stat.isFile() && stat.size > 0)
    .map(({ file, stat }) => ({ file, bytes: stat.size }))
    .sort((a, b) => (a.file < b.file ? -1 : 1));
}

/** Flips some bits; in the journal where frames are, whose files are zeros for the most part. */
function flipSome(data: string, random: Seeded): string[] {
  const files = filesOf(data).map(({ file, bytes }) => {
    const last = file.startsWith("journal") ? framesIn(data, file).at(-1) : undefined;
    return { file, bytes: last ? last.position + last.length : bytes };
  });
  return Array.from({ length: random.between(1, 3) }, () => {
    const { file, bytes } = files[random.between(0, files.length - 1)] ?? { file: "id", bytes: 128 };
    const position = random.between(0, bytes - 1);
    flip(data, file, position, random.between(0, 7));
    return `${file} ${position}`;
  });
}

async function isDamaged(data: string): Promise<boolean> {
  return await checkFolder({ path: data, disk }, { hash: systemHash }, async ({ findings }) => {
    return findings.some(({ kind }) => kind === "damage");
  });
}

describe("a repaired folder", () => {
  test("has a beginning of each stream, and all of those of which nothing is told", { timeout }, async () => {
    const { data: whole, counts } = await lived();
    const random = seeded(seed + 1, 8);
    let repaired = 0;
    for (let round = 0; round < rounds; round++) {
      const data = copied(whole);
      const flips = flipSome(data, random);
      const said: string[] = [];
      const say = async (lines: readonly string[]) => {
        said.push(...lines);
      };
      if (await isDamaged(data)) {
        repaired += 1;
        await repairOn(disk, data, { acceptLoss: true }, say).catch((error: unknown) => {
          // Two flips in the id are one too many.
          if (flips.filter((one) => one.startsWith("id ")).length < 2) throw error;
          fs.copyFileSync(path.join(whole, "id"), path.join(data, "id"));
        });
      }
      const told = `${flips.join(", ")}\n${said.join("\n")}`;
      assert.equal(await isDamaged(data), false, told);
      const folder = await openFolder(data);
      const streams = await streamsOf(folder);
      for (const { name } of streams.list({ prefix: "s/", limit: 100 }).streams) {
        const stream = streams.get(name);
        const numbers = await numbersOf(stream);
        assert.deepEqual(
          numbers,
          numbers.map((_, at) => at),
          told,
        );
        const all = counts.get(name) ?? 0;
        assert.ok(numbers.length <= all, told);
        const isTold = said.some((line) => line.includes(`"${name}"`) || line.startsWith("journal:"));
        if (!isTold && !flips.some((one) => one.startsWith("journal")))
          assert.equal(numbers.length, all, `${name}: ${told}`);
        const { startOffset } = await stream.append(payloadOf(makeValue(numbers.length, someBytes(random), random)));
        assert.equal(startOffset, numbers.length, told);
      }
      await folder.close();
      assert.equal(await isDamaged(data), false, told);
      fs.rmSync(path.dirname(data), { recursive: true });
    }
    console.log(`# ${repaired} of ${rounds} folders were damaged`);
    assert.ok(repaired > 0);
  });
});
