import { BatchKind, type StoredBatch } from "../../base/batch.ts";
import { allZero, getU64, viewOf } from "../../base/bytes.ts";
import { batchHeader } from "../../log/format.ts";
import { toBatchMessage } from "../../wire/batch-message.ts";
import { metaChangesJson } from "../../wire/control-payload.ts";
import { JsonPrinter } from "../json-printer.ts";
import type { BatchPlace } from "./log-findings.ts";
import { beforeOf } from "./standing.ts";
import { kindName, messageOf, timeOf } from "./stream-facts.ts";
import { metaGroup } from "./streams-seen.ts";

/** All that is to be said of one batch. Its records are as `read --json` prints them. */
export function batchView(batch: StoredBatch, { file, position }: BatchPlace): object {
  const view = viewOf(batch.header);
  const producerId = batch.header.subarray(batchHeader.producerIdAt, batchHeader.sequenceAt);
  const before = beforeOf(batch);
  return {
    ...{ file, position, bytes: batch.header.length + batch.payload.length },
    kind: kindName(batch.kind),
    streamId: batch.group,
    index: batch.index,
    baseOffset: batch.baseOffset,
    records: batch.recordCount,
    term: batch.term,
    appendTime: timeOf(batch.appendTimeMicros),
    codec: batch.codec,
    flags: view.getUint16(batchHeader.flagsAt, true),
    payloadBytes: batch.payloadBytes,
    headerCrc: crcText(view.getUint32(batchHeader.crcAt, true)),
    payloadCrc: crcText(view.getUint32(batchHeader.payloadCrcAt, true)),
    ...(allZero(producerId)
      ? {}
      : {
          producer: {
            id: hex(producerId),
            epoch: view.getUint32(batchHeader.producerEpochAt, true),
            sequence: getU64(view, batchHeader.sequenceAt),
          },
        }),
    digest: hex(batch.digest),
    ...(before ? { before: { term: before.term, digest: hex(before.digest) } } : {}),
    ...contentOf(batch),
  };
}

function contentOf(batch: StoredBatch): object {
  if (batch.kind !== BatchKind.records) return { says: messageOf(batch) };
  if (batch.group === metaGroup) return { changes: metaChangesJson(batch.payload) };
  const printer = new JsonPrinter();
  try {
    printer.add(toBatchMessage(batch, 0, batch.recordCount, "payload"), 0, batch.recordCount);
  } catch {
    return { payload: hex(batch.payload) };
  }
  const lines = Buffer.concat(printer.takeAll()).toString().trim().split("\n");
  return { content: lines.map((line) => JSON.parse(line)) };
}

/** Bytes in hexadecimal. */
export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function crcText(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}
