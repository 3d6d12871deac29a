/**
 * What fills the ring of a journal, and what is looked for in its files.
 * @module
 */
import assert from "node:assert/strict";
import { frameHeader } from "../../../src/log/format.ts";
import type { DataFolder, GroupLog } from "../../../src/log/types.ts";
import { FileNode } from "../../../src/sim/file-node.ts";
import { append, dataFolder, type Machine } from "./machine.ts";
import type { DiskCall, ScriptedDisk } from "./scripted-disk.ts";

/** Bytes of an append whose frame takes 4 KiB and no more. */
export const oneBorder = 3000;

/** Appends to a group until so many frames were written; gives the labels, as far as they are acknowledged yet. */
export function busy(log: GroupLog, frames: number): { acknowledged: string[]; done: Promise<void> } {
  const acknowledged: string[] = [];
  const appendOn = async () => {
    for (let i = 0; i < frames; i++) {
      await append(log, `busy ${log.group} ${i}`, oneBorder);
      acknowledged.push(`busy ${log.group} ${i}`);
    }
  };
  return { acknowledged, done: appendOn() };
}

/** Writes so many frames that belong to no tail. */
export async function fill(log: GroupLog, frames: number): Promise<void> {
  const { term } = log.vote;
  for (let i = 1; i <= frames; i++) await log.save({ vote: { term: term + i } });
}

/** The log of a group that must be there. */
export function groupLog(folder: DataFolder, group: number): GroupLog {
  const log = folder.log(group);
  assert.ok(log, `group ${group} is gone`);
  return log;
}

/** Bytes of a file as processes see them. */
export function bytesOf(machine: Machine, path: string, at: number, length: number): Uint8Array {
  const file = machine.disk.find(path);
  assert.ok(file instanceof FileNode);
  const bytes = new Uint8Array(length);
  file.read(bytes, at);
  return bytes;
}

/** Fails when the journal is written while a write or sync of it is on its way, or over what is acknowledged. */
export function watchJournal(disk: ScriptedDisk, fileBytes: number): void {
  const ends = new Map<string, number>();
  const isJournal = ({ path }: DiskCall) => path.startsWith(`${dataFolder}/journal/`);
  disk.hold((call) => {
    if (!isJournal(call) || call.name !== "write" || call.bytes === fileBytes) return false;
    const others = disk.underWay.filter((other) => other !== call && isJournal(other) && other.name !== "read");
    assert.deepEqual(others, [], `a frame is written to ${call.path} before the one before it is synced`);
    assert.equal(call.at % frameHeader.border, 0);
    assert.ok(call.at + call.bytes <= fileBytes, "a frame spans files");
    assert.ok(call.at === 0 || call.at >= (ends.get(call.path) ?? 0), "a frame is written over another");
    ends.set(call.path, call.at + call.bytes);
    return false;
  });
}
