/**
 * Groups that this node leads, as the placement's rules look at them (`placement/next-step.ts`): what the core knows now, and
 * for how long that has been so.
 * @module
 */
import type { FollowerView, GroupView } from "../placement/next-step.ts";
import { heldBy } from "../raft/commit.ts";
import type { Group, LeaderRole } from "../raft/group.ts";
import type { NodeId, ReplicaId } from "../raft/types.ts";

/** What is remembered of a group while it is led here. */
interface Led {
  readonly term: number;
  readonly sinceMs: number;
  /** Since when followers stand and have caught up. */
  readonly steadySinceMs: Map<ReplicaId, number>;
}

/** What the catalogue and gossip add. */
export interface Wanted {
  readonly placement: readonly NodeId[];
  readonly deleting: boolean;
  readonly alive: (node: NodeId) => boolean;
}

/** Views of one node's groups. */
export class GroupViews {
  readonly #catchUpMaxBatches: number;
  readonly #led = new Map<number, Led>();

  /** @param catchUpMaxBatches How far a replica may be behind to be counted as caught up. */
  constructor(catchUpMaxBatches: number) {
    this.#catchUpMaxBatches = catchUpMaxBatches;
  }

  /** The group's view; undefined: it is not led here. */
  of(g: Group, wanted: Wanted, nowMs: number): GroupView | undefined {
    const { role, term } = g;
    if (role.kind !== "leader") {
      this.#led.delete(g.group);
      return undefined;
    }
    let led = this.#led.get(g.group);
    if (led?.term !== term) {
      led = { term, sinceMs: nowMs, steadySinceMs: new Map() };
      this.#led.set(g.group, led);
    }
    return {
      ...{ group: g.group, self: g.self, voters: g.log.voters, ...wanted, leadingForMs: nowMs - led.sinceMs },
      isChanging: role.change !== undefined || role.handover !== undefined || !g.log.votersAreCommitted,
      followers: this.#followers(g, role, led, nowMs),
    };
  }

  /** Forgets the groups that are here no more. */
  keep(isHere: (group: number) => boolean): void {
    for (const group of this.#led.keys()) if (!isHere(group)) this.#led.delete(group);
  }

  #followers(g: Group, role: LeaderRole, { steadySinceMs }: Led, nowMs: number): FollowerView[] {
    const enough = g.log.end - this.#catchUpMaxBatches;
    const views: FollowerView[] = [];
    for (const replica of g.feeds.keys()) {
      const caughtUp = heldBy(g, role, replica) >= enough;
      if (!caughtUp) steadySinceMs.delete(replica);
      else if (!steadySinceMs.has(replica)) steadySinceMs.set(replica, nowMs);
      const steadyMs = nowMs - (steadySinceMs.get(replica) ?? nowMs);
      views.push({ replica, standing: true, caughtUp, steadyMs });
    }
    for (const replica of steadySinceMs.keys()) if (!g.feeds.has(replica)) steadySinceMs.delete(replica);
    return views;
  }
}
