/**
 * Who leads in a cluster, as a person says: placements are written to `_meta`, the preferred leader first, and leadership goes
 * there by what brings groups there in any case (`reconciler.ts`). For the node that leads `_meta`.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import { evenLeaders } from "../placement/rebalance.ts";
import { type NodeId, nodeOf } from "../raft/types.ts";
import type { LeadershipMoved, LeadershipRequest } from "../server/api/cluster-view.ts";
import { metaGroup, metaName } from "../stream/meta-log.ts";
import type { Placement, StoredStream } from "../wire/catalogue.ts";
import { type ChangeGround, refused } from "./change-ground.ts";
import { leaderOf } from "./group-facts.ts";

const what = "Cannot have another node lead";

/** Resolves when leadership has gone where it can go for now. @throws {TailraceError} */
export async function transfer(ground: ChangeGround, request: LeadershipRequest): Promise<LeadershipMoved> {
  switch (request.kind) {
    case "stream":
      if (request.name === metaName) return await transferMeta(ground, request.to);
      return await setPlaces(ground, [handOver(ground, streamOf(ground, request.name), request.to, leadsOf(ground))]);
    case "node":
      return await leaveNode(ground, request);
    case "spread":
      return await setPlaces(ground, spread(ground));
  }
}

/** All that one node leads. `_meta` comes last, since who leads that does the rest. */
async function leaveNode(
  ground: ChangeGround,
  { id, to }: Extract<LeadershipRequest, { kind: "node" }>,
): Promise<LeadershipMoved> {
  ground.known(id);
  if (to !== undefined) ground.known(to);
  const placements: Placement[] = [];
  const leads = leadsOf(ground);
  let failure: string | undefined;
  let failed = 0;
  for (const stored of placed(ground)) {
    if (leaderOfStream(ground, stored) !== id) continue;
    try {
      placements.push(handOver(ground, stored, to, leads));
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error;
      failed += 1;
      failure ??= error.message;
    }
  }
  const moved = await setPlaces(ground, placements);
  const isMeta = id === ground.self;
  const meta = isMeta ? await transferMeta(ground, to).catch(failedMove) : nothingMoved;
  return {
    moved: moved.moved + meta.moved,
    failed: failed + moved.failed + meta.failed,
    failure: failure ?? moved.failure ?? meta.failure,
  };
}

async function transferMeta(ground: ChangeGround, to: NodeId | undefined): Promise<LeadershipMoved> {
  const { driver } = ground;
  const meta = ground.meta(what);
  if (to === ground.self) return nothingMoved;
  const chosen = to === undefined ? undefined : meta.log.voters.findLast((voter) => nodeOf(voter) === to);
  if (to !== undefined && chosen === undefined) throw refused(what, `node "${to}" does not vote`, "Name one that does");
  await ground.written(what, driver.group(metaGroup)?.transfer(chosen) ?? Promise.resolve());
  return { moved: 1, failed: 0, failure: undefined };
}

/** A placement whose first node is `to`, or else the one that is up and leads the least; it is counted in `leads`. */
function handOver(
  ground: ChangeGround,
  { id, creation, nodes }: StoredStream,
  to: NodeId | undefined,
  leads: Map<NodeId, number>,
): Placement {
  const now = leaderOfStream(ground, { id, nodes });
  if (to !== undefined && !nodes.includes(to)) {
    throw refused(what, `node "${to}" does not vote in "${creation.name}"`, `Name one of ${nodes.join(", ")}`);
  }
  if (to !== undefined && !ground.isUp(to)) throw refused(what, `node "${to}" is not up`, "Start it, then try again");
  const up = nodes.filter((node) => node !== now && ground.isUp(node));
  const led = (node: NodeId) => leads.get(node) ?? 0;
  const chosen = to ?? up.sort((a, b) => led(a) - led(b))[0];
  if (chosen === undefined) {
    throw refused(what, `no other node that holds "${creation.name}" is up`, "Start one of them, or add a voter");
  }
  leads.set(chosen, led(chosen) + 1);
  return { id, nodes: [chosen, ...nodes.filter((node) => node !== chosen)] };
}

function spread(ground: ChangeGround): readonly Placement[] {
  const groups = placed(ground).map(({ id, nodes }) => ({ id, factor: 0, nodes }));
  const cluster = { voters: ground.voters(), alive: (node: NodeId) => ground.isUp(node) };
  return evenLeaders(groups, cluster, groups.length).map(({ id, nodes }) => ({ id, nodes }));
}

/** Says where streams are led, and waits until they are. */
async function setPlaces(ground: ChangeGround, placements: readonly Placement[]): Promise<LeadershipMoved> {
  if (placements.length === 0) return nothingMoved;
  const { streams, driver } = ground;
  ground.leadersChosen();
  await ground.written(what, streams.place(placements));
  const isDone = ({ id, nodes: [first] }: Placement) => {
    const g = driver.core.group(id);
    // Of one that is not here nobody here can say more.
    return g === undefined || leaderOf(g) === first;
  };
  await ground.until(() => placements.every(isDone));
  const late = placements.filter((placement) => !isDone(placement));
  const [first] = late;
  return {
    moved: placements.length - late.length,
    failed: late.length,
    failure: first && `node ${first.nodes[0]} has not taken over yet; it does as soon as it has caught up`,
  };
}

function streamOf(ground: ChangeGround, name: string): StoredStream {
  const found = placed(ground).find(({ creation }) => creation.name === name);
  if (found) return found;
  throw new TailraceError("stream_not_found", {
    ...{ what: `Cannot find stream "${name}"`, why: "no stream has that name", todo: "See tailrace streams ls" },
  });
}

function placed(ground: ChangeGround): readonly StoredStream[] {
  return [...ground.streams.stored()].filter(({ isDeleting }) => !isDeleting);
}

/** Who leads it; where that is not known here, who is to. */
function leaderOfStream(ground: ChangeGround, { id, nodes }: Pick<StoredStream, "id" | "nodes">): NodeId | undefined {
  const g = ground.driver.core.group(id);
  return (g && leaderOf(g)) ?? nodes[0];
}

/** How many groups each node leads. */
function leadsOf(ground: ChangeGround): Map<NodeId, number> {
  const leads = new Map<NodeId, number>();
  for (const stored of placed(ground)) {
    const leader = leaderOfStream(ground, stored);
    if (leader !== undefined) leads.set(leader, (leads.get(leader) ?? 0) + 1);
  }
  return leads;
}

const nothingMoved: LeadershipMoved = { moved: 0, failed: 0, failure: undefined };

function failedMove(error: unknown): LeadershipMoved {
  if (!(error instanceof TailraceError)) throw error;
  return { moved: 0, failed: 1, failure: error.message };
}
