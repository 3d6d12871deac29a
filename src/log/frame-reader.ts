/**
 * Reads a journal file: the whole frames from its start on, and whether anything whole stands beyond the first bad one.
 * @module
 */
import { getU64, roundUp, sameBytes, viewOf } from "../base/bytes.ts";
import type { DiskFile } from "../host/disk.ts";
import type { Hash } from "../host/hash.ts";
import { newerVersion } from "./batch-reader.ts";
import { FileWindow } from "./file-window.ts";
import { FrameKind, formatVersion, frameHeader, RecordKind, recordHeader } from "./format.ts";

/** A whole frame. `bytes` is a view that is good only until the next one is read. */
export interface Frame {
  readonly kind: FrameKind;
  readonly number: number;
  readonly incarnation: number;
  readonly freed: number;
  /** How many files the ring had. */
  readonly files: number;
  /** Position in its file, or in the ring. */
  readonly position: number;
  readonly bytes: Uint8Array;
}

/** One record of a frame. */
export interface FrameRecord {
  readonly kind: RecordKind;
  readonly flags: number;
  readonly logNumber: number;
  readonly group: number;
  /** The body, with its padding. */
  readonly body: Uint8Array;
  /** Position of the body where the frame has its own: in its file, or in the ring. */
  readonly position: number;
}

/** Whose frames count. */
export interface FrameOwner {
  readonly diskId: Uint8Array;
  readonly crcKey: number;
}

const kinds: readonly FrameKind[] = Object.values(FrameKind);
/** By number, from 1 on. */
const recordKinds: readonly (RecordKind | undefined)[] = [
  undefined,
  ...Object.values(RecordKind).sort((a, b) => a - b),
];

/** Reads one journal file through a window, so that memory stays bounded by the largest frame. */
export class FrameReader {
  readonly #file: DiskFile;
  readonly #owner: FrameOwner;
  readonly #hash: Hash;
  readonly #windowBytes: number;

  constructor(file: DiskFile, owner: FrameOwner, hash: Hash, windowBytes = 8 << 20) {
    this.#file = file;
    this.#owner = owner;
    this.#hash = hash;
    this.#windowBytes = windowBytes;
  }

  /** The whole frames that follow each other by number from the start of the file on. */
  async *frames(): AsyncGenerator<Frame> {
    const fileBytes = await this.#file.size();
    const window = new FileWindow(this.#file, fileBytes, this.#windowBytes);
    let position = 0;
    let next: number | undefined;
    for (;;) {
      const frame = await this.#frameAt(window, position);
      if (!frame || (next !== undefined && frame.number !== next)) return;
      yield frame;
      next = frame.number + 1;
      position += roundUp(viewOf(frame.bytes).getUint32(frameHeader.lengthAt, true), frameHeader.border);
    }
  }

  /** The first whole frame at or after `from` with a number above `number`: what a torn end can't have behind it. */
  async wholeFrameBeyond(from: number, number: number): Promise<Frame | undefined> {
    for await (const frame of this.framesBeyond(from)) if (frame.number > number) return frame;
    return undefined;
  }

  /** Whatever stands whole at any border from `from` on, in whatever order of numbers. */
  async *framesBeyond(from: number): AsyncGenerator<Frame> {
    const fileBytes = await this.#file.size();
    const window = new FileWindow(this.#file, fileBytes, this.#windowBytes);
    for (let position = from; position < fileBytes; position += frameHeader.border) {
      const frame = await this.#frameAt(window, position);
      if (frame) yield frame;
    }
  }

  async #frameAt(window: FileWindow, position: number): Promise<Frame | undefined> {
    const header = await window.bytesAt(position, frameHeader.bytes);
    if (!header) return undefined;
    const view = viewOf(header);
    if (view.getUint32(frameHeader.magicAt, true) !== frameHeader.magic) return undefined;
    if (!sameBytes(header.subarray(frameHeader.diskIdAt, frameHeader.diskIdAt + 16), this.#owner.diskId))
      return undefined;
    const length = view.getUint32(frameHeader.lengthAt, true);
    if (length < frameHeader.bytes) return undefined;
    const bytes = await window.bytesAt(position, length);
    if (!bytes) return undefined;
    const whole = viewOf(bytes);
    const crc = this.#hash.crc32(bytes.subarray(frameHeader.magicAt), this.#owner.crcKey);
    if (whole.getUint32(frameHeader.crcAt, true) !== crc) return undefined;
    const kind = kinds.find((known) => known === whole.getUint8(frameHeader.kindAt));
    if (whole.getUint8(frameHeader.versionAt) !== formatVersion || kind === undefined) {
      throw newerVersion(`The journal frame at ${position}`);
    }
    return {
      kind,
      number: getU64(whole, frameHeader.numberAt),
      incarnation: getU64(whole, frameHeader.incarnationAt),
      freed: getU64(whole, frameHeader.freedAt),
      files: whole.getUint16(frameHeader.filesAt, true),
      position,
      bytes,
    };
  }
}

/** The records of a whole frame, in order. @throws {DataFolderError} One is of a kind that only a newer tailrace knows. */
export function* recordsOf(frame: Frame): Generator<FrameRecord> {
  const { bytes } = frame;
  const view = viewOf(bytes);
  let at: number = frameHeader.bytes;
  while (at < bytes.length) {
    const kind = recordKinds[view.getUint8(at + recordHeader.kindAt)];
    if (kind === undefined)
      throw newerVersion(`A journal record of kind ${view.getUint8(at)} in frame ${frame.number}`);
    const end = at + view.getUint32(at + recordHeader.lengthAt, true);
    yield {
      kind,
      flags: view.getUint8(at + recordHeader.flagsAt),
      logNumber: view.getUint16(at + recordHeader.logNumberAt, true),
      group: getU64(view, at + recordHeader.groupAt),
      body: bytes.subarray(at + recordHeader.bytes, end),
      position: frame.position + at + recordHeader.bytes,
    };
    at = end;
  }
}
