/**
 * Batches of the scripts: readable bytes, and digests that are a true chain.
 * @module
 */
import { createHash } from "node:crypto";
import { BatchKind } from "../../base/batch.ts";
import { sameBytes } from "../../base/bytes.ts";
import type { OpenedLog } from "../log-view.ts";
import { type Batch, type Before, nodeOf, type ReplicaId } from "../types.ts";

/** What a new batch says. */
export interface Content {
  readonly kind: BatchKind;
  readonly text?: string;
  /** Bytes that say nothing. */
  readonly padding?: string;
  readonly voters?: readonly ReplicaId[];
}

/** What stands before the first batch of all. */
export const nothing: Before = { term: 0, digest: new Uint8Array(8) };

/** The batch that comes after another. */
export function batchAfter(before: Before, place: { index: number; term: number }, content: Content): Batch {
  const bytes = new TextEncoder().encode(JSON.stringify([place.index, place.term, content]));
  const isCheckpoint = content.kind === BatchKind.checkpoint;
  return {
    ...{ ...place, kind: content.kind, bytes, digest: digestOf(before.digest, bytes) },
    ...(content.voters ? { voters: content.voters } : {}),
    ...(isCheckpoint ? { before } : {}),
  };
}

/** The same batch with its payload gone bad, or the digest that is stored beside it. */
export function damaged(batch: Batch, part: "payload" | "digest"): Batch {
  if (part === "digest") return { ...batch, digest: batch.digest.map((byte) => 255 - byte) };
  return { ...batch, bytes: Uint8Array.from(batch.bytes, (byte, at) => (at === batch.bytes.length - 1 ? 0 : byte)) };
}

/** A log in which another text stands from the first batch on, as if that had been written. It fits itself. */
export function forged(before: Batch, batches: readonly Batch[], text: string): Batch[] {
  const made: Batch[] = [];
  for (const { index, term, kind, voters } of batches) {
    const content = { kind, text: made.length === 0 ? text : "", ...(voters ? { voters } : {}) };
    made.push(batchAfter(made.at(-1) ?? before, { index, term }, content));
  }
  return made;
}

/** Index of the first batch that does not fit what is before it; undefined: the chain is whole. */
export function firstBad(before: Before, batches: readonly Batch[]): number | undefined {
  let { digest } = before;
  for (const batch of batches) {
    if (!sameBytes(digestOf(digest, batch.bytes), batch.digest)) return batch.index;
    digest = batch.digest;
  }
  return undefined;
}

/** A log's batches, as a group is opened with them. */
export function openedLog(batches: readonly Batch[], commit: number): OpenedLog {
  const [base] = batches;
  if (!base?.before) throw new Error("a log begins with a checkpoint");
  const end = base.index + batches.length;
  const known = batches.filter(({ index }) => index >= commit - 1);
  const starts = batches.filter(({ term }, at) => at === 0 || batches[at - 1]?.term !== term);
  const sets = batches.flatMap(({ index, voters }) => (voters ? [{ index, voters }] : []));
  const inForce = sets.findLastIndex(({ index }) => index < commit);
  return {
    base: { index: base.index, before: base.before },
    terms: starts.map(({ term, index }) => ({ term, index })),
    ...{ end, commit, digests: known.map(({ digest }) => digest), voterSets: sets.slice(Math.max(inForce, 0)) },
  };
}

/** A replica as scripts name it: `2` is node 2 with its first disk, `2b` with its second, `2+1` in its second life. */
export function shortName(replica: ReplicaId): string {
  const [node = "", disk = "", life = ""] = replica.split("/");
  return `${node}${disk === "a" ? "" : disk}${life === "0" ? "" : `+${life}`}`;
}

/** The replica that a script names. */
export function replicaOf(name: string): ReplicaId {
  const [, node, disk = "a", life = "0"] = /^(\d+)([a-z])?(?:\+(\d+))?$/.exec(name) ?? [];
  if (node === undefined) throw new Error(`"${name}" names no replica`);
  return `${node}/${disk}/${life}`;
}

/** A batch in a few characters: what it says, and its term. */
export function describeBatch({ kind, term, bytes, voters }: Batch): string {
  const [text] = /"text":"[^"]*"/.exec(new TextDecoder().decode(bytes)) ?? [];
  switch (kind) {
    case BatchKind.records:
      return `${text?.slice(8, -1) ?? "?"}@${term}`;
    case BatchKind.checkpoint:
      return `checkpoint@${term}`;
    case BatchKind.leaderChange:
      return `leader@${term}`;
    case BatchKind.voters:
      return `voters(${voters?.map(shortName).join()})@${term}`;
    default:
      throw new Error(`no script writes a batch of kind ${kind}`);
  }
}

/** Names of replicas, in a list. */
export function names(replicas: readonly ReplicaId[]): string {
  return `(${replicas.map(shortName).join()})`;
}

/** Who leads, in a message. */
export function leaderName(leader: ReplicaId | null): string {
  return leader === null ? "nobody" : nodeOf(leader);
}

function digestOf(before: Uint8Array, bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(before).update(bytes).digest().subarray(0, 8);
}
