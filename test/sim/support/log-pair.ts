/**
 * Two replicas of one log, each on a disk of its own: one leads, the other is fed with what it has, synced or not. Either may
 * be killed, lose power, find no room or fail, and they change roles.
 * @module
 */
import assert from "node:assert/strict";
import { BatchKind, type StoredBatch } from "../../../src/base/batch.ts";
import { sameBytes } from "../../../src/base/bytes.ts";
import { DiskError, NoRoomError } from "../../../src/base/disk-errors.ts";
import { TailraceError } from "../../../src/base/errors.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import { BatchRefusedError, verifyStored } from "../../../src/log/stored-batch.ts";
import type { DataFolder, GroupLog } from "../../../src/log/types.ts";
import { SimDisk } from "../../../src/sim/disk.ts";
import { FileNode } from "../../../src/sim/file-node.ts";
import { FolderNode } from "../../../src/sim/folder-node.ts";
import type { SimRandom } from "../../../src/sim/random.ts";
import { SimClock, type Timeline } from "../../../src/sim/timeline.ts";

const group = 1;
const roomy = 1 << 30;
const folderPath = "/data";
const settings = {
  ...{ journalUnitBytes: 1 << 16, journalFileBytes: 1 << 16, journalFiles: 3, freeSpaceReserve: 0 },
  // Tails go to their segments soon, so that many are sealed.
  tailMaxBytes: 1000,
};

/** One of the two. */
export class Side {
  readonly name: string;
  readonly disk: SimDisk;
  /** What it appends next must begin a term: it was started since, or what it had was taken back. */
  mustBegin = true;
  hasFailed = false;
  readonly #segmentMaxBytes: number;
  readonly #random: SimRandom;
  #process: ReturnType<SimDisk["attach"]>;
  #folder: DataFolder | undefined;

  constructor(name: string, timeline: Timeline, random: SimRandom, segmentMaxBytes: number) {
    this.name = name;
    this.#random = random;
    this.#segmentMaxBytes = segmentMaxBytes;
    this.disk = new SimDisk({ timeline, random, totalBytes: roomy, tally: new Map() });
    this.#process = this.disk.attach();
  }

  get log(): GroupLog {
    const log = this.#folder?.log(group);
    assert.ok(log, `${this.name} has no log`);
    return log;
  }

