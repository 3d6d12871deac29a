/**
 * What a node promised about clusters that may come to be, in a file of its own: `bootstrap` in the data folder. One line says
 * what it is, its version and the CRC-32 of the rest, hexadecimal; the rest is JSON.
 * - The file is replaced as a whole: written beside, synced, and renamed. So a kill leaves the old one or the new one.
 * - What is saved last is what stands: saves are done one after the other.
 * @module
 */
import { present } from "../base/assert.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { Disk } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import type { BootstrapPromises, Proposal } from "../raft/bootstrap.ts";

const nothing: BootstrapPromises = { accepted: undefined, refused: [] };
const magic = "tailrace-bootstrap 1";

/** The file of one node. */
export class PromiseFile {
  /** What it said when it was opened. */
  readonly found: BootstrapPromises;
  readonly #folder: string;
  readonly #disk: Disk;
  readonly #hash: Hash;
  #saved: Promise<void> = Promise.resolve();

  private constructor(folder: string, disk: Disk, hash: Hash, found: BootstrapPromises) {
    this.#folder = folder;
    this.#disk = disk;
    this.#hash = hash;
    this.found = found;
  }

  /** Reads it; a folder without one has promised nothing. @throws {DataFolderError} It is damaged. */
  static async open(folder: string, disk: Disk, hash: Hash): Promise<PromiseFile> {
    const file = await disk.open(`${folder}/bootstrap`, { create: false });
    if (!file) return new PromiseFile(folder, disk, hash, nothing);
    try {
      const bytes = new Uint8Array(await file.size());
      await file.read(bytes, 0);
      // Its bytes were synced before it got its name; the name may not be on the disk yet, and something will be said by it.
      await disk.syncFolder(folder);
      return new PromiseFile(folder, disk, hash, read(bytes, `${folder}/bootstrap`, hash));
    } finally {
      await file.close();
    }
  }

  /** Resolves when they are durable. @throws {NoRoomError | DiskError} They may not be. */
  save(promises: BootstrapPromises): Promise<void> {
    this.#saved = this.#saved.then(() => this.#replace(promises));
    return this.#saved;
  }

  async #replace(promises: BootstrapPromises): Promise<void> {
    const [disk, path] = [this.#disk, `${this.#folder}/bootstrap`];
    const bytes = write(promises, this.#hash);
    const draft = present(await disk.open(`${path}.new`, { create: true }), "the bootstrap file could not be made");
    try {
      await draft.write([bytes], 0);
      // An older draft that a kill left may be longer.
      await draft.truncate(bytes.length);
      await draft.sync();
    } finally {
      await draft.close();
    }
    await disk.rename(`${path}.new`, path);
    await disk.syncFolder(this.#folder);
  }
}

function write({ accepted, refused }: BootstrapPromises, hash: Hash): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify({ accepted: accepted ?? null, refused }));
  const line = new TextEncoder().encode(`${magic} ${crcOf(text, hash)}\n`);
  const bytes = new Uint8Array(line.length + text.length);
  bytes.set(line);
  bytes.set(text, line.length);
  return bytes;
}

function read(bytes: Uint8Array, path: string, hash: Hash): BootstrapPromises {
  const lineEnd = bytes.indexOf(0x0a);
  const line = new TextDecoder().decode(bytes.subarray(0, Math.max(lineEnd, 0)));
  const rest = bytes.subarray(lineEnd + 1);
  const promises = line === `${magic} ${crcOf(rest, hash)}` ? parse(new TextDecoder().decode(rest)) : undefined;
  if (promises) return promises;
  if (/^tailrace-bootstrap (?!1 )\d+ /.test(line)) {
    throw new DataFolderError(`${path} was written by a newer version of tailrace`, "Start the node with that version");
  }
  throw new DataFolderError(
    `${path} is damaged: it says which cluster this node agreed to begin`,
    "If a cluster was begun without this node, remove the data folder and let the node join; else restore the file",
  );
}

function parse(text: string): BootstrapPromises | undefined {
  const { accepted, refused }: { accepted?: unknown; refused?: unknown } = JSON.parse(text);
  if (!isStrings(refused) || (accepted !== null && !isProposal(accepted))) return undefined;
  return { accepted: accepted ?? undefined, refused };
}

function isProposal(value: unknown): value is Proposal {
  if (typeof value !== "object" || value === null) return false;
  const { clusterId, replicas }: { clusterId?: unknown; replicas?: unknown } = value;
  return typeof clusterId === "string" && isStrings(replicas);
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}

function crcOf(bytes: Uint8Array, hash: Hash): string {
  return hash.crc32(bytes).toString(16).padStart(8, "0");
}
