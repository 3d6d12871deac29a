/**
 * Which placements must change when nodes come and go, so that each group has its replicas and no node holds much more than
 * another. Replicas are moved as little as that allows: data that moves costs disk and network, and the group meanwhile
 * depends on one more. In this order, since each step keeps what the ones before it did:
 *
 * 1. A node that is no voter any more is replaced, a missing replica added, one too many dropped.
 * 2. Replicas that crowd one region go to another that has fewer.
 * 3. Replicas go from nodes that hold the most to nodes that hold the least, until two differ by one at most, or only by
 *    crowding regions again.
 * 4. Of a group that changes anyway another node may come first, so that leaders become even. The others' preferred leaders
 *    stay, since somebody may have chosen them: `evenLeaders` is for when a node came, or that is asked for.
 *
 * A node that is down and still a voter keeps what it has: whoever wants it replaced removes it. It gets nothing new.
 * @module
 */
import type { NodeId } from "../raft/types.ts";
import { crowd, isAlive, least, replicaCount, type Voters } from "./cluster.ts";
import { nextReplica } from "./place.ts";

/** A group and its placement. */
export interface PlacedGroup {
  readonly id: number;
  /** Replicas that are wanted; 0: three. */
  readonly factor: number;
  /** The preferred leader first. */
  readonly nodes: readonly NodeId[];
}

/**
 * Placements to change, at most `most`: called again when those are carried out, it goes on, until none is left.
 * @param groups All that are placed; `_meta` and what is being deleted are not.
 */
export function rebalance(groups: Iterable<PlacedGroup>, cluster: Voters, most: number): readonly PlacedGroup[] {
  if (cluster.voters.length === 0) return [];
  const plan = new Plan(groups, cluster, most);
  plan.repair();
  plan.spreadRegions();
  plan.evenReplicas();
  plan.evenLeaders(0);
  return plan.changes();
}

/**
 * Placements that say the same nodes in another order, so that leaders become even as far as swaps within groups go, at most
 * `most` of them. Nothing moves for it but leadership.
 */
export function evenLeaders(groups: Iterable<PlacedGroup>, cluster: Voters, most: number): readonly PlacedGroup[] {
  const plan = new Plan(groups, cluster, most);
  plan.evenLeaders(most);
  return plan.changes();
}

/** A group in the plan. */
interface Planned {
  readonly group: PlacedGroup;
  nodes: readonly NodeId[];
  isChanged: boolean;
}

/** Two nodes, of which the first holds more. */
interface Pair {
  readonly from: NodeId;
  readonly to: NodeId;
}

/** The placements as they are to be. */
class Plan {
  readonly #cluster: Voters;
  readonly #groups: readonly Planned[];
  readonly #changed: Planned[] = [];
  readonly #live: readonly NodeId[];
  /** Of live voters. */
  readonly #liveRegions: ReadonlySet<string | undefined>;
  readonly #replicas: Map<NodeId, number>;
  readonly #leaders: Map<NodeId, number>;
  /** Groups below this place do not fit a move, by its nodes: `from to`. */
  readonly #looked = new Map<string, number>();
  /** Placements that may still be changed. */
  #left: number;

