/**
 * A catalogue made anew from the streams that are left, where a part of its log is lost. It begins, at an index that no
 * stream ever had as its id, with a checkpoint that has them all: so no id is given twice.
 * @module
 */
import { BatchKind } from "../../base/batch.ts";
import type { VersionedSettings } from "../../base/stream-settings.ts";
import type { Hash } from "../../host/hash.ts";
import { checkpointPayload, stampHeader } from "../../log/batch-writer.ts";
import { batchHeader, digestBytes } from "../../log/format.ts";
import { noneChosen, type StoredStream } from "../../wire/catalogue.ts";
import {
  checkpointPrefixBytes,
  decodeCheckpoint,
  encodeCheckpoint,
  type StoredReplica,
} from "../../wire/checkpoint.ts";
import type { NewCatalogue } from "./repair-plan.ts";
import { metaGroup } from "./streams-seen.ts";

/** Settings of a catalogue of which no checkpoint is left. */
const usualSettings: VersionedSettings = {
  ...{ version: 1, segmentMaxBytes: 64 << 20, segmentMaxAgeS: 7 * 86_400 },
  ...{ retentionBytes: 0, retentionAgeS: 0, recordMaxBytes: 0, batchMaxBytes: 0, replicationFactor: 0 },
};

/** The checkpoint's whole bytes. @param voter Whose log it is, and of the streams that are made anew. */
export function catalogueCheckpoint(
  plan: NewCatalogue,
  voter: StoredReplica,
  around: { hash: Hash; nowMicros: number; clusterId: Uint8Array },
): Uint8Array {
  const { index, offset, term } = plan;
  const made = new Set(plan.emptied);
  const state = encodeCheckpoint({
    name: "_meta",
    voters: [voter],
    settings: plan.settings ?? usualSettings,
    logStart: offset,
    ...{ termStarts: [], producers: [], fence: new Uint8Array(0) },
    catalogue: {
      clusterId: plan.clusterId ?? around.clusterId,
      streams: plan.streams.map((stream) => (made.has(stream.id) ? votedBy(stream, voter) : stream)),
      chosen: noneChosen,
    },
  });
  const payload = checkpointPayload(term, new Uint8Array(digestBytes), state);
  const batch = new Uint8Array(batchHeader.bytes + payload.length);
  batch.set(payload, batchHeader.bytes);
  const stamp = {
    ...{ kind: BatchKind.checkpoint, group: metaGroup, index, baseOffset: offset, recordCount: 0, term },
    appendTimeMicros: Math.max(around.nowMicros, plan.sinceMicros),
  };
  stampHeader(batch, payload, stamp, new Uint8Array(digestBytes), around.hash, batch);
  return batch;
}

/** A stream whose log is to be made anew, by this voter. */
function votedBy(stream: StoredStream, voter: StoredReplica): StoredStream {
  const { creation } = stream;
  const state = decodeCheckpoint(creation.checkpoint.subarray(checkpointPrefixBytes));
  const encoded = encodeCheckpoint({ ...state, voters: [voter] });
  const checkpoint = new Uint8Array(checkpointPrefixBytes + encoded.length);
  checkpoint.set(encoded, checkpointPrefixBytes);
  return { ...stream, creation: { ...creation, checkpoint } };
}
