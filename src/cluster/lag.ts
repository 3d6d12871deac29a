/**
 * How far nodes are behind in what is led here.
 * @module
 */
import type { GroupLog } from "../log/types.ts";
import type { Group } from "../raft/group.ts";
import { type NodeId, nodeOf } from "../raft/types.ts";
import type { ServerLag } from "../server/api/cluster-view.ts";
import { behind, type FollowerFacts, followersOf } from "./group-facts.ts";

/** A group that may be led here. */
export interface LedGroup {
  readonly name: string;
  readonly group: Group;
  readonly log: GroupLog;
  /** Nodes that are to hold it. */
  readonly placement: readonly NodeId[];
}

/** Where a node is the furthest behind. */
interface Worst {
  readonly led: LedGroup;
  /** Undefined: it follows nowhere. */
  readonly follower: FollowerFacts | undefined;
  readonly batches: number | undefined;
  streams: number;
}

/** Lags by node; one that lacks nothing is not there. @param nowMicros Microseconds since 1970. */
export async function lagsOf(groups: Iterable<LedGroup>, nowMicros: number): Promise<ReadonlyMap<NodeId, ServerLag>> {
  const worst = new Map<NodeId, Worst>();
  for (const led of groups) {
    if (led.group.role.kind === "leader") look(led, worst);
  }
  const lags = [...worst].map(async ([node, found]) => [node, await lagOf(found, nowMicros)] as const);
  return new Map(await Promise.all(lags));
}

function look(led: LedGroup, worst: Map<NodeId, Worst>): void {
  const { group, placement } = led;
  const byNode = new Map<NodeId, FollowerFacts | undefined>();
  for (const node of placement) byNode.set(node, undefined);
  for (const follower of followersOf(group)) {
    // Of a node that was wiped, the replica that it was may be a voter still.
    if (byNode.get(follower.node)?.isStanding !== true) byNode.set(follower.node, follower);
  }
  byNode.delete(nodeOf(group.self));
  for (const [node, follower] of byNode) {
    const batches = follower && behind(follower, group.log.commit);
    if (batches === 0) continue;
    const known = worst.get(node);
    const streams = (known?.streams ?? 0) + 1;
    const isWorse = known === undefined || (batches ?? 0) > (known.batches ?? 0);
    worst.set(node, isWorse ? { led, follower, batches, streams } : { ...known, streams });
  }
}

async function lagOf({ led, follower, batches, streams }: Worst, nowMicros: number): Promise<ServerLag> {
  const { group, log } = led;
  const held = follower?.held;
  const end = group.log.commit;
  const reason = follower?.isStanding !== true ? "not_following" : follower.isFull ? "slow" : "catching_up";
  const appendedMicros = held === undefined ? undefined : await appendTimeAt(log, held, end);
  return {
    ...{ stream: led.name, reason, streams },
    ...(batches === undefined ? {} : { batches }),
    ...(held === undefined ? {} : { bytes: bytesBetween(log, held, end) }),
    ...(appendedMicros === undefined ? {} : { ms: Math.max(nowMicros - appendedMicros, 0) / 1000 }),
  };
}

/** When the first batch at or above an index was appended; undefined: it can't be read. */
async function appendTimeAt(log: GroupLog, index: number, end: number): Promise<number | undefined> {
  const from = Math.max(index, log.base.index);
  try {
    const [batch] = await log.read({ from: { index: from }, belowIndex: Math.min(from + 1, end), maxBytes: 1 });
    return batch?.appendTimeMicros;
  } catch {
    // The files may be going, or damaged: their owner is told of that.
    return undefined;
  }
}

/** Bytes of the batches between, about: those of a segment are taken to be of one size. */
function bytesBetween(log: GroupLog, from: number, end: number): number {
  const sizes = log.segmentSizes();
  let bytes = 0;
  for (const [at, { firstIndex, sizeBytes }] of sizes.entries()) {
    const nextIndex = sizes[at + 1]?.firstIndex ?? Math.max(log.durableEnd.index, firstIndex + 1);
    const count = Math.min(nextIndex, end) - Math.max(firstIndex, from);
    if (count > 0) bytes += (sizeBytes * count) / (nextIndex - firstIndex);
  }
  return Math.round(bytes);
}
