/**
 * Who votes in a cluster, as a person says: written to `_meta`, and done by what brings groups there in any case
 * (`reconciler.ts`). For the node that leads `_meta`.
 * @module
 */
import type { Group } from "../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../raft/types.ts";
import { RefusedError } from "../replica/replica-errors.ts";
import { metaGroup } from "../stream/meta-log.ts";
import { type ChangeGround, notYet, refused } from "./change-ground.ts";
import { followersOf } from "./group-facts.ts";

/** Resolves with the voters, once the node is one. @throws {TailraceError} */
export async function addVoter(ground: ChangeGround, node: NodeId): Promise<readonly NodeId[]> {
  const what = `Cannot add node "${node}" to the voters`;
  const { streams } = ground;
  const { added, removed } = streams.chosenVoters;
  const isVoter = ground.voters().includes(node);
  if (!isVoter) {
    const known = ground.known(node);
    if (known.role === "observer") {
      throw refused(what, "it was started as an observer", "Start it again with --role voter");
    }
    if (known.state !== "alive") throw refused(what, `it is ${known.state}`, "Start it, then add it");
  }
  if (!isVoter || removed.includes(node)) {
    const others = added.filter((other) => other !== node);
    const chosen = { added: [...others, node], removed: removed.filter((other) => other !== node) };
    await ground.written(what, streams.chooseVoters(chosen));
  }
  const isDone = await ground.until(() => ground.voters().includes(node));
  if (isDone) return ground.voters();
  throw notYet(what, "it has not caught up with the cluster's own log", "It becomes one by itself as soon as it has");
}

/** Resolves with the voters, once the node is none. `force`: whether or not the others are up. @throws {TailraceError} */
export async function removeVoter(ground: ChangeGround, node: NodeId, force: boolean): Promise<readonly NodeId[]> {
  const what = `Cannot remove node "${node}" from the voters`;
  const { streams, self } = ground;
  const meta = ground.meta(what);
  const isVoter = ground.voters().includes(node);
  if (!isVoter) ground.known(node);
  const left = meta.log.voters.filter((voter) => nodeOf(voter) !== node);
  if (left.length === 0) throw refused(what, "it is the only one", "Add another first");
  if (isVoter && !force) checkMajority(what, meta, left);
  const { added, removed } = streams.chosenVoters;
  const others = removed.filter((other) => other !== node);
  const chosen = { added: added.filter((other) => other !== node), removed: [...others, node] };
  await ground.written(what, streams.chooseVoters(chosen));
  if (force && node !== self) await ground.written(what, removeAnyhow(ground, node));
  const isDone = await ground.until(() => !ground.voters().includes(node));
  if (isDone) return ground.voters();
  throw notYet(
    what,
    "the voters that stay have not agreed to it",
    "It goes by itself as soon as a majority of them is up",
  );
}

/** One replica at a time, whether or not the others are up. Where another change is under way, that one ends first. */
async function removeAnyhow(ground: ChangeGround, node: NodeId): Promise<void> {
  const { driver } = ground;
  let last: unknown;
  const isDone = await ground.until(async () => {
    const voters = driver.core.group(metaGroup)?.log.voters ?? [];
    const gone = voters.find((voter) => nodeOf(voter) === node);
    const replica = driver.group(metaGroup);
    if (gone === undefined || replica === undefined) return true;
    const left = voters.filter((voter) => voter !== gone);
    try {
      await replica.change(left, true);
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      last = error;
    }
    return false;
  });
  if (!isDone) throw last;
}

/** Who is left must have a majority that follows, or nothing would be committed any more. */
function checkMajority(what: string, meta: Group, left: readonly ReplicaId[]): void {
  const standing = new Set(followersOf(meta).flatMap(({ replica, isStanding }) => (isStanding ? [replica] : [])));
  const missing = left.filter((voter) => voter !== meta.self && !standing.has(voter));
  if (2 * (left.length - missing.length) > left.length) return;
  const names = [...new Set(missing.map(nodeOf))].join(", ");
  throw refused(what, `of the voters that stay ${names} must be up, and are not`, `Start ${names}, or use --force`);
}
