/**
 * What only a broken disk, another replica or a developer's mistake leaves in a data folder.
 * @module
 */
import assert from "node:assert/strict";
import type { StoredBatch } from "../../../src/base/batch.ts";
import { systemHash } from "../../../src/host/hash.ts";
import { readId } from "../../../src/log/folder-id.ts";
import { FrameKind, frameHeader, RecordKind } from "../../../src/log/format.ts";
import { FrameReader } from "../../../src/log/frame-reader.ts";
import { FrameBuilder } from "../../../src/log/frame-writer.ts";
import { dataFolder, journal, type Life, type Machine, store } from "./machine.ts";

/** Spoils a bit of a file, on the disk. A second time mends it. */
export async function flip(machine: Machine, path: string, at: number): Promise<void> {
  const process = machine.disk.attach();
  const file = await process.open(path, { create: false });
  assert.ok(file, `${path} is not there`);
  const byte = new Uint8Array(1);
  await file.read(byte, at);
  await file.write([byte.map((value) => value ^ 1)], at);
  await file.sync();
  process.kill();
}

/** A frame behind the newest one, with a batch that somebody journaled. */
export async function plantBatch(machine: Machine, group: number, batch: StoredBatch): Promise<void> {
  const process = machine.disk.attach();
  const idFile = await process.open(`${dataFolder}/id`, { create: false });
  const file = await process.open(journal(0), { create: false });
  assert.ok(idFile && file);
  const idBytes = new Uint8Array(128);
  await idFile.read(idBytes, 0);
  const id = readId(idBytes, "id", systemHash);
  let newest: { number: number; incarnation: number; freed: number; files: number; end: number } | undefined;
  for await (const frame of new FrameReader(file, id, systemHash).frames()) {
    const end = frame.position + Math.ceil(frame.bytes.length / frameHeader.border) * frameHeader.border;
    newest = { ...frame, end };
  }
  assert.ok(newest, "the journal has no frame");
  const { number, incarnation, freed, files, end } = newest;
  const frame = new FrameBuilder(new Uint8Array(4 * frameHeader.border));
  const bytes = storedBytes(batch);
  frame.bytes.set(bytes, frame.add(RecordKind.batch, group, 1, bytes.length));
  const stamp = { kind: FrameKind.frame, files, number: number + 1, incarnation, freed };
  await file.write([frame.finish({ ...stamp, ...id }, systemHash)], end);
  await file.sync();
  process.kill();
}

/** A whole batch behind what the first segment of group 1 has. */
export async function plantInSegment(machine: Machine, batch: StoredBatch | undefined): Promise<void> {
  const process = machine.disk.attach();
  const file = await process.open(store(), { create: false });
  assert.ok(file && batch);
  await file.write([storedBytes(batch)], await file.size());
  await file.sync();
  process.kill();
}

/** A batch as it is stored. */
export function storedBytes({ header, payload }: StoredBatch): Uint8Array {
  const bytes = new Uint8Array(header.length + payload.length);
  bytes.set(header);
  bytes.set(payload, header.length);
  return bytes;
}

/** From now on all batches have the time of the one before: so the same appends make the same bytes. */
export function stillClock({ clock }: Life): void {
  clock.wallOffsetMicros = -1e15;
}
