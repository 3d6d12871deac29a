/**
 * Builds frames, one at a time, in the memory that is the newest part of every tail at once.
 * @module
 */
import { putU16, putU32, putU64, roundUp } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { type FrameKind, formatVersion, frameHeader, type RecordKind, recordHeader } from "./format.ts";

/** What a frame's header says beside its length. */
export interface FrameStamp {
  readonly kind: FrameKind;
  /** How many files the ring has. */
  readonly files: number;
  readonly number: number;
  readonly incarnation: number;
  readonly freed: number;
  readonly diskId: Uint8Array;
  readonly crcKey: number;
}

/** One frame under construction, in `bytes`; it never grows beyond them. */
export class FrameBuilder {
  readonly bytes: Uint8Array;
  #length: number = frameHeader.bytes;
  #records = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get records(): number {
    return this.#records;
  }

  /** Room for record bodies, if they came as one. */
  get roomBytes(): number {
    return this.bytes.length - this.#length - recordHeader.bytes;
  }

  /** Whether records with these bodies have room, together. */
  fits(...bodies: readonly number[]): boolean {
    let needed = 0;
    for (const bodyBytes of bodies) needed += recordBytes(bodyBytes);
    return this.#length + needed <= this.bytes.length;
  }

  /** Adds a record and gives where in `bytes` its body goes; the caller fills all `bodyBytes` of it. */
  add(kind: RecordKind, group: number, logNumber: number, bodyBytes: number, flags = 0): number {
    const start = this.#length;
    const length = recordBytes(bodyBytes);
    this.bytes[start + recordHeader.kindAt] = kind;
    this.bytes[start + recordHeader.flagsAt] = flags;
    putU16(this.bytes, start + recordHeader.logNumberAt, logNumber);
    putU32(this.bytes, start + recordHeader.lengthAt, length);
    putU64(this.bytes, start + recordHeader.groupAt, group);
    const body = start + recordHeader.bytes;
    this.bytes.fill(0, body + bodyBytes, start + length);
    this.#length = start + length;
    this.#records += 1;
    return body;
  }

  /** Ends the frame: what to write, a multiple of 4 KiB long. */
  finish(stamp: FrameStamp, hash: Hash): Uint8Array {
    const { bytes } = this;
    bytes.fill(0, 0, frameHeader.bytes);
    putU32(bytes, frameHeader.magicAt, frameHeader.magic);
    putU32(bytes, frameHeader.lengthAt, this.#length);
    bytes[frameHeader.versionAt] = formatVersion;
    bytes[frameHeader.kindAt] = stamp.kind;
    putU16(bytes, frameHeader.filesAt, stamp.files);
    putU64(bytes, frameHeader.numberAt, stamp.number);
    putU64(bytes, frameHeader.incarnationAt, stamp.incarnation);
    putU64(bytes, frameHeader.freedAt, stamp.freed);
    bytes.set(stamp.diskId, frameHeader.diskIdAt);
    putU32(bytes, frameHeader.recordsAt, this.#records);
    putU32(bytes, frameHeader.crcAt, hash.crc32(bytes.subarray(frameHeader.magicAt, this.#length), stamp.crcKey));
    const padded = roundUp(this.#length, frameHeader.border);
    bytes.fill(0, this.#length, padded);
    return bytes.subarray(0, padded);
  }
}

/** Length of a record with such a body. */
export function recordBytes(bodyBytes: number): number {
  return recordHeader.bytes + roundUp(bodyBytes, 8);
}

/**
 * Circular memory for frames. A frame that begins at position p of the ring's life (bytes since the folder was made)
 * stands at p modulo the capacity, in one piece: the slack behind the capacity takes what reaches beyond it.
 */
export class FrameArena {
  readonly #memory: Uint8Array;
  readonly #capacity: number;
  readonly #frameMaxBytes: number;
  /** The part of the newest frame that stands in the slack: positions from a multiple of the capacity on. */
  #slackStart = -1;
  #slackEnd = -1;
  /** Where the frame under construction begins. */
  #head = 0;
  /** Positions below this were never written in this life. */
  readonly #first: number;

  /** `capacity` and `frameMaxBytes` are multiples of 4 KiB; nothing before `first` is here. */
  constructor(options: { capacity: number; frameMaxBytes: number; first: number }) {
    this.#capacity = options.capacity;
    this.#frameMaxBytes = options.frameMaxBytes;
    this.#memory = new Uint8Array(options.capacity + options.frameMaxBytes);
    this.#first = options.first;
    this.#head = options.first;
  }

  /** Begins the frame at `position`, at most `maxBytes` long. */
  begin(position: number, maxBytes: number): FrameBuilder {
    this.#head = position;
    const start = position % this.#capacity;
    return new FrameBuilder(this.#memory.subarray(start, start + Math.min(maxBytes, this.#frameMaxBytes)));
  }

  /** Notes how long the frame begun last became, once it is written. */
  end(bytes: number): void {
    const border = (Math.floor(this.#head / this.#capacity) + 1) * this.#capacity;
    if (this.#head + bytes <= border) return;
    this.#slackStart = border;
    this.#slackEnd = this.#head + bytes;
  }

  /** The bytes at a position, if they are still here: a view that is only good until the next await. */
  bytesAt(position: number, length: number): Uint8Array | undefined {
    // Two frames less than the capacity: one under construction, and one whose end in the slack was written over.
    if (position < this.#first || position < this.#head - this.#capacity + 2 * this.#frameMaxBytes) return undefined;
    const inSlack = position >= this.#slackStart && position < this.#slackEnd;
    const start = (position % this.#capacity) + (inSlack ? this.#capacity : 0);
    return this.#memory.subarray(start, start + length);
  }
}
