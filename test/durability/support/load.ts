/**
 * A load on the logs of a data folder, without end: appends, and changes of logs beside them. All that is acknowledged is
 * said before anything else happens.
 * @module
 */
import { BatchKind } from "../../../src/base/batch.ts";
import { NoRoomError } from "../../../src/base/disk-errors.ts";
import { TailraceError } from "../../../src/base/errors.ts";
import { systemClock } from "../../../src/host/clock.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { checkpointPayload, stampHeader } from "../../../src/log/batch-writer.ts";
import { batchHeader } from "../../../src/log/format.ts";
import type { DataFolder, GroupLog } from "../../../src/log/types.ts";
import { type Seeded, seeded } from "../../support/seeded.ts";
import { payloadOf, recordsOf } from "./payloads.ts";
import type { Change, LoadOrders, Orders, Said } from "./said.ts";

/** Batches that are larger than any round that is journaled. */
const large = { from: 70 << 10, to: 200 << 10 };
/** One append in so many begins a term. */
const beginsOneIn = 200;
/** Who was refused waits so long. */
const refusalPauseMs = 2;
const dayMicros = 86_400e6;
const hexDigits = 32;

/** Runs the load until the process is killed, or something fails. */
export async function runLoad(folder: DataFolder, orders: Orders, load: LoadOrders, say: (said: Said) => void) {
  await new Load(folder, orders, load, say).run();
}

class Load {
  readonly #folder: DataFolder;
  readonly #load: LoadOrders;
  readonly #say: (said: Said) => void;
  readonly #random: Seeded;
  readonly #groups: number[];
  /** Groups with a change on its way: one at a time. */
  readonly #changing = new Set<number>();
  readonly #beginning = new Set<number>();
  #refusals = 0;
  #serial: number;
  #nextGroup: number;

  constructor(folder: DataFolder, orders: Orders, load: LoadOrders, say: (said: Said) => void) {
    this.#folder = folder;
    this.#load = load;
    this.#say = say;
    this.#random = seeded(orders.seed, 32);
    this.#groups = [...folder.groups()];
    this.#serial = orders.firstSerial;
    this.#nextGroup = orders.firstGroup;
  }

  async run(): Promise<void> {
    const { groups, inFlight, changes } = this.#load;
    for (const group of this.#groups) {
      const log = this.#logOf(group);
      if (log) await this.#prepare(log);
    }
    await Promise.all(Array.from({ length: Math.max(groups - this.#groups.length, 0) }, () => this.#make()));
    await Promise.all([
      ...Array.from({ length: inFlight }, () => this.#appendOn()),
      ...changes.map((change) => this.#changeOn(change)),
    ]);
  }

  #logOf(group: number): GroupLog | undefined {
    return this.#folder.log(group);
  }

  /** As who leads a log does before it appends. */
  async #prepare(log: GroupLog): Promise<void> {
    await log.lastCheckpoint();
    this.#rollBy(log);
    // The other changes are made to what is committed, a cut to what is not.
    if (this.#load.changes.includes("cut")) return;
    if (log.durableEnd.index > 0) log.setCommit(log.durableEnd.index);
    log.onDurable(() => log.setCommit(log.durableEnd.index));
  }

  #rollBy(log: GroupLog): void {
    const state = new Uint8Array(30).fill(log.group);
    log.rollBy({ maxBytes: this.#load.segmentMaxBytes, maxAgeMicros: 7 * dayMicros }, () => state);
  }

  async #make(): Promise<void> {
    const group = this.#nextGroup++;
    this.#say(["making", group]);
    const { log, made } = this.#folder.create({
      ...{ group, checkpointState: new Uint8Array(30), startOffset: 0, appendTimeMicros: systemClock.nowMicros() },
      note: this.#random.bytes(8),
    });
    try {
      await made;
    } catch (error) {
      this.#say(["unchanged", group, this.#whyRefused(error)]);
      return;
    }
    this.#say(["made", group]);
    await this.#prepare(log);
    this.#groups.push(group);
  }

  async #appendOn(): Promise<never> {
    const { busyGroups, payloadBytes, largeOneIn } = this.#load;
    for (;;) {
      const among = this.#random.between(1, 8) === 1 ? this.#groups.length : Math.min(busyGroups, this.#groups.length);
      const log = this.#logOf(this.#groups[this.#random.between(0, among - 1)] ?? 0);
      if (!log) {
        await new Promise((resolve) => setImmediate(resolve));
        continue;
      }
      const isLarge = largeOneIn > 0 && this.#random.between(1, largeOneIn) === 1;
      const { from, to } = isLarge ? large : payloadBytes;
      const begins = this.#random.between(1, beginsOneIn) === 1 && !this.#beginning.has(log.group);
      const serial = this.#serial++;
      const append = begins ? this.#beginTerm(log, serial) : this.#append(log, serial, this.#random.between(from, to));
      await append.catch((error: unknown) => this.#refused(log.group, serial, error));
    }
  }

  /** Appends to a log that is being removed are refused; and all are while the disk is full. */
  async #refused(group: number, serial: number, error: unknown): Promise<void> {
    if (isRemoval(error)) return;
    this.#say(["refused", group, serial, this.#whyRefused(error)]);
    await this.#readLast(group).catch(unlessRemoved);
    await new Promise((resolve) => setTimeout(resolve, refusalPauseMs));
  }

  /** Reads go on, whatever is refused. */
  async #readLast(group: number): Promise<void> {
    const log = this.#logOf(group);
    if (!log || this.#changing.has(group) || log.durableEnd.index === 0) return;
    const belowIndex = log.durableEnd.index;
    const [last] = await log.read({ from: { index: belowIndex - 1 }, belowIndex, maxBytes: 1 });
    if (last?.index !== belowIndex - 1) throw new Error(`batch ${belowIndex - 1} of group ${group} can't be read`);
  }

  #whyRefused(error: unknown): string {
    if (!(error instanceof NoRoomError) || this.#load.changesAfterRefusals === undefined) throw error;
    this.#refusals += 1;
    return `${error.code}: ${error.message}`;
  }

  async #append(log: GroupLog, serial: number, bytes: number): Promise<void> {
    const payload = payloadOf(log.group, serial, bytes);
    const { index, digest } = await log.append({ kind: BatchKind.records, payload, recordCount: recordsOf(serial) });
    this.#say(["acked", log.group, index, serial, Buffer.from(digest).toString("hex", 0, hexDigits / 2)]);
  }

  /** As a leader that was just elected does. */
  async #beginTerm(log: GroupLog, serial: number): Promise<void> {
    this.#beginning.add(log.group);
    try {
      const term = Math.max(log.vote.term, log.durableEnd.term) + 1;
      const payload = payloadOf(log.group, serial, 12);
      const begins = { term, votedFor: { diskId: this.#folder.diskId, life: 0 } };
      const { index, digest } = await log.append({ kind: BatchKind.leaderChange, payload, recordCount: 0, begins });
      this.#say(["voted", log.group, term]);
      this.#say(["acked", log.group, index, serial, Buffer.from(digest).toString("hex", 0, hexDigits / 2)]);
    } finally {
      this.#beginning.delete(log.group);
    }
  }

  async #changeOn(change: Change): Promise<never> {
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, this.#random.between(0, 4)));
      const group = this.#groups[this.#random.between(0, this.#groups.length - 1)];
      const log = group === undefined ? undefined : this.#logOf(group);
      if (!log || this.#changing.has(log.group) || this.#refusals < (this.#load.changesAfterRefusals ?? 0)) continue;
      this.#changing.add(log.group);
      await this.#change(change, log).catch((error: unknown) => {
        this.#say(["unchanged", log.group, this.#whyRefused(error)]);
        // A log whose removal was refused goes on.
        if (!this.#groups.includes(log.group)) this.#groups.push(log.group);
      });
      this.#changing.delete(log.group);
    }
  }

