/**
 * A catalogue whose log is damaged on this disk begins anew there, with what other nodes have: as another replica, which
 * follows, and is made a voter again. Damage to what a start reads of it is looked for first: a group that can't be opened would
 * never be mended.
 * @module
 */
import { present } from "../base/assert.ts";
import { BatchKind } from "../base/batch.ts";
import { DataFolderError } from "../base/disk-errors.ts";
import type { Clock } from "../host/clock.ts";
import type { DataFolder, GroupLog } from "../log/types.ts";
import type { Membership } from "../membership/membership.ts";
import type { ClusterBirth, MemberNet } from "../membership/types.ts";
import { nodeOf, type ReplicaId } from "../raft/types.ts";
import { newGroup } from "../replica/cluster-logs.ts";
import { nameOf } from "../replica/core-batch.ts";
import { isDamaged } from "../replica/replica-errors.ts";
import { metaGroup, metaName } from "../stream/meta-log.ts";
import { decodeVoters } from "../wire/checkpoint.ts";

/** How often the others are asked for the beginning of the catalogue, milliseconds. */
const askIntervalMs = 500;
/** Of the catalogue so much is read at once. */
const readBytes = 1 << 20;

/** What it stands on. */
export interface MetaRenewal {
  readonly folder: DataFolder;
  readonly clusterId: string;
  readonly membership: Pick<Membership, "members">;
  readonly net: Pick<MemberNet, "join">;
  readonly clock: Clock;
  readonly isStopped: () => boolean;
}

/** Whether the catalogue is damaged here, and others have it: it is not what a lone voter has, which nobody else does. */
export async function needsRenewal(folder: DataFolder): Promise<boolean> {
  const log = folder.log(metaGroup);
  if (log === undefined || decodeVoters(log.note).length < 2) return false;
  await readAsAStartDoes(log);
  return log.damage !== undefined;
}

/** What is damaged of this the log knows from then on. */
async function readAsAStartDoes(log: GroupLog): Promise<void> {
  try {
    let newest = log.base.index;
    for await (const { kind, index } of log.controlBatches(newest)) if (kind === BatchKind.checkpoint) newest = index;
    const belowIndex = log.durableEnd.index;
    for (let next = newest; next < belowIndex; ) {
      const batches = await log.read({ from: { index: next }, belowIndex, maxBytes: readBytes });
      next = present(batches.at(-1), `batch ${next} of ${metaName} is not there`).index + 1;
    }
  } catch (error) {
    if (!isDamaged(error)) throw error;
  }
}

/** Resolves when the log begins anew: as soon as another node has said with what. */
export async function renewMeta(renewal: MetaRenewal): Promise<void> {
  const { folder, clock, isStopped } = renewal;
  for (;;) {
    const birth = await birthElsewhere(renewal);
    if (isStopped()) return;
    if (birth) return await beginAnew(folder, birth);
    await new Promise<void>((resolve) => clock.after(askIntervalMs, resolve));
  }
}

/** The log begins anew with this; resolves when it does. */
export async function beginAnew(folder: DataFolder, birth: ClusterBirth): Promise<void> {
  const { checkpoint, startOffset, appendTimeMicros } = birth;
  const creation = { name: metaName, startOffset, checkpoint };
  await folder.renew(newGroup({ group: metaGroup, creation, appendTimeMicros }));
}

/**
 * Where damage has taken even the id of the cluster: the one that was found must count a replica that this folder knows for a
 * voter. Disks have random names, so no other cluster does.
 * @param note What the folder knows of the voters. @throws {DataFolderError} It is another cluster.
 */
export function checkSameCluster(
  note: Uint8Array,
  found: { readonly clusterId: string; readonly voters: readonly ReplicaId[] },
): void {
  const known = decodeVoters(note).map(nameOf);
  const disks = new Set(found.voters.map(diskOf));
  if (known.some((replica) => disks.has(diskOf(replica)))) return;
  throw new DataFolderError(
    `The catalogue of streams is damaged in this data folder, and cluster ${found.clusterId}, which the seeds are of, is not ` +
      `its own: of ${known.map(nodeOf).join(", ")}, on the disks that this folder knows, none votes there`,
    "Give --seeds of its own cluster; or start with an empty folder, if this node is to be of the other one",
  );
}

/** Node and disk, whichever life it is in. */
function diskOf(replica: ReplicaId): string {
  return replica.slice(0, replica.lastIndexOf("/"));
}

async function birthElsewhere({ membership, net, clusterId, folder }: MetaRenewal): Promise<ClusterBirth | undefined> {
  for (const { isSelf, state, peerAddress } of membership.members()) {
    if (isSelf || state !== "alive") continue;
    try {
      return (await net.join(peerAddress, clusterId, folder.nodeId)).birth;
    } catch {
      // It may be asked again, and others are.
    }
  }
  return undefined;
}
