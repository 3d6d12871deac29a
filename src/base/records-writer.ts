/**
 * Writes a payload, a serialized `tailrace.v1.Records`, record by record into one growing buffer.
 * Elsewhere: checking and cutting one (`records.ts`).
 * @module
 */
import { assert } from "./assert.ts";
import { recordsTag } from "./records.ts";
import { varintBytes, writeVarint } from "./varint.ts";

const headersTag = 0x12;
const valueTag = 0x1a;
const headerNameTag = 0x0a;
const headerValueTag = 0x12;

/** Up to here a loop copies faster than making a view for `set` does. */
const loopCopyMaxBytes = 80;

const noBytes = new Uint8Array(0);

/** Gathers records. Allocates nothing for a record, and keeps its buffer from one payload to the next. */
export class RecordsWriter {
  #bytes: Uint8Array;
  #at = 0;
  #count = 0;

  /** @param capacity Bytes to begin with; it grows when more is needed. */
  constructor(capacity = 64 << 10) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Records so far. */
  get count(): number {
    return this.#count;
  }

  /** Bytes so far, as `take` would give them. */
  get byteLength(): number {
    return this.#at;
  }

  /**
   * Adds a record with the value `source[start, end)`.
   * @param headers Its headers, each by `encodeHeader`, joined.
   */
  add(source: Uint8Array, start = 0, end = source.length, headers: Uint8Array = noBytes): void {
    assert(start <= end && end <= source.length, "the value lies within its source");
    const valueLength = end - start;
    // An empty value is not written, as protobuf has it.
    const valueField = valueLength === 0 ? 0 : 1 + varintBytes(valueLength) + valueLength;
    const recordLength = headers.length + valueField;
    this.#reserve(1 + varintBytes(recordLength) + recordLength);
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = recordsTag;
    at = writeVarint(recordLength, bytes, at);
    if (headers.length > 0) bytes.set(headers, at);
    at += headers.length;
    if (valueLength > 0) {
      bytes[at++] = valueTag;
      at = writeVarint(valueLength, bytes, at);
      if (valueLength <= loopCopyMaxBytes) {
        for (let from = start; from < end; from++) bytes[at++] = source[from] ?? 0;
      } else {
        bytes.set(source.subarray(start, end), at);
        at += valueLength;
      }
    }
    this.#at = at;
    this.#count++;
  }

  /** A copy of all that was added, a serialized Records; the writer is empty then. */
  take(): Uint8Array {
    const payload = this.#bytes.slice(0, this.#at);
    this.#at = 0;
    this.#count = 0;
    return payload;
  }

  #reserve(room: number): void {
    const needed = this.#at + room;
    if (needed <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#at));
    this.#bytes = grown;
  }
}

/** The bytes of one header as a field of a record. */
export function encodeHeader(name: string, value: Uint8Array): Uint8Array {
  const nameBytes = new TextEncoder().encode(name);
  const nameField = 1 + varintBytes(nameBytes.length) + nameBytes.length;
  const valueField = value.length === 0 ? 0 : 1 + varintBytes(value.length) + value.length;
  const length = nameField + valueField;
  const field = new Uint8Array(1 + varintBytes(length) + length);
  field[0] = headersTag;
  let at = writeVarint(length, field, 1);
  field[at++] = headerNameTag;
  at = writeVarint(nameBytes.length, field, at);
  field.set(nameBytes, at);
  at += nameBytes.length;
  if (value.length === 0) return field;
  field[at++] = headerValueTag;
  at = writeVarint(value.length, field, at);
  field.set(value, at);
  return field;
}
