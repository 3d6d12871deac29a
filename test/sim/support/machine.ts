/**
 * A machine with one data folder on a simulated disk: processes that have it open one after the other, kills and power
 * cuts between them.
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BatchKind, type StoredBatch } from "../../../src/base/batch.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { openDataFolder } from "../../../src/log/data-folder.ts";
import { segmentName } from "../../../src/log/format.ts";
import type { LogOptions } from "../../../src/log/settings.ts";
import type { AppendedBatch, DataFolder, GroupLog } from "../../../src/log/types.ts";
import { type DiskScript, SimDisk } from "../../../src/sim/disk.ts";
import { SimRandom } from "../../../src/sim/random.ts";
import { passTime, SimClock, Timeline } from "../../../src/sim/timeline.ts";
import { ScriptedDisk } from "./scripted-disk.ts";

export const kibibyte = 1 << 10;
export const mebibyte = 1 << 20;
/** Room of a volume that never fills up. */
export const roomy = 1 << 30;
/** Where the data folder is. */
export const dataFolder = "/where/data";
/** An append of so many bytes goes to its segment at once, with the settings below. */
export const large = 5000;

/** Three journal files, tails that stay in them, and marks that wait for ever. */
const ringSettings: LogOptions = {
  journalUnitBytes: 64 * kibibyte,
  journalFileBytes: 64 * kibibyte,
  journalFiles: 3,
  freeSpaceReserve: 0,
  markDelayMs: 1e9,
};

/** What of all that was not synced is on the disk. */
export type Survival = NonNullable<DiskScript["survives"]>;
/** Nothing that was not synced is on the disk. */
export const nothingSurvives: Survival = { sector: () => false, size: () => false, name: () => false };
/** All that was written is on the disk, synced or not. */
export const allSurvives: Survival = { sector: () => true, size: () => true, name: () => true };

/** One process that has the folder open. */
export interface Life {
  readonly folder: DataFolder;
  readonly disk: ScriptedDisk;
  readonly clock: SimClock;
  /** The log of group 1. */
  readonly log: GroupLog;
}

/** The machine. */
export class Machine {
  readonly timeline = new Timeline();
  readonly disk: SimDisk;
  settings: LogOptions;
  segmentMaxBytes = 1 << 30;
  #process: ReturnType<SimDisk["attach"]>;

  constructor(seed = 1, settings: LogOptions = {}) {
    const random = new SimRandom(seed);
    this.settings = { ...ringSettings, ...settings };
    this.disk = new SimDisk({ timeline: this.timeline, random, totalBytes: roomy, tally: new Map() });
    this.#process = this.disk.attach();
  }

  /** A process starts. Its folder gets group 1 if it has it not. */
  async open(): Promise<Life> {
    return await this.begin().life;
  }

  /** The same, for a test that looks at the start's calls. */
  begin(): { disk: ScriptedDisk; life: Promise<Life> } {
    const process = this.disk.attach();
    this.#process = process;
    const clock = new SimClock(this.timeline, () => process.isAlive);
    const disk = new ScriptedDisk(process);
    return { disk, life: this.#open(disk, clock) };
  }

  async #open(disk: ScriptedDisk, clock: SimClock): Promise<Life> {
    const { settings } = this;
    const folder = await openDataFolder({
      ...{ path: dataFolder, disk, clock, hash: systemHash, random: new SimRandom(1), settings },
    });
    return { folder, disk, clock, log: this.logOf(folder, 1) };
  }

  /** The log of a group, which is made if it is not there. */
  logOf(folder: DataFolder, group: number): GroupLog {
    const batch0 = { checkpointState: new Uint8Array(9), startOffset: 0, appendTimeMicros: 1, note: new Uint8Array(0) };
    const log = folder.log(group) ?? folder.create({ group, ...batch0 }).log;
    log.rollBy({ maxBytes: this.segmentMaxBytes, maxAgeMicros: 1e18 }, () => new Uint8Array(100));
    return log;
  }

  kill(): void {
    this.#process.kill();
  }

  /** Paths of the files that the process has open. */
  get openFiles(): string[] {
    return this.#process.openFiles;
  }