  /** Starts, until it runs. */
  async open(): Promise<void> {
    for (;;) {
      const process = this.disk.attach();
      this.#process = process;
      const clock = new SimClock(this.disk.timeline, () => process.isAlive);
      const on = { path: folderPath, disk: process, clock, hash: systemHash, random: this.#random, settings };
      try {
        const folder = await openDataFolder(on);
        const batch0 = { checkpointState: new Uint8Array(9), startOffset: 3, appendTimeMicros: 1 };
        if (!folder.log(group)) await folder.create({ group, ...batch0, note: new Uint8Array(0) }).made;
        this.#begin(folder, process);
        return;
      } catch (error) {
        if (!(error instanceof DiskError) && !(error instanceof NoRoomError)) throw error;
        process.kill();
        this.disk.totalBytes = roomy;
      }
    }
  }

  #begin(folder: DataFolder, process: ReturnType<SimDisk["attach"]>): void {
    this.#folder = folder;
    this.hasFailed = false;
    this.mustBegin = true;
    void folder.failed.then(() => {
      if (this.#process === process) this.hasFailed = true;
    });
    this.log.rollBy({ maxBytes: this.#segmentMaxBytes, maxAgeMicros: 1e15 }, (index) => new Uint8Array(index % 50));
    this.log.onTakenBack(() => {
      this.mustBegin = true;
    });
  }

  async restart(withPower: boolean): Promise<void> {
    if (withPower) this.disk.powerCut();
    else this.#process.kill();
    await this.open();
  }

  /** The volume fills up, or has room again. */
  fill(leaveBytes: number | undefined): void {
    const { totalBytes, freeBytes } = this.disk.space;
    this.disk.totalBytes = leaveBytes === undefined ? roomy : totalBytes - freeBytes + leaveBytes;
  }

  /** Appends some, in a term of its own. Resolves when they are on their way. */
  async append(sizes: readonly number[], newTerm: () => number): Promise<void> {
    if (this.mustBegin) {
      const begins = { term: newTerm(), votedFor: { diskId: new Uint8Array(16).fill(1), life: 0 } };
      const change = { kind: BatchKind.leaderChange, payload: new Uint8Array(4), recordCount: 0, begins };
      this.mustBegin = false;
      if (!(await this.settled(this.log.append(change)))) this.mustBegin = true;
    }
    if (this.mustBegin || this.hasFailed) return;
    for (const bytes of sizes) {
      const payload = new Uint8Array(bytes).fill(this.#random.between(0, 255));
      void this.settled(this.log.append({ kind: BatchKind.records, payload, recordCount: 2 }));
    }
  }

  /** Whether something was done; false: it was refused, as may be. */
  async settled(work: Promise<unknown>): Promise<boolean> {
    const process = this.#process;
    try {
      await work;
      return true;
    } catch (error) {
      // What the dead see is nobody's.
      if (this.#process !== process || !process.isAlive) return false;
      const isRefusal =
        error instanceof NoRoomError || error instanceof TailraceError || error instanceof BatchRefusedError;
      assert.ok(isRefusal || error instanceof DiskError, `${this.name}: ${error}`);
      return false;
    }
  }

  async close(): Promise<void> {
    await this.#folder?.close();
    this.#process.kill();
  }

  /** Contents of its segments, by name. */
  segments(): Map<string, Uint8Array> {
    const folder = this.disk.find(`${folderPath}/groups/${group}/1`);
    const found = new Map<string, Uint8Array>();
    if (!(folder instanceof FolderNode)) return found;
    for (const [name, node] of folder.names) {
      if (node instanceof FileNode && name.endsWith(".log")) found.set(name, node.content());
    }
    return found;
  }
}

/** What following came to. */
type Followed = "fed" | "cut" | "nothing";

/** As a follower does once: compares its end with the leader's log, is cut where that is another, or fed with what follows. */
export async function follow(
  follower: Side,
  leader: Side,
  how: { unsynced: boolean; maxBytes: number; waits: boolean },
): Promise<Followed> {
  try {
    return await followOnce(follower, leader, how);
  } catch (error) {
    // Nothing is read of a folder that has failed.
    if (!(error instanceof DiskError) || !(follower.hasFailed || leader.hasFailed)) throw error;
    return "nothing";
  }
}

async function followOnce(
  follower: Side,
  leader: Side,
  how: { unsynced: boolean; maxBytes: number; waits: boolean },
): Promise<Followed> {
  const { end } = follower.log;
  const digest = await leader.log.digestAt(end.index - 1);
  if (!digest || !sameBytes(digest, end.digest)) return await cutToCommon(follower, leader);
  const { log } = leader;
  const belowIndex = how.unsynced ? log.end.index : log.durableEnd.index;
  const request = { from: { index: end.index }, belowIndex, maxBytes: how.maxBytes, unsynced: how.unsynced };
  const batches = await log.read(request);
  const bytes = Buffer.concat(batches.flatMap(({ header, payload }: StoredBatch) => [header, payload]));
  const run = verifyStored(bytes, { after: end, group, hash: systemHash });
  assert.equal(run.refused, undefined, "what follows the leader's batch follows the same batch elsewhere");
  // What it had was taken back meanwhile: these come too early.
  const appends = run.batches.map((batch) => follower.settled(follower.log.appendStored(batch)));
  if (how.waits) await Promise.all(appends);
  return batches.length > 0 ? "fed" : "nothing";
}

/** Cuts off what the leader has not. */
async function cutToCommon(follower: Side, leader: Side): Promise<Followed> {
  let index = Math.min(follower.log.end.index, leader.log.end.index);
  for (; index > 1; index--) {
    const [ours, theirs] = [await follower.log.digestAt(index - 1), await leader.log.digestAt(index - 1)];
    if (ours && theirs && sameBytes(ours, theirs)) break;
  }
  return (await follower.settled(follower.log.cut(index))) ? "cut" : "nothing";
}
