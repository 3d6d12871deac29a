import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { Disk, DiskSpace } from "../host/disk.ts";
import { RoomWatch } from "./room-watch.ts";

const mebibyte = 1 << 20;
const gibibyte = 1 << 30;

function watched(space: DiskSpace, reserve = 0.01) {
  const world = { space, nowMs: 0, looks: 0, fails: false, failures: [] as Error[] };
  const unused = () => Promise.reject(new Error("not used here"));
  const disk: Disk = {
    ...{ open: unused, list: unused, makeFolder: unused, rename: unused, remove: unused, syncFolder: unused },
    lock: unused,
    async space() {
      world.looks += 1;
      if (world.fails) throw new DiskError("no", "EIO");
      return world.space;
    },
  };
  const clock: Clock = { nowMicros: () => 0, monotonicMs: () => world.nowMs, after: () => ({ cancel: () => {} }) };
  const rooms = new RoomWatch(disk, clock, "/data", reserve, (error) => world.failures.push(error));
  return { world, rooms };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

describe("the watch over free space", () => {
  test("says nothing before it has looked", () => {
    assert.equal(watched({ freeBytes: 0, totalBytes: gibibyte }).rooms.refusal(0), undefined);
  });

  const cases = [
    { name: "64 MiB of a volume of 1 GiB", totalBytes: gibibyte, reserve: 64 * mebibyte },
    { name: "a hundredth of a large one", totalBytes: 100 * gibibyte, reserve: gibibyte },
    { name: "a hundredth of a small one", totalBytes: 100 * mebibyte, reserve: mebibyte },
  ];
  for (const { name, totalBytes, reserve } of cases) {
    test(`keeps ${name}, and room for what is still to be flushed`, async () => {
      const { rooms } = watched({ freeBytes: reserve + 1000, totalBytes });
      await rooms.look();
      assert.equal(rooms.refusal(1000), undefined);
      const refusal = rooms.refusal(1001);
      assert.ok(refusal instanceof NoRoomError);
      assert.match(
        refusal.message,
        new RegExp(`^${reserve + 1000} bytes are free .* 1001 are for what only the journal has yet`),
      );
      assert.match(refusal.message, new RegExp(`free_space_reserve keeps ${reserve}$`));
    });
  }

  test("looks again twice a second, when it is asked", async () => {
    const { world, rooms } = watched({ freeBytes: 0, totalBytes: gibibyte });
    await rooms.look();
    world.space = { freeBytes: gibibyte, totalBytes: gibibyte };
    world.nowMs = 499;
    assert.ok(rooms.refusal(0));
    assert.equal(world.looks, 1);
    world.nowMs = 500;
    assert.ok(rooms.refusal(0));
    assert.ok(rooms.refusal(0));
    assert.equal(world.looks, 2);
    await turn();
    assert.equal(rooms.refusal(0), undefined);
  });

  test("tells when it can't look any more", async () => {
    const { world, rooms } = watched({ freeBytes: 0, totalBytes: gibibyte });
    world.fails = true;
    rooms.refusal(0);
    await turn();
    assert.equal(world.failures.length, 1);
  });
});
