/**
 * What a person changes in a cluster: who votes (`voter-changes.ts`), and who leads (`leader-changes.ts`). The node that leads
 * `_meta` does it; another one passes it on. Who asked is answered when it is done.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import type { NodeId } from "../raft/types.ts";
import type { ClusterChanges, LeadershipMoved, LeadershipRequest } from "../server/api/cluster-view.ts";
import { LostError, UnreachableError } from "../stream/peers.ts";
import { ChangeGround, type GroundParts, notYet } from "./change-ground.ts";
import { leaderOf } from "./group-facts.ts";
import { transfer } from "./leader-changes.ts";
import { addVoter, removeVoter } from "./voter-changes.ts";

/** What it stands on. */
export interface NodeChangesOptions extends GroundParts {
  /**
   * Another node, that does what it is asked itself, or says that it does not lead: `not_leader`. Each throws
   * `UnreachableError` where there is no way to it, and `LostError` where no answer came.
   */
  readonly at: (node: NodeId) => ClusterChanges;
}

export class NodeChanges implements ClusterChanges {
  readonly #ground: ChangeGround;
  readonly #at: NodeChangesOptions["at"];

  constructor(options: NodeChangesOptions) {
    this.#ground = new ChangeGround(options);
    this.#at = options.at;
  }

  addVoter(node: string, mayPassOn: boolean): Promise<readonly string[]> {
    const there = (leader: ClusterChanges) => leader.addVoter(node, false);
    return this.#byLeader(mayPassOn, () => addVoter(this.#ground, node), there);
  }

  removeVoter(node: string, force: boolean, mayPassOn: boolean): Promise<readonly string[]> {
    const there = (leader: ClusterChanges) => leader.removeVoter(node, force, false);
    return this.#byLeader(mayPassOn, () => removeVoter(this.#ground, node, force), there);
  }

  transferLeadership(request: LeadershipRequest, mayPassOn: boolean): Promise<LeadershipMoved> {
    const there = (leader: ClusterChanges) => leader.transferLeadership(request, false);
    return this.#byLeader(mayPassOn, () => transfer(this.#ground, request), there);
  }

  /** Does it by the node that leads `_meta`: here, or there. Who turns out not to lead has done nothing: another is asked. */
  async #byLeader<T>(
    mayPassOn: boolean,
    here: () => Promise<T>,
    there: (leader: ClusterChanges) => Promise<T>,
  ): Promise<T> {
    const ground = this.#ground;
    const leader = leaderOf(ground.meta(what));
    const { self } = ground;
    if (leader === self) return await here();
    if (!mayPassOn) throw notLeader(leader);
    const voters = ground.voters().filter((node) => ground.isUp(node));
    const candidates = [...new Set([...(leader === undefined ? [] : [leader]), ...voters])];
    for (const node of candidates.filter((candidate) => candidate !== self)) {
      try {
        return await there(this.#at(node));
      } catch (error) {
        if (error instanceof LostError) {
          const todo = "See tailrace cluster status, whether it was done; then try again";
          throw notYet(what, `node "${node}" gave no answer (${error.message})`, todo);
        }
        const isNotLeader = error instanceof TailraceError && error.reason === "not_leader";
        if (!isNotLeader && !(error instanceof UnreachableError)) throw error;
      }
    }
    throw notYet(
      what,
      "no leader of the cluster was found",
      "Try again in some seconds, or see tailrace cluster status",
    );
  }
}

const what = "Cannot change the cluster";

function notLeader(leader: NodeId | undefined): TailraceError {
  const who = leader === undefined ? "and does not know who does" : `${leader} does`;
  const todo = "Ask another node, or let this one pass it on";
  return new TailraceError("not_leader", { what, why: `this node does not lead the cluster, ${who}`, todo });
}
