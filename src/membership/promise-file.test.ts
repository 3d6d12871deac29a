import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DataFolderError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";
import { systemHash } from "../host/hash.ts";
import type { BootstrapPromises } from "../raft/bootstrap.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimRandom } from "../sim/random.ts";
import { passTime, Timeline } from "../sim/timeline.ts";
import { PromiseFile } from "./promise-file.ts";

const nothing: BootstrapPromises = { accepted: undefined, refused: [] };

/** Different ones, of different lengths, so that a mixture of two shows. */
function promises(number: number): BootstrapPromises {
  const clusterId = `cluster ${number}`;
  const refused = Array.from({ length: (number * 7) % 40 }, (_, i) => `refused ${number}.${i}`);
  return { accepted: number % 3 === 0 ? undefined : { clusterId, replicas: ["a/0/0", "b/1/0"] }, refused };
}

function machine(seed: number): { timeline: Timeline; disk: SimDisk } {
  const timeline = new Timeline();
  return {
    timeline,
    disk: new SimDisk({ timeline, random: new SimRandom(seed), totalBytes: 1 << 30, tally: new Map() }),
  };
}

async function opened(timeline: Timeline, disk: Disk): Promise<BootstrapPromises> {
  return (await passTime(timeline, PromiseFile.open("/data", disk, systemHash))).found;
}

describe("what was promised about a cluster", () => {
  test("is there after a kill or a power cut at any moment, or what was promised after it; and what was read stays", async () => {
    let cuts = 0;
    for (let seed = 0; seed < 300; seed++) {
      const { timeline, disk } = machine(seed);
      const process = disk.attach();
      await passTime(timeline, process.makeFolder("/data"));
      await passTime(timeline, process.syncFolder("/"));
      const file = await passTime(timeline, PromiseFile.open("/data", process, systemHash));
      let saved = 0;
      for (let number = 1; number <= 12; number++) {
        void file.save(promises(number)).then(() => {
          saved = number;
        });
      }
      const cut = new Promise<void>((resolve) => {
        timeline.after(new SimRandom(seed).between(0, 60), () => {
          if (seed % 2 === 0) disk.powerCut();
          else process.kill();
          resolve();
        });
      });
      await passTime(timeline, cut);
      if (saved < 12) cuts += 1;
      const found = await opened(timeline, disk.attach());
      const allowed = [saved, saved + 1].map((number) => (number === 0 ? nothing : promises(number)));
      assert.ok(
        allowed.some((one) => JSON.stringify(one) === JSON.stringify(found)),
        `seed ${seed}: ${saved} were kept, and it found ${JSON.stringify(found)}`,
      );
      disk.powerCut();
      const again = await passTime(timeline, PromiseFile.open("/data", disk.attach(), systemHash));
      assert.deepEqual(again.found, found, `seed ${seed}`);
      // What a kill left of a longer one is not in the way.
      await passTime(timeline, again.save(nothing));
      assert.deepEqual(await opened(timeline, disk.attach()), nothing, `seed ${seed}`);
    }
    assert.ok(cuts > 200, `${cuts} of 300 runs were cut in the middle`);
  });

  test("of a file with any byte changed, or cut, is not believed: the message says what to do", async () => {
    const { timeline, disk } = machine(1);
    const process = disk.attach();
    await passTime(timeline, process.makeFolder("/data"));
    const file = await passTime(timeline, PromiseFile.open("/data", process, systemHash));
    await passTime(timeline, file.save(promises(1)));
    const stored = await passTime(timeline, process.open("/data/bootstrap", { create: false }));
    assert.ok(stored);
    const bytes = new Uint8Array(await passTime(timeline, stored.size()));
    await passTime(timeline, stored.read(bytes, 0));
    const isDamage = (error: unknown) =>
      error instanceof DataFolderError && /^\/data\/bootstrap is damaged/.test(error.message) && error.todo !== "";
    for (let at = 0; at < bytes.length; at++) {
      const flipped = bytes.slice();
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      await passTime(timeline, stored.write([flipped], 0));
      // Of a newer version is what says so, in a line that is whole.
      if (at === "tailrace-bootstrap ".length) continue;
      await assert.rejects(opened(timeline, process), isDamage, `byte ${at}`);
    }
    for (let length = 0; length < bytes.length; length++) {
      await passTime(timeline, stored.write([bytes], 0));
      await passTime(timeline, stored.truncate(length));
      await assert.rejects(opened(timeline, process), isDamage, `${length} bytes`);
    }
    await passTime(timeline, stored.write([new TextEncoder().encode("tailrace-bootstrap 2 00000000\n{}")], 0));
    await assert.rejects(opened(timeline, process), /written by a newer version/);
  });
});
