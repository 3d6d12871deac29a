/**
 * How a cluster begins on a disk: `_meta`, the group of its catalogue, is made there, byte for byte the same on each.
 * @module
 */
import { present } from "../base/assert.ts";
import { clusterTimeMicros } from "../base/cluster-id.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { DataFolder } from "../log/types.ts";
import type { ClusterBirth } from "../membership/types.ts";
import type { ReplicaId } from "../raft/types.ts";
import { newGroup } from "../replica/cluster-logs.ts";
import { bytesOf, hexOf, nameOf, replicaOf } from "../replica/core-batch.ts";
import { emptyPart } from "../replica/log-door.ts";
import { creationOf, decodeStoredCheckpoint } from "../replica/log-past.ts";
import { metaGroup, metaName } from "../stream/meta-log.ts";
import { builtInSettings } from "../stream/settings.ts";
import { noneChosen } from "../wire/catalogue.ts";

/** A cluster that a data folder is of. */
export interface FolderCluster {
  /** Hexadecimal. */
  readonly clusterId: string;
  /**
   * What a node that joins begins `_meta` with. Nothing drops the beginning of `_meta`, but a catalogue that was repaired begins
   * above all that was, on every node: then it is any batch 0, which the leader's own beginning takes the place of.
   */
  readonly birth: ClusterBirth;
}

/** What `_meta` of a new cluster begins with. */
export function birthOf(clusterId: string, voters: readonly ReplicaId[]): ClusterBirth {
  const part = {
    ...{ name: metaName, settings: { version: 1, ...builtInSettings }, ...emptyPart },
    catalogue: { clusterId: bytesOf(clusterId), streams: [], chosen: noneChosen },
  };
  const { checkpoint, startOffset } = creationOf(part, 0, voters.map(replicaOf));
  return { checkpoint, startOffset, appendTimeMicros: clusterTimeMicros(clusterId) };
}

/** Makes `_meta`; resolves when it is durable. @throws {NoRoomError} Nothing was made. */
export async function makeMeta(folder: DataFolder, birth: ClusterBirth): Promise<void> {
  const { checkpoint, startOffset, appendTimeMicros } = birth;
  const creation = { name: metaName, startOffset, checkpoint };
  await folder.create(newGroup({ group: metaGroup, creation, appendTimeMicros })).made;
}

/** The cluster that a folder is of; undefined: of none yet. @throws {DataFolderError} @throws {TailraceError} `damaged`. */
export async function clusterOf(folder: DataFolder): Promise<FolderCluster | undefined> {
  const log = folder.log(metaGroup);
  if (log === undefined) {
    for (const group of folder.groups())
      throw unreadable(`the folder has group ${group}, but not ${metaName}, group 0`);
    return undefined;
  }
  const { index } = log.base;
  const [base] = await log.read({ from: { index }, belowIndex: index + 1, maxBytes: 1 });
  if (base === undefined) throw unreadable(`${metaName} has no batch at its base, index ${index}`);
  const { catalogue, voters } = decodeStoredCheckpoint(base);
  const clusterId = hexOf(present(catalogue, "a checkpoint of _meta has the catalogue").clusterId);
  const { baseOffset: startOffset, appendTimeMicros, payload } = base;
  if (index > 0) return { clusterId, birth: { ...birthOf(clusterId, voters.map(nameOf)), appendTimeMicros } };
  return { clusterId, birth: { checkpoint: payload.slice(), startOffset, appendTimeMicros } };
}

function unreadable(why: string): DataFolderError {
  const todo = "Restore the folder from a copy; or start with an empty one, and let the cluster fill it";
  return new DataFolderError(`Cannot read which cluster the data folder is of: ${why}`, todo);
}
