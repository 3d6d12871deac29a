/**
 * A journal that says nothing but where the logs of a folder stand now, for a folder that becomes another disk.
 * @module
 */
import { present } from "../../base/assert.ts";
import { roundUp } from "../../base/bytes.ts";
import type { Disk } from "../../host/disk.ts";
import type { Hash } from "../../host/hash.ts";
import { type FolderId, writeId } from "../../log/folder-id.ts";
import { FrameKind, frameHeader, RecordKind } from "../../log/format.ts";
import { FrameBuilder, recordBytes } from "../../log/frame-writer.ts";
import { type GroupState, stateBytes, writeState } from "../../log/group-state.ts";

/** A log as the journal is to tell of it: all of it is in segments. */
export interface PlacedLog {
  readonly group: number;
  readonly logNumber: number;
  readonly state: GroupState;
}

const mebibyte = 1 << 20;
/** Zeros are laid ahead of the first frames, as a start does it. */
const filledBytes = 4 * mebibyte;

/** Where the new id and journal are, until they take the place of the old. */
export const draftName = "repair.new";
const readyName = `${draftName}/ready`;

/** Writes a new id and journal beside the old ones, all of it durable; until `exchange` nothing of it counts. */
export async function writeDraft(
  disk: Disk,
  path: string,
  hash: Hash,
  { id, logs }: { id: FolderId; logs: readonly PlacedLog[] },
): Promise<void> {
  const draft = `${path}/${draftName}`;
  await disk.remove(draft);
  await disk.makeFolder(`${draft}/journal`);
  await writeWhole(disk, `${draft}/journal/0`, snapshotFile(id, logs, hash));
  await writeWhole(disk, `${draft}/id`, writeId(id, hash));
  for (const folder of [`${draft}/journal`, draft]) await disk.syncFolder(folder);
  await writeWhole(disk, `${path}/${readyName}`, new Uint8Array(0));
  for (const folder of [draft, path]) await disk.syncFolder(folder);
}

/** Whether an exchange was cut short: the old journal is gone, and the new one or the new id is not in its place. */
export async function isExchangeOpen(disk: Disk, path: string): Promise<boolean> {
  const draft = (await disk.list(`${path}/${draftName}`)) ?? [];
  if (!draft.includes("ready")) return false;
  const hasJournal = (await disk.list(`${path}/journal`)) !== undefined;
  return !hasJournal || !draft.includes("journal");
}

/**
 * Puts what `writeDraft` made in place of what is there. Each step is durable before the next, and the whole can be done
 * again after any of them.
 * @param removeOld Moves the old journal away.
 */
export async function exchange(disk: Disk, path: string, removeOld: () => Promise<void>): Promise<void> {
  const draft = `${path}/${draftName}`;
  const has = async (name: string) => (await disk.list(draft))?.includes(name) === true;
  if (await has("journal")) {
    if ((await disk.list(`${path}/journal`)) !== undefined) await removeOld();
    await disk.rename(`${draft}/journal`, `${path}/journal`);
    for (const folder of [path, draft]) await disk.syncFolder(folder);
  }
  if (await has("id")) {
    await disk.rename(`${draft}/id`, `${path}/id`);
    for (const folder of [path, draft]) await disk.syncFolder(folder);
  }
  await disk.remove(draft);
  await disk.syncFolder(path);
}

/** The first file of a journal: one snapshot, and zeros behind it. */
function snapshotFile(id: FolderId, logs: readonly PlacedLog[], hash: Hash): Uint8Array {
  let bytes: number = frameHeader.bytes;
  for (const { state } of logs) bytes += recordBytes(stateBytes(state));
  const frame = new FrameBuilder(new Uint8Array(roundUp(bytes, frameHeader.border)));
  for (const { group, logNumber, state } of logs) {
    const at = frame.add(RecordKind.state, group, logNumber, stateBytes(state));
    writeState(frame.bytes, at, state);
  }
  const owner = { diskId: id.diskId, crcKey: id.crcKey };
  const stamp = { kind: FrameKind.snapshot, files: 1, number: 1, incarnation: 1, freed: 0, ...owner };
  const written = frame.finish(stamp, hash);
  const file = new Uint8Array(Math.max(filledBytes, roundUp(written.length * 4, mebibyte)));
  file.set(written);
  return file;
}

async function writeWhole(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = present(await disk.open(path, { create: true }), `${path} could not be made`);
  await file.write([bytes], 0);
  await file.sync();
  await file.close();
}
