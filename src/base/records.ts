/**
 * The payload of a batch, a serialized `tailrace.v1.Records`, walked without decoding it: a payload is stored and given
 * out as the bytes that came, so all that is ever asked is whether they are good, how many records they are, and where
 * one begins.
 * - What is taken here must be read by every stock protobuf runtime, in binary and as JSON, since one bad record would
 *   stop all readers of its stream for ever. So it is stricter than protobuf asks: no groups, tags of one record after
 *   the other in their one-byte form, header names in valid UTF-8, times that JSON can write.
 * - Fields of a record, header or time that are not known stay as they are.
 * Elsewhere: writing a payload (`records-writer.ts`).
 * @module
 */
import { assert } from "./assert.ts";
import { invalidField, limitPassed, type TailraceError } from "./errors.ts";
import { type Limits, limitName } from "./limits.ts";
import { varint32, varintEnd, varintSigned64 } from "./varint.ts";

/** The tag of field 1, length-delimited: `records` in Records, AppendRequest, AppendStreamRequest and Batch alike. */
export const recordsTag = 0x0a;

/** Longest name of a header, bytes. */
const headerNameMaxBytes = 255;
/** Seconds of 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z: protobuf's times. */
const timeMinSeconds = -62135596800;
const timeMaxSeconds = 253402300799;

/**
 * Checks a payload before it is taken: well-formed, at least one record, within the limits.
 * @param field Name of the request's field that it came in, for the refusal: `batch` or `records`.
 * @returns The number of records.
 * @throws {TailraceError} `invalid_field` or `limit`; nothing else, whatever the bytes.
 */
export function checkRecords(payload: Uint8Array, limits: Limits, field: string): number {
  const end = payload.length;
  if (end > limits.batchMaxBytes) throw tooMuch("batchMaxBytes", limits, field, end);
  if (end === 0) throw invalidField(field, "it holds no record", "Send 1 record or more");
  let count = 0;
  let at = 0;
  while (at < end) {
    if (payload[at] !== recordsTag) throw malformed(field, count, at, "is not the beginning of a record");
    const start = skipLength(payload, at + 1, end);
    const recordEnd = start < 0 ? -1 : start + lengthBefore(payload, at + 1, start);
    if (recordEnd < 0 || recordEnd > end) throw malformed(field, count, at, "begins a record that is cut off");
    if (count === limits.batchMaxRecords) throw tooMuch("batchMaxRecords", limits, field);
    if (recordEnd - start > limits.recordMaxBytes) throw tooMuch("recordMaxBytes", limits, field, recordEnd - start);
    const fault = recordFault(payload, start, recordEnd, limits.recordMaxHeaders);
    if (fault === tooManyHeaders) throw tooMuch("recordMaxHeaders", limits, field);
    if (fault !== undefined) throw malformed(field, count, at, `begins a record whose ${fault}`);
    at = recordEnd;
    count++;
  }
  return count;
}

/**
 * The bytes of `take` records after the first `skip`, as a view: a serialized Records again. The payload must have been
 * checked, and have so many.
 */
export function cutRecords(payload: Uint8Array, skip: number, take: number): Uint8Array {
  let at = 0;
  for (let count = 0; count < skip; count++) at = recordEndAt(payload, at);
  const start = at;
  for (let count = 0; count < take; count++) at = recordEndAt(payload, at);
  return payload.subarray(start, at);
}

/** Calls `visit` with the start and end of each record's own bytes, in order. The payload must have been checked. */
export function eachRecord(payload: Uint8Array, visit: (start: number, end: number) => void): void {
  let at = 0;
  while (at < payload.length) {
    const end = recordEndAt(payload, at);
    visit(skipLength(payload, at + 1, end), end);
    at = end;
  }
}

/** The value of the record in `payload[start, end)`, as a view. The payload must have been checked. */
export function recordValue(payload: Uint8Array, start: number, end: number): Uint8Array {
  let value = payload.subarray(start, start);
  eachBytesField(payload, start, end, (tag, from, to) => {
    if (tag === valueTag) value = payload.subarray(from, to);
  });
  return value;
}

