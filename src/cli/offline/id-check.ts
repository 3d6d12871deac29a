import { DataFolderError } from "../../base/disk-errors.ts";
import type { DiskReads } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { type FolderId, readId } from "../../log/folder-id.ts";
import { idFile } from "../../log/format.ts";
import type { Finding } from "./finding.ts";

/** What the `id` file says. */
export interface CheckedId {
  /** `undefined`: it is damaged beyond one byte, and nothing in the folder can be trusted without it. */
  readonly id: FolderId | undefined;
  readonly finding: Finding | undefined;
  /** Its bytes as they were written. */
  readonly bytes: Uint8Array;
}

/**
 * Reads a folder's `id`. Where one byte is not what it was, the checksum says which: no other change of one byte fits it.
 * @throws {DataFolderError} The folder is no data folder, or of a newer version.
 */
export async function checkId(disk: DiskReads, path: string, hash: Hash): Promise<CheckedId> {
  const file = await disk.open(`${path}/id`, { create: false });
  if (!file) {
    throw new DataFolderError(
      `${path} is no data folder of tailrace: it has no id file`,
      "Name the folder that a node was started on with --data, or restore its id file from a copy",
    );
  }
  const bytes = new Uint8Array(idFile.bytes + 1);
  const read = await file.read(bytes, 0);
  await file.close();
  const found = bytes.subarray(0, read);
  if (isWhole(found, hash)) return { id: readId(found, `${path}/id`, hash), finding: undefined, bytes: found };
  const position = found.length === idFile.bytes ? wrongByte(found, hash) : undefined;
  const damage = (at: number, what: string): Finding => ({ kind: "damage", file: "id", position: at, what });
  if (position === undefined) {
    return {
      id: undefined,
      finding: damage(0, "it says who this folder is: without it the rest can't be read"),
      bytes,
    };
  }
  const mended = mend(found, position, hash);
  const finding = damage(position, "a byte is not what it was; the checksum tells what");
  return { id: readId(mended, `${path}/id`, hash), finding, bytes: mended };
}

/** Whether an id file is what was written; readId says the same with an error. */
function isWhole(file: Uint8Array, hash: Hash): boolean {
  if (file.length !== idFile.bytes) return false;
  const stored = new DataView(file.buffer, file.byteOffset).getUint32(idFile.crcAt, true);
  return stored === hash.crc32(file.subarray(idFile.magicAt));
}

/** Where the one byte stands that is wrong; `undefined`: more are. */
function wrongByte(file: Uint8Array, hash: Hash): number | undefined {
  for (let at = 0; at < file.length; at++) if (isWhole(mend(file, at, hash), hash)) return at;
  return undefined;
}

/** The file with the byte at `at` changed so that the checksum fits, or as it is if no value does. */
function mend(file: Uint8Array, at: number, hash: Hash): Uint8Array {
  const changed = file.slice();
  for (let value = 0; value < 256; value++) {
    changed[at] = value;
    if (isWhole(changed, hash)) return changed;
  }
  return file.slice();
}
