/** The simulated disk keeps what docs/disk.md promises, and breaks the rest. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DiskError, NoRoomError } from "../base/disk-errors.ts";
import type { Disk, DiskFile } from "../host/disk.ts";
import { type DiskFaults, SimDisk } from "./disk.ts";
import { SimRandom } from "./random.ts";
import { passTime, Timeline } from "./timeline.ts";

const noFaults: DiskFaults = { syncFails: 0, writeBackFails: 0, copyOnWrite: false };

class Machine {
  readonly timeline = new Timeline();
  readonly disk: SimDisk;

  constructor(seed: number, totalBytes = 1 << 30) {
    const random = new SimRandom(seed);
    this.disk = new SimDisk({ timeline: this.timeline, random, totalBytes, tally: new Map() });
    this.disk.faults = noFaults;
  }

  run<T>(work: (process: ReturnType<SimDisk["attach"]>) => Promise<T>): Promise<T> {
    return passTime(this.timeline, work(this.disk.attach()));
  }
}

async function opened(disk: Disk, path: string): Promise<DiskFile> {
  const file = await disk.open(path, { create: true });
  assert.ok(file);
  return file;
}

/** What is in a file now; `undefined`: there is none. */
function contents(machine: Machine, path: string): Promise<Uint8Array | undefined> {
  return machine.run(async (process) => {
    const file = await process.open(path, { create: false });
    if (!file) return undefined;
    const bytes = new Uint8Array(await file.size());
    assert.equal(await file.read(bytes, 0), bytes.length);
    return bytes;
  });
}

/** What becomes of the same steps in a power cut, over many seeds. */
async function outcomes(steps: (process: Disk, machine: Machine) => Promise<void>, path = "/a"): Promise<string[]> {
  const found = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const machine = new Machine(seed);
    await machine.run((process) => steps(process, machine));
    machine.disk.powerCut();
    const bytes = await contents(machine, path);
    // Each 512 bytes are one letter here.
    found.add(bytes === undefined ? "gone" : [...bytes.filter((_, at) => at % 512 === 0)].join(""));
  }
  return [...found].sort();
}

const sectors = (digit: number, count: number) => new Uint8Array(512 * count).fill(digit);

describe("after a power cut", () => {
  test("what was synced is there, each unsynced sector on its own or not", async () => {
    const found = await outcomes(async (process) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(1, 3)], 0);
      await file.sync();
      await file.write([sectors(2, 2)], 0);
    });
    assert.deepEqual(found, ["111", "121", "211", "221"]);
  });

  test("an unsynced file has any of its sizes, and zeros where nothing arrived", async () => {
    const found = await outcomes(async (process) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(1, 1)], 0);
      await file.write([sectors(2, 1)], 512);
    });
    assert.deepEqual(found, ["", "0", "00", "02", "1", "10", "12"].sort());
  });

  test("any version of a sector may be there, not only the newest", async () => {
    const found = await outcomes(async (process) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(1, 1)], 0);
      await file.sync();
      for (const digit of [2, 3]) await file.write([sectors(digit, 1)], 0);
    });
    assert.deepEqual(found, ["1", "2", "3"]);
  });

  test("a cut that was not synced has happened or not, and what is below it is as it was", async () => {
    const found = await outcomes(async (process) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(1, 2)], 0);
      await file.sync();
      await file.truncate(512);
    });
    assert.deepEqual(found, ["1", "10", "11"]);
  });

  test("what was written while a sync was on its way is not promised by it", async () => {
    const found = await outcomes(async (process) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(1, 1)], 0);
      const sync = file.sync();
      await file.write([sectors(2, 1)], 0);
      await sync;
    });
    assert.deepEqual(found, ["1", "2"]);
  });

  test("a name is there once its folder was synced, else perhaps: each on its own", async () => {
    const unsynced = await outcomes(async (process) => {
      await (await opened(process, "/a")).sync();
    });
    assert.deepEqual(unsynced, ["", "gone"]);
    const found = new Set<string>();
    for (let seed = 0; seed < 60; seed++) {
      const machine = new Machine(seed);
      await machine.run(async (process) => {
        await opened(process, "/old");
        await process.syncFolder("/");
        await process.rename("/old", "/new");
      });
      machine.disk.powerCut();
      const names = await machine.run((process) => process.list("/"));
      found.add(names?.sort().join(" ") ?? "");
    }
    assert.deepEqual([...found].sort(), ["", "new", "new old", "old"]);
  });

  test("a file that is renamed over another stands for one of the two", async () => {
    const found = await outcomes(async (process) => {
      for (const [path, digit] of [
        ["/a", 1],
        ["/b", 2],
      ] as const) {
        const file = await opened(process, path);
        await file.write([sectors(digit, 1)], 0);
        await file.sync();
      }
      await process.syncFolder("/");
      await process.rename("/b", "/a");
    });
    assert.deepEqual(found, ["1", "2"]);
  });
});

