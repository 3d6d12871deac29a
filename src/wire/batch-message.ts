import { create, fromBinary } from "@bufbuild/protobuf";
import { WireType } from "@bufbuild/protobuf/wire";
import type { StoredBatch } from "../base/batch.ts";
import { cutRecords, recordsTag } from "../base/records.ts";
import { type Batch, BatchSchema, RecordsSchema } from "./gen/tailrace/v1/record_pb.ts";
import { fromPosition } from "./position.ts";
import { fromMicros } from "./timestamp.ts";

/**
 * How a batch carries its records. `records` as messages, which JSON needs; `recordBytes` the same for protobuf, with
 * the stored bytes put in as they are; `payload` and `stored` as the API's forms of these names.
 */
export type BatchForm = "records" | "recordBytes" | "payload" | "stored";

/** A stored batch as the API gives it: `take` of its records after the first `skip`. */
export function toBatchMessage(batch: StoredBatch, skip: number, take: number, form: BatchForm): Batch {
  const { payload, recordCount, baseOffset, kind, digest } = batch;
  const isCut = form === "records" || form === "recordBytes";
  const message = create(BatchSchema, {
    startOffset: fromPosition(isCut ? baseOffset + skip : baseOffset),
    recordCount: isCut ? take : recordCount,
    appendTime: fromMicros(batch.appendTimeMicros),
    index: fromPosition(batch.index),
    term: fromPosition(batch.term),
    digest,
    kind,
  });
  switch (form) {
    case "records":
      message.records = fromBinary(RecordsSchema, cutRecords(payload, skip, take)).records;
      return message;
    case "recordBytes":
      if (take > 0) message.$unknown = [recordsField(cutRecords(payload, skip, take))];
      return message;
    case "stored":
      message.header = batch.header;
      break;
    case "payload":
      break;
  }
  message.payload = payload;
  message.skip = skip;
  // 0 says all the rest, which is nearly always so.
  message.take = skip + take === recordCount ? 0 : take;
  return message;
}

/**
 * Records as a field that protobuf-es writes as it is given: tag, then data. So the data is all bytes after the first
 * tag, further records with their tags included.
 */
function recordsField(records: Uint8Array): { no: number; wireType: WireType; data: Uint8Array } {
  return { no: recordsTag >>> 3, wireType: WireType.LengthDelimited, data: records.subarray(1) };
}