  /** The power goes. `survives`: what of all that was not synced is on the disk; otherwise that is drawn. */
  powerCut(survives?: Survival): void {
    const { script } = this.disk;
    this.disk.script = survives ? { survives } : {};
    this.disk.powerCut();
    this.disk.script = script;
  }

  pass(ms: number): Promise<void> {
    return new Promise((resolve) => this.timeline.after(ms, resolve));
  }

  /** Lets time pass until something holds; at most a second of it. */
  async until(what: string, holds: () => boolean): Promise<void> {
    for (const endMs = this.timeline.nowMs + 1000; !holds(); await this.pass(0.02)) {
      assert.ok(this.timeline.nowMs < endMs, `it never came to this: ${what}`);
    }
  }

  /** Writes that make files longer find so much room, all together. */
  fill(leaveBytes = 0): void {
    const { totalBytes, freeBytes } = this.disk.space;
    this.disk.totalBytes = totalBytes - freeBytes + leaveBytes;
  }

  /** Names of the stores of group 1. */
  async stores(): Promise<string[]> {
    const names = (await this.#process.list(`${dataFolder}/groups/1/1`)) ?? [];
    return names.filter((name) => name.endsWith(".log")).sort();
  }
}

/** What an append is, as tests write it. */
function batchOf(label: string, bytes: number) {
  const payload = new Uint8Array(bytes).fill(label.charCodeAt(0));
  payload.set(new TextEncoder().encode(`${label}.`));
  return { kind: BatchKind.records, payload, recordCount: 1 };
}

/** Appends a batch that is told by its label. */
export function append(log: GroupLog, label: string, bytes = 200): Promise<AppendedBatch> {
  return log.append(batchOf(label, bytes));
}

/** Appends some, one after the other. */
export async function appendAll(log: GroupLog, labels: readonly string[], bytes = 200): Promise<void> {
  for (const label of labels) await append(log, label, bytes);
}

/** Labels of all batches of a log that were appended, read from its base to its end with every check. */
export async function labels(log: GroupLog): Promise<string[]> {
  const batches = await readAll(log);
  return batches.filter(({ kind }) => kind === BatchKind.records).map(labelOf);
}

/** All batches of a log; none is missing. */
export async function readAll(log: GroupLog): Promise<StoredBatch[]> {
  const { index } = log.durableEnd;
  const batches = await log.read({ from: { index: log.base.index }, belowIndex: index, maxBytes: 1 << 30 });
  assert.equal(batches.length, index - log.base.index, "batches are missing");
  return batches;
}

function labelOf({ payload }: StoredBatch): string {
  const text = new TextDecoder().decode(payload.subarray(0, 64));
  return text.slice(0, text.indexOf("."));
}

/** What became of a promise; nobody else need look at it. */
export function watch(promise: Promise<unknown>): { readonly outcome: "waits" | "done" | Error } {
  const watched: { outcome: "waits" | "done" | Error } = { outcome: "waits" };
  promise.then(
    () => {
      watched.outcome = "done";
    },
    (error: Error) => {
      watched.outcome = error;
    },
  );
  return watched;
}

/** One execution: its steps on a machine of its own, for each of `variants` another. */
export function execution<V = undefined>(
  name: string,
  steps: (machine: Machine, variant: V) => Promise<void>,
  { settings = {}, variants }: { settings?: LogOptions; variants?: readonly V[] } = {},
): void {
  test(name, { timeout: 60_000 }, async () => {
    for (const variant of variants ?? [undefined as V]) {
      const machine = new Machine(1, settings);
      await passTime(machine.timeline, steps(machine, variant)).catch((error: Error) => {
        throw variants ? new Error(`with ${variant}: ${error.message}`, { cause: error }) : error;
      });
    }
  });
}

/** Path of a segment of a group. */
export function store(firstIndex = 0, { group = 1, logNumber = 1 } = {}): string {
  return `${dataFolder}/groups/${group}/${logNumber}/${segmentName(firstIndex)}`;
}

/** Path of a journal file. */
export function journal(slot: number): string {
  return `${dataFolder}/journal/${slot}`;
}