/**
 * The value of the first header called `name` (its UTF-8 bytes) of the record in `payload[start, end)`, as a view;
 * `undefined` if there is none. The payload must have been checked.
 */
export function recordHeader(
  payload: Uint8Array,
  start: number,
  end: number,
  name: Uint8Array,
): Uint8Array | undefined {
  let found: Uint8Array | undefined;
  eachBytesField(payload, start, end, (tag, from, to) => {
    if (tag !== headersTag || found !== undefined) return;
    let isNamed = false;
    let value = payload.subarray(from, from);
    eachBytesField(payload, from, to, (headerTag, valueFrom, valueTo) => {
      if (headerTag === headerNameTag) isNamed = isEqual(payload, valueFrom, valueTo, name);
      if (headerTag === headerValueTag) value = payload.subarray(valueFrom, valueTo);
    });
    if (isNamed) found = value;
  });
  return found;
}

const keyTag = 0x0a;
const headersTag = 0x12;
const valueTag = 0x1a;
const timeTag = 0x22;
const headerNameTag = 0x0a;
const headerValueTag = 0x12;

const tooManyHeaders = "headers are too many";

/** What is wrong with the record in `bytes[start, end)`: completes "a record whose ...". */
function recordFault(bytes: Uint8Array, start: number, end: number, headersMax: number): string | undefined {
  let headers = 0;
  let at = start;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    if (tag !== valueTag && tag !== keyTag && tag !== headersTag && tag !== timeTag) {
      at = skipOther(bytes, at, end, 4);
      if (at < 0) return "fields are malformed";
      continue;
    }
    const from = skipLength(bytes, at + 1, end);
    if (from < 0) return "fields are malformed";
    const to = from + lengthBefore(bytes, at + 1, from);
    if (to > end) return "fields are cut off";
    if (tag === headersTag) {
      if (++headers > headersMax) return tooManyHeaders;
      const fault = headerFault(bytes, from, to);
      if (fault !== undefined) return `header ${headers - 1} ${fault}`;
    } else if (tag === timeTag) {
      const fault = timeFault(bytes, from, to);
      if (fault !== undefined) return `time ${fault}`;
    }
    at = to;
  }
  return undefined;
}

/** What is wrong with the header in `bytes[start, end)`: completes "header 0 ...". */
function headerFault(bytes: Uint8Array, start: number, end: number): string | undefined {
  let isNamed = false;
  let at = start;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    if (tag !== headerNameTag && tag !== headerValueTag) {
      at = skipOther(bytes, at, end, 2);
      if (at < 0) return "is malformed";
      continue;
    }
    const from = skipLength(bytes, at + 1, end);
    if (from < 0) return "is malformed";
    const to = from + lengthBefore(bytes, at + 1, from);
    if (to > end) return "is cut off";
    if (tag === headerNameTag) {
      if (to === from) return "has an empty name";
      if (to - from > headerNameMaxBytes) return `has a name of more than ${headerNameMaxBytes} bytes`;
      if (!isUtf8(bytes, from, to)) return "has a name that is not UTF-8";
      isNamed = true;
    }
    at = to;
  }
  return isNamed ? undefined : "has no name";
}

/** What is wrong with the Timestamp in `bytes[start, end)`: completes "time ...". */
function timeFault(bytes: Uint8Array, start: number, end: number): string | undefined {
  let at = start;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    if (tag !== 0x08 && tag !== 0x10) {
      at = skipOther(bytes, at, end, 2);
      if (at < 0) return "is malformed";
      continue;
    }
    const to = varintEnd(bytes, at + 1, end);
    if (to < 0) return "is malformed";
    const value = varintSigned64(bytes, at + 1, to);
    const isSeconds = tag === 0x08;
    if (isSeconds && (value < timeMinSeconds || value > timeMaxSeconds)) return "is not in the years 1 to 9999";
    if (!isSeconds && (value < 0 || value > 999_999_999)) return "has nanos that are not from 0 to 999,999,999";
    at = to;
  }
  return undefined;
}

/**
 * Skips a field whose tag is not one of the known fields' own: returns where it ends, or -1 if it is malformed, a group,
 * or a field numbered up to `knownMax` of a type that it does not have (or with a tag longer than need be).
 */
