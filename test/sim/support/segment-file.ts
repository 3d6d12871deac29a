/**
 * Segments as they are on their way to the disk.
 * @module
 */
import assert from "node:assert/strict";
import { FileNode } from "../../../src/sim/file-node.ts";
import { type Life, type Machine, store } from "./machine.ts";
import { calls } from "./scripted-disk.ts";

/** Size of a file as processes see it. */
export function sizeOf(machine: Machine, path: string): number {
  const file = machine.disk.find(path);
  assert.ok(file instanceof FileNode, `${path} is not there`);
  return file.size;
}

/** Holds the syncs of the first store, and waits until one is called. */
export async function holdFlush(machine: Machine, { disk }: Life) {
  const hold = disk.hold(calls("sync", store()));
  await machine.until("a flush is written", () => hold.held.length > 0);
  return hold;
}
