/**
 * What would be there if the power of all nodes went now, and nothing that was not synced came back: opened from copies of
 * the disks, it holds all that was promised, and a majority of each group's voters holds what was acknowledged.
 * @module
 */
import type { Clock } from "../../host/clock.ts";
import { openDataFolder } from "../../log/data-folder.ts";
import type { DataFolder } from "../../log/types.ts";
import { nodeOf, type ReplicaId } from "../../raft/types.ts";
import { hexOf } from "../../replica/core-batch.ts";
import { SimDisk } from "../disk.ts";
import { instantDisk } from "../instant-disk.ts";
import { must } from "../must.ts";
import { SimRandom } from "../random.ts";
import { folderPath, type SimNode, volumeBytes } from "./node.ts";
import { count, type World } from "./world.ts";

/** No time passes while somebody looks. */
const stillClock: Clock = {
  nowMicros: () => 1_800_000_000_000_000,
  monotonicMs: () => 0,
  after: () => ({ cancel: () => {} }),
};

/** What the copy of a group's log holds. */
interface Held {
  readonly end: number;
  readonly digests: readonly (string | undefined)[];
}

/** Looks at the disks of all nodes that run. */
export async function audit(world: World, nodes: readonly SimNode[]): Promise<void> {
  const { timeline, invariants, groups } = world;
  const atMs = timeline.nowMs;
  const held = new Map<ReplicaId, Held>();
  for (const node of nodes) {
    if (!node.process) continue;
    const folder = await copyOf(world, node);
    for (const group of groups.keys()) {
      const g = node.process.driver.core.group(group);
      const log = folder.log(group);
      if (!g) continue;
      must(log !== undefined, `invariant 13: ${node.id} has group ${group}, and its disk does not`);
      // Bytes that changed by themselves are not what it promised.
      if (world.spoiled.get(group) === node.id || log.damage !== undefined) continue;
      const digests: (string | undefined)[] = [];
      for await (const header of log.headers(log.base.index)) digests[header.index] = hexOf(header.digest);
      const { index: end } = log.durableEnd;
      const term = Math.max(log.vote.term, log.durableEnd.term);
      const vote = log.vote.term === term ? log.vote.votedFor : undefined;
      const votedFor = vote ? `?/${hexOf(vote.diskId)}/${vote.life}` : null;
      const kept = { term, votedFor, end, digestAt: (index: number) => digests[index] };
      invariants.promisesOf(group).found(`the disk of ${node.id}, group ${group}`, g.self, kept);
      held.set(`${group}/${g.self}`, { end, digests });
    }
  }
  must(timeline.nowMs === atMs, "time passed while the disks were looked at");
  for (const group of groups.keys()) checkMajority(world, nodes, group, held);
  count(world, "what disks would keep was looked at");
}

/** All that was acknowledged is on the disks of a majority. */
function checkMajority(
  { invariants, spoiled }: World,
  nodes: readonly SimNode[],
  group: number,
  held: ReadonlyMap<ReplicaId, Held>,
): void {
  const leader = nodes
    .map(({ process }) => process?.driver.core.group(group))
    .find((g) => g?.role.kind === "leader" && g.log.votersAreCommitted);
  const end = invariants.acknowledgedEnd(group);
  // Voters that are down hold what they hold: nothing is said of them, and nothing without them.
  const voters = leader?.log.voters ?? [];
  const seen = voters.filter((voter) => held.has(`${group}/${voter}`));
  if (!leader || end === 0 || seen.length < voters.length || spoiled.size > 0 || invariants.hasForgotten(group)) return;
  const digest = invariants.committedAt(group, end - 1);
  const holding = voters.filter((voter) => {
    const has = held.get(`${group}/${voter}`);
    return has && has.end >= end && (has.digests[end - 1] ?? digest) === digest;
  });
  must(
    2 * holding.length > voters.length,
    `invariant 6: ${end} batches of group ${group} were acknowledged, and only the disks of ${holding.map(nodeOf).join()} hold them`,
  );
}

/** Opens what the disk of a node would keep. */
async function copyOf({ timeline, hash, plan, seed }: World, node: SimNode): Promise<DataFolder> {
  const random = SimRandom.of(seed, 8);
  const copy = new SimDisk({ timeline, random, totalBytes: volumeBytes, tally: new Map() });
  copy.putBack(node.image().disk);
  const disk = instantDisk(copy);
  return await openDataFolder({ path: folderPath, disk, clock: stillClock, hash, settings: plan.log, random });
}
