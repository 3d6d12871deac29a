import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DataFolderError } from "../base/disk-errors.ts";
import { systemHash } from "../host/hash.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { passTime, Timeline } from "../sim/timeline.ts";
import { FrameKind, RecordKind } from "./format.ts";
import { recordsOf } from "./frame-reader.ts";
import { FrameBuilder } from "./frame-writer.ts";
import { replay, type ScannedRing, scanRing } from "./ring-scan.ts";

const owner = { diskId: new Uint8Array(16).fill(9), crcKey: 12345 };
const fileBytes = 64 << 10;

/** A frame of 4 KiB with one record that says its number. */
function frame(number: number, freed = 0): Uint8Array {
  const builder = new FrameBuilder(new Uint8Array(4096));
  builder.bytes[builder.add(RecordKind.note, number, 1, 1)] = number;
  return builder
    .finish({ kind: FrameKind.frame, files: 1, number, incarnation: 1, freed, ...owner }, systemHash)
    .slice();
}

function frames(from: number, to: number, freed = 0): Uint8Array[] {
  return Array.from({ length: to - from + 1 }, (_, i) => frame(from + i, freed));
}

/** A frame of which a power cut left nothing, or not its beginning. */
const nothing = new Uint8Array(4096);
const torn = (number: number) => frame(number).fill(0, 0, 512);

/** Scans a ring of files that hold this; gives the order of the records too, each with its place in the ring. */
async function scan(...files: (Uint8Array[] | undefined)[]): Promise<{ ring: ScannedRing; read: [number, number][] }> {
  const timeline = new Timeline();
  const disk = new SimDisk({ timeline, random: new SimRandom(1), totalBytes: 1 << 30, tally: new Map() }).attach();
  const place = { folder: "/journal", owner, disk, hash: systemHash };
  const work = async () => {
    await disk.makeFolder(place.folder);
    for (const [slot, parts] of files.entries()) {
      if (!parts) continue;
      const file = await disk.open(`/journal/${slot}`, { create: true });
      await file?.write([...parts, new Uint8Array(fileBytes - parts.length * 4096)], 0);
      await file?.close();
    }
    const ring = await scanRing(place);
    const read: [number, number][] = [];
    for await (const frame of replay(place, ring, fileBytes)) {
      for (const { group, position } of recordsOf(frame)) read.push([group, position]);
    }
    return { ring, read };
  };
  return await passTime(timeline, work());
}

describe("the ring's end", () => {
  test("is the newest frame; what is above `freed` is replayed in order, each record with its place", async () => {
    const { ring, read } = await scan(frames(7, 8, 4), frames(1, 4), frames(5, 6, 4));
    assert.deepEqual(
      [ring.newest.slot, ring.newest.last, ring.newest.lastPosition, ring.newest.freed],
      [0, 8, 4096, 4],
    );
    assert.deepEqual(read, [
      [5, 2 * fileBytes + 80],
      [6, 2 * fileBytes + 4096 + 80],
      [7, 80],
      [8, 4096 + 80],
    ]);
  });

  const ends = [
    { name: "where a torn frame stands", files: [[...frames(1, 3), torn(4)]], last: 3 },
    { name: "where frames of an older lap go on", files: [[...frames(11, 12, 10), ...frames(3, 9)]], last: 12 },
    { name: "where the next file was not begun", files: [frames(1, 9), [nothing]], last: 9 },
    { name: "where the next file's first frame is torn", files: [frames(1, 9), [torn(10)]], last: 9 },
    {
      name: "where a file of an older lap was begun anew, and torn",
      files: [frames(6, 9, 5), [torn(10), ...frames(2, 5)]],
      last: 9,
    },
    {
      name: "after a file that was freed and has holes",
      files: [[frame(1), nothing, frame(3)], frames(6, 7, 5)],
      last: 7,
    },
  ];
  for (const { name, files, last } of ends) {
    test(`is ${name}`, async () => assert.equal((await scan(...files)).ring.newest.last, last));
  }
});

describe("damage is told from a torn end, with file, position and frame", () => {
  const damages = [
    {
      name: "no whole frame at all",
      files: [[nothing], [torn(3)]],
      says: /^.*\/journal, from byte 0: it holds no whole/,
    },
    {
      name: "a bad frame with a whole one after it",
      files: [[frame(1), torn(2), frame(3)]],
      says: /\/journal\/0, from byte 4096: what stands there is bad, and frame 3 at 8192 is whole/,
    },
    {
      name: "a bad frame at a file's end, with a whole one in the next file",
      files: [[frame(1), torn(2)], [frame(3)]],
      says: /\/journal\/0, from byte 4096: frame 2 is bad, and frame 3 after it is whole/,
    },
    {
      name: "a missing file",
      files: [frames(1, 2), undefined, frames(5, 6)],
      says: /\/journal\/0, from byte 8192: frame 3 is bad, and frame 5 after it is whole/,
    },
    {
      name: "the oldest file missing",
      files: [undefined, frames(3, 4), frames(5, 6)],
      says: /\/journal\/1, from byte 0: the frames 1 to 2 are missing/,
    },
    {
      name: "the first frame of a file above `freed` bad",
      files: [[torn(3), frame(4)], frames(1, 2)],
      says: /\/journal\/0, from byte 0: what stands there is bad, and frame 4 at 4096 is whole/,
    },
    {
      name: "the first frame of the oldest file above `freed` bad",
      files: [frames(5, 6), [torn(3), frame(4)]],
      says: /\/journal\/1, from byte 0: what stands there is bad, and frame 4 at 4096 is whole/,
    },
    {
      name: "frames that were not freed overwritten",
      files: [frames(8, 9, 3), [frame(1)]],
      says: /\/journal\/0, from byte 0: the frames 4 to 7 are missing/,
    },
  ];
  for (const { name, files, says } of damages) {
    test(name, async () => {
      await assert.rejects(scan(...files), (error) => {
        assert.ok(error instanceof DataFolderError);
        assert.match(error.message, says);
        assert.match(error.message, /^The journal is damaged: /);
        assert.match(error.todo, /tailrace repair/);
        return true;
      });
    });
  }
});