describe("a failed sync", () => {
  test("leaves pages that all see, and the disk may not have; the next sync has nothing to do", async () => {
    const found = await outcomes(async (process, machine) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(1, 1)], 0);
      await file.sync();
      await file.write([sectors(2, 1)], 0);
      machine.disk.faults = { ...noFaults, syncFails: 1 };
      await assert.rejects(file.sync(), DiskError);
      machine.disk.faults = noFaults;
      await file.sync();
      const seen = new Uint8Array(1);
      await file.read(seen, 0);
      assert.equal(seen[0], 2);
    });
    assert.deepEqual(found, ["1", "2"]);
  });

  test("is told to one of two that wait: the other returns as if all were well", async () => {
    let lost = 0;
    for (let seed = 0; seed < 40; seed++) {
      const machine = new Machine(seed);
      await machine.run(async (process) => {
        const file = await opened(process, "/a");
        await process.syncFolder("/");
        await file.write([sectors(1, 1)], 0);
        const first = file.sync();
        await file.write([sectors(2, 1)], 512);
        machine.disk.faults = { ...noFaults, syncFails: 0.5 };
        const outcomes = await Promise.allSettled([first, file.sync()]);
        machine.disk.faults = noFaults;
        machine.disk.powerCut();
        const well = outcomes.map(({ status }) => status === "fulfilled");
        if (well[0] !== well[1]) lost += 1;
      });
    }
    assert.ok(lost > 0);
  });

  test("of writing back in the background is told to who has the file open, and to nobody else", async () => {
    const machine = new Machine(3);
    await machine.run(async (process) => {
      const file = await opened(process, "/a");
      await file.write([sectors(1, 8)], 0);
      machine.disk.failWriteBack();
      const later = await opened(process, "/a");
      await later.sync();
      await assert.rejects(file.sync(), DiskError);
      await file.sync();
    });
  });

  test("is undone by writing the same again", async () => {
    const found = await outcomes(async (process, machine) => {
      const file = await opened(process, "/a");
      await process.syncFolder("/");
      await file.write([sectors(2, 1)], 0);
      machine.disk.faults = { ...noFaults, syncFails: 1 };
      await assert.rejects(file.sync(), DiskError);
      machine.disk.faults = noFaults;
      await file.write([sectors(2, 1)], 0);
      await file.sync();
    });
    assert.deepEqual(found, ["2"]);
  });
});

describe("a kill", () => {
  test("leaves all that was written, the names too, and frees the lock", async () => {
    const machine = new Machine(1);
    await machine.run(async (process) => {
      assert.ok(await process.lock("/"));
      assert.equal(await machine.disk.attach().lock("/"), undefined);
      const file = await opened(process, "/a");
      await file.write([sectors(1, 2)], 0);
      process.kill();
    });
    assert.deepEqual(await contents(machine, "/a"), sectors(1, 2));
    await machine.run(async (process) => assert.ok(await process.lock("/")));
  });

  test("leaves a write that was on its way undone, done, or done in part; its call never returns", async () => {
    const sizes = new Set<number>();
    for (let seed = 0; seed < 40; seed++) {
      const machine = new Machine(seed);
      await machine.run(async (process) => {
        const file = await opened(process, "/a");
        file.write([sectors(1, 2)], 0).then(
          () => assert.fail("a dead process was answered"),
          () => {},
        );
        process.kill();
      });
      sizes.add((await contents(machine, "/a"))?.length ?? -1);
    }
    assert.ok(sizes.has(0) && sizes.has(1024) && sizes.size > 2, [...sizes].join(" "));
  });
});

describe("without room", () => {
  test("a write takes what fits and says so; overwriting needs none; cutting gives it back", async () => {
    const machine = new Machine(1, 5 * 4096);
    await machine.run(async (process) => {
      const file = await opened(process, "/a");
      await file.write([sectors(1, 16)], 0);
      await assert.rejects(file.write([sectors(2, 32)], 8192), NoRoomError);
      assert.equal(await file.size(), 5 * 4096);
      await file.write([sectors(3, 40)], 0);
      await assert.rejects(process.makeFolder("/folder"), NoRoomError);
      await assert.rejects(opened(process, "/b"), NoRoomError);
      await file.truncate(4096);
      await opened(process, "/b");
      assert.deepEqual(await process.space("/"), { freeBytes: 4 * 4096, totalBytes: 5 * 4096 });
    });
  });

  test("on a copy-on-write file system overwriting needs room too", async () => {
    const machine = new Machine(1, 4096);
    machine.disk.faults = { ...noFaults, copyOnWrite: true };
    await machine.run(async (process) => {
      const file = await opened(process, "/a");
      await file.write([sectors(1, 8)], 0);
      await assert.rejects(file.write([sectors(2, 8)], 0), NoRoomError);
    });
  });
});
