/**
 * Records as JSON, one a line. Members, in this order:
 * - `offset`: a number.
 * - `time`: the record's own time, or, when it has none, when it was appended; ISO 8601, UTC.
 * - `appendTime`: when it was appended; only where `time` is the record's own.
 * - `key`: text, or `keyBase64` when it is not UTF-8; neither when the record has no key.
 * - `value`: text, or `valueBase64` when it is not UTF-8.
 * - `headers`: a list of `{ name, value }` or `{ name, valueBase64 }`; left out when there are none.
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type Batch, type Record, RecordsSchema } from "../wire/gen/tailrace/v1/record_pb.ts";
import { toPosition } from "../wire/position.ts";
import { toMicros } from "../wire/timestamp.ts";
import { OutputBuffer } from "./output-buffer.ts";
import type { RecordPrinter } from "./record-printer.ts";

/** See the module's description. */
export class JsonPrinter implements RecordPrinter {
  readonly #out = new OutputBuffer();

  get byteLength(): number {
    return this.#out.byteLength;
  }

  add(batch: Batch, skip: number, take: number): void {
    const firstOffset = toPosition(batch.startOffset, "start_offset") + skip;
    const appended = batch.appendTime === undefined ? "" : isoOf(batch.appendTime);
    const { records } = fromBinary(RecordsSchema, batch.payload);
    const lines = records
      .slice(skip, skip + take)
      .map((record, position) => `${JSON.stringify(jsonOf(record, firstOffset + position, appended))}\n`);
    const bytes = Buffer.from(lines.join(""));
    this.#out.add(bytes, 0, bytes.length);
  }

  takeAll(): Uint8Array[] {
    return this.#out.takeAll();
  }
}

function jsonOf(record: Record, offset: number, appendTime: string): object {
  const { key, value, headers, time } = record;
  const json = { offset, ...(time ? { time: isoOf(time), appendTime } : { time: appendTime }) };
  if (key !== undefined) Object.assign(json, textOrBase64("key", key));
  Object.assign(json, textOrBase64("value", value));
  if (headers.length === 0) return json;
  return { ...json, headers: headers.map((header) => ({ name: header.name, ...textOrBase64("value", header.value) })) };
}

// Without `ignoreBOM` a byte order mark at the beginning would be lost.
const strictUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Bytes as a member of a JSON object: text of this name, or else base64 of the name with `Base64` behind it. */
export function textOrBase64(name: string, bytes: Uint8Array): object {
  try {
    return { [name]: strictUtf8.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString("base64") };
  }
}

/** ISO 8601 in UTC with microseconds, three digits of them where the rest is zero. */
export function isoOf(time: Timestamp): string {
  const micros = toMicros(time, "time");
  const iso = new Date(Math.floor(micros / 1000)).toISOString();
  const rest = micros - Math.floor(micros / 1000) * 1000;
  return rest === 0 ? iso : `${iso.slice(0, -1)}${String(rest).padStart(3, "0")}Z`;
}