function skipOther(bytes: Uint8Array, at: number, end: number, knownMax: number): number {
  const tagEnd = varintEnd(bytes, at, end);
  if (tagEnd < 0) return -1;
  const tag = varint32(bytes, at, tagEnd);
  if (tag >>> 3 <= knownMax || tag < 0) return -1;
  switch (tag & 7) {
    case 0:
      return varintEnd(bytes, tagEnd, end);
    case 1:
      return tagEnd + 8 <= end ? tagEnd + 8 : -1;
    case 2: {
      const from = skipLength(bytes, tagEnd, end);
      const to = from < 0 ? -1 : from + lengthBefore(bytes, tagEnd, from);
      return to <= end ? to : -1;
    }
    case 5:
      return tagEnd + 4 <= end ? tagEnd + 4 : -1;
    default:
      return -1;
  }
}

/** Where a length that begins at `at` ends, or -1 if it is malformed. Most take a byte or two, so those come first. */
function skipLength(bytes: Uint8Array, at: number, end: number): number {
  if (at < end && (bytes[at] ?? 0x80) < 0x80) return at + 1;
  if (at + 1 < end && (bytes[at + 1] ?? 0x80) < 0x80) return at + 2;
  const lengthEnd = varintEnd(bytes, at, end);
  return lengthEnd < 0 || varint32(bytes, at, lengthEnd) < 0 ? -1 : lengthEnd;
}

/** The length in `bytes[at, end)`, as `skipLength` found it. */
function lengthBefore(bytes: Uint8Array, at: number, end: number): number {
  if (end === at + 1) return bytes[at] ?? 0;
  if (end === at + 2) return ((bytes[at] ?? 0) & 0x7f) | ((bytes[at + 1] ?? 0) << 7);
  return varint32(bytes, at, end);
}

/** Where the record whose tag is at `at` ends. */
function recordEndAt(payload: Uint8Array, at: number): number {
  const start = payload[at] === recordsTag ? skipLength(payload, at + 1, payload.length) : -1;
  const end = start < 0 ? -1 : start + lengthBefore(payload, at + 1, start);
  assert(end >= 0 && end <= payload.length, "a checked payload is well-formed and has the records asked for");
  return end;
}

/** Calls `visit` for each length-delimited field with a one-byte tag of a message that was checked. */
function eachBytesField(
  bytes: Uint8Array,
  start: number,
  end: number,
  visit: (tag: number, from: number, to: number) => void,
): void {
  let at = start;
  while (at < end) {
    const tag = bytes[at] ?? 0;
    if (tag < 0x80 && (tag & 7) === 2) {
      const from = skipLength(bytes, at + 1, end);
      at = from + lengthBefore(bytes, at + 1, from);
      visit(tag, from, at);
    } else at = skipOther(bytes, at, end, 0);
    assert(at > start && at <= end, "a checked record is well-formed");
  }
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end && (bytes[at] ?? 0x80) < 0x80) at++;
  if (at === end) return true;
  try {
    strictUtf8.decode(bytes.subarray(at, end));
    return true;
  } catch {
    return false;
  }
}

function isEqual(bytes: Uint8Array, start: number, end: number, other: Uint8Array): boolean {
  if (end - start !== other.length) return false;
  for (let at = 0; at < other.length; at++) if (bytes[start + at] !== other[at]) return false;
  return true;
}

function malformed(field: string, record: number, at: number, why: string): TailraceError {
  const path = field.endsWith("records") ? `${field}[${record}]` : field;
  const todo = "Send a serialized tailrace.v1.Records, as your protobuf library writes it";
  return invalidField(path, `byte ${at}, record ${record}: it ${why}`, todo);
}

function tooMuch(limit: keyof Limits, limits: Limits, field: string, actual?: number): TailraceError {
  const facts = { name: limitName(limit), value: limits[limit], ...(actual === undefined ? {} : { actual }) };
  const todo = limit.startsWith("batch") ? "Send it in several batches" : "Send it in several records";
  return limitPassed(`Cannot take ${field}`, facts, todo, { field, fate: "nothing_written" });
}
