/**
 * Moves what a repair does not keep out of the way: nothing is deleted. All of it goes to a folder of its own below
 * `aside/`, at the same paths as before.
 * @module
 */
import { present } from "../../base/assert.ts";
import type { Disk, DiskFile } from "../../host/disk.ts";
import { isSegmentFile, parseSegmentName, segmentName } from "../../log/format.ts";
import type { JournaledBatches } from "./known-log.ts";
import type { CheckedLog } from "./log-check.ts";
import type { LogPlan } from "./repair-plan.ts";

/** Files are copied in pieces of this. */
const pieceBytes = 1 << 20;

/** The folder of one repair below `aside/`. */
export class Aside {
  readonly #disk: Disk;
  readonly #path: string;
  /** Path within the data folder, such as `aside/1`. */
  readonly name: string;

  private constructor(disk: Disk, path: string, name: string) {
    this.#disk = disk;
    this.#path = path;
    this.name = name;
  }

  /** Makes the next one. @param path The data folder. */
  static async make(disk: Disk, path: string): Promise<Aside> {
    const there = ((await disk.list(`${path}/aside`)) ?? []).map(Number).filter(Number.isInteger);
    const name = `aside/${Math.max(0, ...there) + 1}`;
    await disk.makeFolder(`${path}/${name}`);
    await disk.syncFolder(`${path}/aside`);
    await disk.syncFolder(path);
    return new Aside(disk, path, name);
  }

  /** Writes a file of its own. */
  async write(name: string, parts: readonly Uint8Array[]): Promise<void> {
    const file = await this.#create(name);
    await file.write(parts, 0);
    await file.sync();
    await file.close();
    await this.#syncFolderOf(name);
  }

  /** Moves a file or folder, if it is there. @param name Path within the data folder. */
  async move(name: string): Promise<void> {
    const [from, to] = [`${this.#path}/${name}`, `${this.#path}/${this.name}/${name}`];
    const folder = parentOf(from);
    if (!(await this.#disk.list(folder))?.includes(from.slice(folder.length + 1))) return;
    await this.#disk.makeFolder(parentOf(to));
    await this.#disk.rename(from, to);
    await this.#syncFolderOf(name);
    await this.#disk.syncFolder(folder);
  }

  /** Copies what stands in a file from a position on, to a name that says so, if anything does. */
  async copyFrom(name: string, position: number): Promise<void> {
    const file = await this.#disk.open(`${this.#path}/${name}`, { create: false });
    if (!file) return;
    const sizeBytes = await file.size();
    if (sizeBytes > position) {
      const copyName = position === 0 ? name : `${name}.from-${position}`;
      const copy = await this.#create(copyName);
      for (let at = position; at < sizeBytes; at += pieceBytes) {
        const piece = new Uint8Array(Math.min(pieceBytes, sizeBytes - at));
        await file.read(piece, at);
        await copy.write([piece], at - position);
      }
      await copy.sync();
      await copy.close();
      await this.#syncFolderOf(copyName);
    }
    await file.close();
  }

  /** Puts aside all of a log that its plan does not keep. Its last segment is copied from there on, and not yet cut. */
  async takeRest({ log, end, inSegments }: LogPlan): Promise<void> {
    const { group, logNumber, base, journaled } = log.known;
    const folder = `groups/${group}/${logNumber}`;
    for (const { file, position } of log.excess) await this.copyFrom(file, position);
    await this.#writeJournaled(folder, journaled, end?.index ?? base.index);
    if (inSegments) await this.copyFrom(`${folder}/${segmentName(inSegments.segment)}`, inSegments.position);
    for (const name of (await this.#disk.list(`${this.#path}/${folder}`)) ?? []) {
      if (!isSegmentFile(name)) continue;
      const first = present(parseSegmentName(name.replace(/index$/, "log")), "a segment's file is named by an index");
      if (inSegments === undefined || first > inSegments.segment) await this.move(`${folder}/${name}`);
    }
  }

  /** Copies all of a log, and leaves it where it is. */
  async copyLog({ known: { group, logNumber, base, journaled } }: CheckedLog): Promise<void> {
    const folder = `groups/${group}/${logNumber}`;
    for (const name of (await this.#disk.list(`${this.#path}/${folder}`)) ?? []) {
      if (isSegmentFile(name)) await this.copyFrom(`${folder}/${name}`, 0);
    }
    await this.#writeJournaled(folder, journaled, base.index);
  }

  async #writeJournaled(folder: string, journaled: JournaledBatches, firstIndex: number): Promise<void> {
    const parts: Uint8Array[] = [];
    for (let index = firstIndex; index < journaled.endIndex; index++) {
      for (const { batch } of await journaled.at(index)) parts.push(batch.header, batch.payload);
    }
    if (parts.length > 0) await this.write(`${folder}/from-journal`, parts);
  }

  async #create(name: string): Promise<DiskFile> {
    const path = `${this.#path}/${this.name}/${name}`;
    await this.#disk.makeFolder(parentOf(path));
    return present(await this.#disk.open(path, { create: true }), `${path} could not be made`);
  }

  /** Makes the names above a file of it durable. */
  async #syncFolderOf(name: string): Promise<void> {
    let folder = parentOf(`${this.#path}/${this.name}/${name}`);
    for (; folder.length > this.#path.length; folder = parentOf(folder)) await this.#disk.syncFolder(folder);
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}
