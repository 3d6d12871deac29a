/**
 * Records as lines: the value and a newline, and no newline after a record whose line had none, so that what went in as
 * a file comes out as the same bytes. Values are copied out of the payload without a decode.
 * @module
 */
import { eachRecord, recordHeader, recordValue } from "../base/records.ts";
import type { Batch } from "../wire/gen/tailrace/v1/record_pb.ts";
import { newlineHeaderName } from "./line-batcher.ts";
import { OutputBuffer } from "./output-buffer.ts";
import type { RecordPrinter } from "./record-printer.ts";

const newline = 0x0a;
const valueTag = 0x1a;
const headerName = new TextEncoder().encode(newlineHeaderName);
const none = Buffer.from("none");

/** See the module's description. */
export class LinePrinter implements RecordPrinter {
  readonly #out = new OutputBuffer();
  /** The last line got no newline; it comes before the next record, if there is one. */
  #owesNewline = false;

  get byteLength(): number {
    return this.#out.byteLength;
  }

  add({ payload }: Batch, skip: number, take: number): void {
    let position = 0;
    eachRecord(payload, (start, end) => {
      if (position >= skip && position < skip + take) this.#addRecord(payload, start, end);
      position++;
    });
  }

  takeAll(): Uint8Array[] {
    return this.#out.takeAll();
  }

  #addRecord(payload: Uint8Array, start: number, end: number): void {
    if (this.#owesNewline) this.#out.addByte(newline);
    this.#owesNewline = false;
    const valueStart = loneValueStart(payload, start, end);
    if (valueStart >= 0) this.#out.add(payload, valueStart, end);
    else {
      const value = recordValue(payload, start, end);
      this.#out.add(value, 0, value.length);
      const header = recordHeader(payload, start, end, headerName);
      this.#owesNewline = header !== undefined && none.equals(header);
    }
    if (!this.#owesNewline) this.#out.addByte(newline);
  }
}

/** Where the value of a record begins that has a value and nothing else, as nearly all lines do; else -1. */
function loneValueStart(payload: Uint8Array, start: number, end: number): number {
  if (start === end) return end;
  if (payload[start] !== valueTag) return -1;
  let length = 0;
  let scale = 1;
  let at = start + 1;
  while (at < end) {
    const byte = payload[at++] ?? 0;
    length += (byte & 0x7f) * scale;
    scale *= 128;
    if (byte < 0x80) break;
  }
  return at + length === end ? at : -1;
}
