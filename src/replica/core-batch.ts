/**
 * Stored batches as the replication core sees them, and the names of replicas.
 * @module
 */
import { BatchKind, type StoredBatch } from "../base/batch.ts";
import { getU64, viewOf } from "../base/bytes.ts";
import type { Hash } from "../host/hash.ts";
import { readBatch } from "../log/batch-reader.ts";
import type { VerifiedBatch } from "../log/stored-batch.ts";
import { type Batch, type BatchInfo, type ReplicaId, replicaId } from "../raft/types.ts";
import { decodeTrim, decodeVoters, type StoredReplica } from "../wire/checkpoint.ts";
import { decodeStoredCheckpoint } from "./log-past.ts";

/** A batch that another node sent, found to fit the end of the own log. */
export interface ReceivedBatch extends Batch {
  readonly verified: VerifiedBatch;
}

/** Whether it came from another node and was verified. */
export function isReceived(batch: Batch): batch is ReceivedBatch {
  return "verified" in batch;
}

/** What replication needs to know of a stored batch. */
export function infoOf(batch: StoredBatch): BatchInfo {
  const { index, term, digest, kind } = batch;
  const voters = votersIn(batch);
  const before = kind === BatchKind.checkpoint ? { before: beforeOf(batch.payload) } : {};
  return { index, term, digest: digest.slice(), kind, ...(voters ? { voters } : {}), ...before };
}

/** A stored batch with its bytes in one. */
export function coreBatch(batch: StoredBatch): Batch {
  return { ...infoOf(batch), bytes: joinBytes([batch.header, batch.payload]) };
}

/**
 * A batch as another node sent it, by what its header says; whether that is true is looked at before it is written. Undefined:
 * it is no batch at all, or does not say what replication goes by.
 */
export function unverifiedBatch(bytes: Uint8Array, group: number, hash: Hash): Batch | undefined {
  const batch = readBatch(bytes, group, hash);
  if (!batch) return undefined;
  try {
    // What a trim says is read in the middle of a step, where nothing may go wrong.
    if (batch.kind === BatchKind.trim) decodeTrim(batch.payload);
    return { ...infoOf(batch), bytes };
  } catch {
    return undefined;
  }
}

/** Parts, one behind the other. */
export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Who votes from a batch on, if it says so. */
export function votersIn(batch: StoredBatch): ReplicaId[] | undefined {
  if (batch.kind === BatchKind.voters) return decodeVoters(batch.payload).map(nameOf);
  return batch.kind === BatchKind.checkpoint ? decodeStoredCheckpoint(batch).voters.map(nameOf) : undefined;
}

/** What a checkpoint says of the batch before it: its first 40 bytes. */
export function beforeOf(payload: Uint8Array): { readonly term: number; readonly digest: Uint8Array } {
  return { term: getU64(viewOf(payload), 0), digest: payload.slice(8, 40) };
}

/** A replica's name. */
export function nameOf({ nodeId = "", diskId, life }: StoredReplica): ReplicaId {
  return replicaId(nodeId, hexOf(diskId), life);
}

/** The replica that has a name. */
export function replicaOf(name: ReplicaId): StoredReplica {
  const [life = "", disk = "", ...node] = name.split("/").reverse();
  return { nodeId: node.reverse().join("/"), diskId: bytesOf(disk), life: Number(life) };
}

/** Lower case, two digits a byte. */
export function hexOf(bytes: Uint8Array): string {
  let hex = "";
  for (const byte of bytes) hex += hexDigits[byte];
  return hex;
}

const hexDigits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Bytes of such digits. */
export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(hex.length / 2).map((_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}
