/**
 * Cuts the records out of a serialized AppendRequest or AppendStreamRequest, so that the stored payload is the bytes
 * that the client sent: field 1 of both is `records`, as it is of the stored `tailrace.v1.Records`.
 * @module
 */
import { invalidField } from "../base/errors.ts";
import { recordsTag } from "../base/records.ts";
import { varint32, varintEnd } from "../base/varint.ts";

/** A request in two. */
export interface SplitRequest {
  /** All fields 1, tags and lengths included: a serialized Records, not checked. Empty: there are none. */
  readonly records: Uint8Array;
  /** All other fields, as they came. */
  readonly rest: Uint8Array;
}

/**
 * Splits a request at its top level; what is inside of the records is not looked at. Copies only if records stand
 * apart, or between other fields.
 * @throws {TailraceError} `invalid_field`: the bytes are no protobuf message.
 */
export function splitRecords(request: Uint8Array): SplitRequest {
  const end = request.length;
  const records: Uint8Array[] = [];
  const rest: Uint8Array[] = [];
  let at = 0;
  while (at < end) {
    const start = at;
    while (at < end && request[at] === recordsTag) at = skipField(request, at, end);
    if (at > start) records.push(request.subarray(start, at));
    const restStart = at;
    while (at < end && request[at] !== recordsTag) at = skipField(request, at, end);
    if (at > restStart) rest.push(request.subarray(restStart, at));
  }
  return { records: join(records), rest: join(rest) };
}

/** Where the field whose tag is at `at` ends. */
function skipField(bytes: Uint8Array, at: number, end: number): number {
  const tagEnd = varintEnd(bytes, at, end);
  const tag = tagEnd < 0 ? -1 : varint32(bytes, at, tagEnd);
  // Other fields are skipped here and decoded by protobuf-es, which knows what is wrong with them.
  const next = tag < 0 ? -1 : skipValue(bytes, tagEnd, end, tag & 7);
  if (next < 0 || next > end) throw malformedRequest(`byte ${at} begins a field that is cut off or malformed`);
  return next;
}

function skipValue(bytes: Uint8Array, at: number, end: number, wireType: number): number {
  switch (wireType) {
    case 0:
      return varintEnd(bytes, at, end);
    case 1:
      return at + 8;
    case 2: {
      const lengthEnd = varintEnd(bytes, at, end);
      const length = lengthEnd < 0 ? -1 : varint32(bytes, at, lengthEnd);
      return length < 0 ? -1 : lengthEnd + length;
    }
    case 5:
      return at + 4;
    default:
      return -1;
  }
}

/** What a request is refused with when its bytes are not the message that they should be. */
export function malformedRequest(why: string): Error {
  return invalidField("request", why, "Send the message that the method takes, as your protobuf library writes it");
}

function join(parts: Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  const joined = new Uint8Array(parts.reduce((bytes, part) => bytes + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