  async #change(change: Change, log: GroupLog): Promise<void> {
    switch (change) {
      case "cut":
        return await this.#cut(log);
      case "remove":
        return await this.#remove(log);
      case "trim":
        return await this.#trim(log);
      case "install":
        return await this.#install(log);
    }
  }

  /** Near the end, within the tail most likely, or far below it. */
  async #cut(log: GroupLog): Promise<void> {
    const back = this.#random.between(0, 1) === 0 ? 4 : 400;
    const lowest = Math.max(log.base.index + 1, log.commit.index);
    const index = Math.max(log.durableEnd.index - this.#random.between(1, back), lowest);
    if (index >= log.durableEnd.index) return;
    this.#say(["cutting", log.group, index]);
    await log.cut(index);
    this.#say(["cut", log.group, index]);
  }

  async #remove(log: GroupLog): Promise<void> {
    // While the disk is full none can be made in place of those that go.
    if (this.#groups.length <= this.#load.groups / 2) {
      await this.#make();
      return;
    }
    this.#groups.splice(this.#groups.indexOf(log.group), 1);
    this.#say(["removing", log.group]);
    await this.#folder.remove(log.group);
    this.#say(["removed", log.group]);
    await this.#make();
  }

  async #trim(log: GroupLog): Promise<void> {
    const { offset } = log.durableEnd;
    const index = await log.segmentBelow(this.#random.between(log.base.offset, offset));
    if (index <= log.base.index || index >= log.commit.index) return;
    this.#say(["trimming", log.group, index]);
    await log.dropBefore(index);
    this.#say(["trimmed", log.group, index]);
  }

  async #install(log: GroupLog): Promise<void> {
    const { index, offset, term } = log.durableEnd;
    const at = { index: index + this.#random.between(0, 1000), baseOffset: offset + this.#random.between(0, 1000) };
    const checkpoint = this.#checkpoint(log.group, { ...at, term: term + 1 });
    // Who begins a term leads, and is sent no checkpoint: behind one of a later term that term would be over.
    if (this.#beginning.has(log.group)) return;
    this.#beginning.add(log.group);
    try {
      this.#say(["installing", log.group, at.index]);
      await log.install(checkpoint);
      this.#say(["installed", log.group, at.index]);
    } finally {
      this.#beginning.delete(log.group);
    }
  }

  /** A checkpoint of another replica's log, which went on without us. */
  #checkpoint(group: number, at: { index: number; baseOffset: number; term: number }): Uint8Array {
    const digestBefore = this.#random.bytes(32);
    const payload = checkpointPayload(at.term, digestBefore, new Uint8Array(100).fill(group));
    const batch = new Uint8Array(batchHeader.bytes + payload.length);
    batch.set(payload, batchHeader.bytes);
    const kind = BatchKind.checkpoint;
    const stamp = { kind, group, ...at, recordCount: 0, appendTimeMicros: systemClock.nowMicros() };
    stampHeader(batch.subarray(0, batchHeader.bytes), payload, stamp, digestBefore, systemHash, batch);
    return batch;
  }
}

/** The log was, or is being, removed. */
function isRemoval(error: unknown): boolean {
  return error instanceof TailraceError && error.reason === "stream_not_found";
}

function unlessRemoved(error: unknown): void {
  if (!isRemoval(error)) throw error;
}