  constructor(groups: Iterable<PlacedGroup>, cluster: Voters, most: number) {
    this.#cluster = cluster;
    this.#groups = [...groups].map((group) => ({ group, nodes: group.nodes, isChanged: false }));
    this.#live = cluster.voters.filter((node) => isAlive(cluster, node));
    this.#liveRegions = new Set(this.#live.map((node) => cluster.regions?.get(node)));
    this.#replicas = new Map(cluster.voters.map((node) => [node, 0]));
    this.#leaders = new Map(cluster.voters.map((node) => [node, 0]));
    this.#left = most;
    for (const { nodes } of this.#groups) this.#count(nodes, 1);
  }

  changes(): readonly PlacedGroup[] {
    return this.#groups.filter(({ isChanged }) => isChanged).map(({ group, nodes }) => ({ ...group, nodes }));
  }

  repair(): void {
    for (const planned of this.#groups) {
      if (this.#left === 0) return;
      if (this.#isRight(planned)) continue;
      const repaired = this.#repaired(planned);
      if (!sameNodes(repaired, planned.nodes)) this.#set(planned, repaired);
    }
  }

  spreadRegions(): void {
    if (this.#liveRegions.size < 2) return;
    for (const planned of this.#groups) {
      if (!this.#mayChange(planned)) continue;
      for (let pair = this.#lessCrowded(planned); pair; pair = this.#lessCrowded(planned)) this.#replace(planned, pair);
    }
  }

  evenReplicas(): void {
    for (let move = this.#replicaMove(); move; move = this.#replicaMove()) this.#replace(move.planned, move.pair);
  }

  /** @param most Groups that may change for this alone. */
  evenLeaders(most: number): void {
    this.#left = most;
    for (let swap = this.#leaderSwap(); swap; swap = this.#leaderSwap()) {
      const { planned, to } = swap;
      this.#set(planned, [to, ...planned.nodes.filter((node) => node !== to)]);
    }
  }

  /** Whether it is on as many nodes as it should be, all of them voters: most are, and nothing else costs less to see. */
  #isRight({ group, nodes }: Planned): boolean {
    const { voters } = this.#cluster;
    if (nodes.length !== replicaCount(group.factor, voters.length)) return false;
    return nodes.every((node, at) => this.#replicas.has(node) && nodes.indexOf(node) === at);
  }

  /** The nodes of a group, with as many as there should be, all of them voters. */
  #repaired({ group, nodes: before }: Planned): readonly NodeId[] {
    const cluster = this.#cluster;
    const wanted = replicaCount(group.factor, cluster.voters.length);
    const nodes = before.filter((node, at) => cluster.voters.includes(node) && before.indexOf(node) === at);
    while (nodes.length > wanted) {
      const rank = (node: NodeId) => [
        isAlive(cluster, node) ? 1 : 0,
        -crowd(cluster, nodes, node),
        // The preferred leader stays, where nothing else speaks for another.
        node === nodes[0] ? 1 : 0,
        -held(this.#replicas, node),
      ];
      const dropped = least(nodes, rank);
      nodes.splice(0, nodes.length, ...nodes.filter((node) => node !== dropped));
    }
    while (nodes.length < wanted) {
      const next = nextReplica(cluster, nodes, (node) => held(this.#replicas, node));
      if (next === undefined) break;
      nodes.push(next);
    }
    if (nodes[0] === before[0]) return nodes;
    const leader = least(nodes, (node) => [isAlive(cluster, node) ? 0 : 1, held(this.#leaders, node)]);
    return leader === undefined ? nodes : [leader, ...nodes.filter((node) => node !== leader)];
  }

  /** A replica of a group that another region could have, with fewer there; undefined: there is none. */
  #lessCrowded({ nodes }: Planned): Pair | undefined {
    const cluster = this.#cluster;
    if (!this.#isCrowded(nodes)) return undefined;
    const from = least(
      nodes.filter((node) => this.#live.includes(node)),
      (node) => [-crowd(cluster, nodes, node), -held(this.#replicas, node)],
    );
    if (from === undefined) return undefined;
    const others = this.#live.filter((node) => !nodes.includes(node));
    const to = least(others, (node) => [crowd(cluster, nodes, node), held(this.#replicas, node)]);
    if (to === undefined || crowd(cluster, nodes, to) + 1 >= crowd(cluster, nodes, from)) return undefined;
    return { from, to };
  }

  /** Whether one of a group's regions has two replicas more of it than another has that could take one. */
  #isCrowded(nodes: readonly NodeId[]): boolean {
    const { regions } = this.#cluster;
    const counts = new Map<string | undefined, number>();
    let most = 0;
    for (const node of nodes) {
      const region = regions?.get(node);
      const count = (counts.get(region) ?? 0) + 1;
      counts.set(region, count);
      most = Math.max(most, count);
    }
    for (const region of this.#liveRegions) if ((counts.get(region) ?? 0) + 1 < most) return true;
    return false;
  }

  #replicaMove(): { planned: Planned; pair: Pair } | undefined {
    for (const pair of uneven(this.#live, this.#replicas)) {
      const planned = this.#movable(pair);
      if (planned) return { planned, pair };
    }
    return undefined;
  }

  /** A group of which `to` could hold a replica in place of `from`. What did not fit before is not looked at again. */
  #movable(pair: Pair): Planned | undefined {
    const { from, to } = pair;
    const fits = (found: Planned) =>
      found.nodes.includes(from) && !found.nodes.includes(to) && this.#mayReplace(found.nodes, pair);
    if (this.#left === 0) return this.#changed.find(fits);
    const way = `${from} ${to}`;
    for (let at = this.#looked.get(way) ?? 0; at < this.#groups.length; at++) {
      const found = this.#groups[at];
      if (found === undefined || !fits(found)) continue;
      this.#looked.set(way, at);
      return found;
    }
    this.#looked.set(way, this.#groups.length);
    return undefined;
  }

  #leaderSwap(): { planned: Planned; to: NodeId } | undefined {
    for (const { from, to } of uneven(this.#live, this.#leaders)) {
      const planned = (this.#left > 0 ? this.#groups : this.#changed).find(
        (found) => found.nodes[0] === from && found.nodes.includes(to) && this.#mayChange(found),
      );
      if (planned) return { planned, to };
    }
    return undefined;
  }

  /** Whether a group's regions are no more crowded after it. */
  #mayReplace(nodes: readonly NodeId[], { from, to }: Pair): boolean {
    const cluster = this.#cluster;
    const { regions } = cluster;
    if (regions === undefined || regions.get(from) === regions.get(to)) return true;
    return crowd(cluster, nodes, to) < crowd(cluster, nodes, from);
  }

  #mayChange(planned: Planned): boolean {
    return planned.isChanged || this.#left > 0;
  }

  /** `to` takes the place of `from`, as the preferred leader too. */
  #replace(planned: Planned, { from, to }: Pair): void {
    this.#set(
      planned,
      planned.nodes.map((node) => (node === from ? to : node)),
    );
  }

  #set(planned: Planned, nodes: readonly NodeId[]): void {
    if (!planned.isChanged) {
      planned.isChanged = true;
      this.#left -= 1;
      this.#changed.push(planned);
    }
    this.#count(planned.nodes, -1);
    planned.nodes = nodes;
    this.#count(nodes, 1);
  }

  #count(nodes: readonly NodeId[], change: number): void {
    for (const [at, node] of nodes.entries()) {
      if (!this.#replicas.has(node)) continue;
      this.#replicas.set(node, held(this.#replicas, node) + change);
      if (at === 0) this.#leaders.set(node, held(this.#leaders, node) + change);
    }
  }
}

/** Pairs that differ by more than one, those that differ the most first. */
function uneven(nodes: readonly NodeId[], counts: ReadonlyMap<NodeId, number>): readonly Pair[] {
  const differ = ({ from, to }: Pair) => held(counts, from) - held(counts, to);
  const pairs = nodes.flatMap((from) => nodes.map((to) => ({ from, to })));
  return pairs.filter((pair) => differ(pair) > 1).sort((a, b) => differ(b) - differ(a));
}

function held(counts: ReadonlyMap<NodeId, number>, node: NodeId): number {
  return counts.get(node) ?? 0;
}

function sameNodes(a: readonly NodeId[], b: readonly NodeId[]): boolean {
  return a.length === b.length && a.every((node, at) => node === b[at]);
}
