/**
 * Brings the groups of a node towards what the catalogue says: voters and leaders of those that it leads, one step of each at a
 * time; whom to fetch from where it is no voter; logs of streams that were moved away; and, where it leads `_meta`, where streams
 * are held and what is to end. What can't be done now is looked at again in the next round.
 * Elsewhere: which step is next (`placement/`), how it is taken (`raft/`), when a log may go (`moved-away.ts`).
 * @module
 */
import type { Logger } from "pino";
import { isBug } from "../base/assert.ts";
import { DiskError } from "../base/disk-errors.ts";
import { TailraceError } from "../base/errors.ts";
import type { VersionedSettings } from "../base/stream-settings.ts";
import type { Clock, Timer } from "../host/clock.ts";
import type { Membership } from "../membership/membership.ts";
import { replicaCount } from "../placement/cluster.ts";
import { metaPlacement } from "../placement/meta-placement.ts";
import { nextStep, type Step } from "../placement/next-step.ts";
import { evenLeaders, type PlacedGroup, rebalance } from "../placement/rebalance.ts";
import { type Group, sourceOf } from "../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId, replicaId } from "../raft/types.ts";
import type { RaftDriver } from "../replica/raft-driver.ts";
import type { ReplicaGroup } from "../replica/replica-group.ts";
import { metaGroup } from "../stream/meta-log.ts";
import type { LocalStreams } from "../stream/streams.ts";
import type { StoredStream } from "../wire/catalogue.ts";
import { EvenVoters } from "./even-voters.ts";
import { GroupViews } from "./group-views.ts";
import { hasMovedAway, mayGo, saidCommit } from "./moved-away.ts";
import { WantedReplicas } from "./wanted-replicas.ts";

/** What it looks at, and acts on. */
export interface ReconcilerOptions {
  readonly driver: RaftDriver;
  readonly streams: Pick<LocalStreams, "stored" | "settle" | "place" | "leave" | "delete" | "chosenVoters">;
  readonly membership: Pick<Membership, "members" | "onChange">;
  readonly votersWanted: number;
  /** The node has every stream, wherever that is placed. */
  readonly isObserver: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Settings of a stream as they are now. @param matters Whether they lead to a change: then they are asked of its leader. */
  readonly settingsOf: (
    stream: StoredStream,
    matters: (settings: VersionedSettings) => boolean,
  ) => Promise<VersionedSettings>;
  /** Told that a voter is one no more, since another replica of its node is: the node was wiped, or its log lost. */
  readonly replaced: () => void;
}

const intervalMs = 500;
/** A round that took long is followed by a pause so many times as long: thousands of groups cost no more than a fiftieth of a core. */
const pauseShare = 50;
/** Steps that are under way at once: each is a batch and a round trip. */
const stepsMax = 64;
/** Placements that one batch of `_meta` changes. */
const placementsMax = 500;
/** How often one that is no voter looks for the leader elsewhere. */
const hintIntervalMs = 2_000;
/** So long after a voter came up leaders are made even: it is to lead its share. Later they stay as somebody may want them. */
const evenForMs = 5_000;
/** So long a stream must have been moved away until its log goes: should it come back at once, nothing is fetched again. */
const awayForMs = 5_000;

export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #views: GroupViews;
  readonly #evenVoters: EvenVoters;
  readonly #wanted: WantedReplicas;
  /** Groups of which a step is under way. */
  readonly #busy = new Set<number>();
  readonly #hintAtMs = new Map<number, number>();
  /** Groups here of streams that were moved away: since when, and what was committed then. */
  readonly #away = new Map<number, { readonly sinceMs: number; readonly commit: number }>();
  #hints = 0;
  /** Nodes that may vote and were up in the last round, and when one came up that was not. */
  #upVoters: ReadonlySet<NodeId> = new Set();
  #cameAtMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isPlacing = false;
  #isStopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#views = new GroupViews(options.driver.options.settings.catchUpMaxBatches);
    this.#evenVoters = new EvenVoters(options.logger);
    this.#wanted = new WantedReplicas({ clock: options.clock, ask: (stream) => this.#settingsOf(stream) });
    this.#schedule();
  }

  /** No step begins any more. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Somebody said who is to lead: that stays, though a node came up just now. */
  leadersChosen(): void {
    this.#cameAtMs = Number.NEGATIVE_INFINITY;
  }

  #schedule(lastRoundMs = 0): void {
    if (this.#isStopped) return;
    const { clock } = this.#options;
    this.#timer = clock.after(Math.max(intervalMs, pauseShare * lastRoundMs), () => {
      const beginMs = clock.monotonicMs();
      try {
        this.#round();
      } finally {
        this.#schedule(clock.monotonicMs() - beginMs);
      }
    });
  }

  #round(): void {
    const { driver, streams, clock } = this.#options;
    const members = this.#options.membership.members();
    const up = new Set(members.filter(({ state }) => state === "alive" || state === "suspect").map(({ id }) => id));
    const alive = (node: NodeId) => up.has(node);
    const upVoters = new Set(members.filter(({ id, role }) => role === "voter" && up.has(id)).map(({ id }) => id));
    if ([...upVoters].some((node) => !this.#upVoters.has(node))) this.#cameAtMs = clock.monotonicMs();
    this.#upVoters = upVoters;
    const meta = driver.core.group(metaGroup);
    const isLeader = meta?.role.kind === "leader";
    this.#evenVoters.look(isLeader ? meta.log.voters.map(nodeOf) : undefined, clock.monotonicMs());
    if (meta) {
      if (isLeader) this.#leadMeta(meta, alive);
      else this.#wanted.forget();
      const placement = this.#metaPlacement(meta, alive);
      this.#look(meta, { placement, deleting: false, alive });
    }
    for (const stored of streams.stored()) {
      const g = driver.core.group(stored.id);
      if (!g) continue;
      this.#look(g, { placement: this.#nodesOf(stored), deleting: stored.isDeleting, alive });
      if (!stored.isDeleting) this.#letGo(g, stored);
    }
    const isHere = (group: number) => driver.group(group) !== undefined;
    this.#views.keep(isHere);
    for (const groups of [this.#hintAtMs, this.#away]) {
      for (const group of groups.keys()) if (!isHere(group)) groups.delete(group);
    }
    streams.settle().catch((error: unknown) => this.#failed("making and removing logs", error));
  }

  /** One group of this node. */
  #look(g: Group, wanted: { placement: readonly NodeId[]; deleting: boolean; alive: (node: NodeId) => boolean }): void {
    const { clock, driver } = this.#options;
    const found = driver.group(g.group);
    if (!found || this.#busy.has(g.group)) return;
    const view = this.#views.of(g, wanted, clock.monotonicMs());
    if (view) {
      const step = this.#busy.size < stepsMax ? (nextStep(view) ?? this.#call(g, wanted.placement)) : undefined;
      if (step) this.#do(g.group, () => this.#take(found, step));
      return;
    }
    if (!g.log.voters.includes(g.self)) this.#hint(g, wanted.placement);
  }

  /** A log of a stream that was moved away goes; until then it follows. */
  #letGo(g: Group, { nodes }: StoredStream): void {
    const { clock, driver, isObserver, streams } = this.#options;
    const { group } = g;
    if (isObserver || !hasMovedAway(g, nodes)) {
      this.#away.delete(group);
      return;
    }
    const nowMs = clock.monotonicMs();
    const away = this.#away.get(group);
    if (away === undefined) {
      const commit = saidCommit(g);
      if (commit !== undefined) this.#away.set(group, { sinceMs: nowMs, commit });
      return;
    }
    if (nowMs < away.sinceMs + awayForMs || this.#busy.size >= stepsMax) return;
    if (driver.group(group)?.changing === 0 && mayGo(g, away.commit)) this.#do(group, () => streams.leave(group));
  }

  /**
   * A replica of a node that is to vote, and does not fetch here: it may fetch from another, and does not know who leads. By
   * being named it is told, though it is refused for now.
   */
  #call(g: Group, placement: readonly NodeId[]): Step | undefined {
    const meta = this.#options.driver.core.group(metaGroup);
    for (const node of placement) {
      const isHere = [...g.log.voters, ...g.feeds.keys()].some((replica) => nodeOf(replica) === node);
      const disk = meta?.log.voters
        .findLast((voter) => nodeOf(voter) === node)
        ?.split("/")
        .at(-2);
      if (!isHere && disk !== undefined && g.log.votersAreCommitted) {
        return { kind: "add", replica: replicaId(node, disk, 0) };
      }
    }
    return undefined;
  }

  async #take(found: ReplicaGroup, step: Step): Promise<void> {
    const { logger } = this.#options;
    const voters = found.state?.log.voters ?? [];
    const what = { streamId: found.group, step: step.kind, replica: "replica" in step ? step.replica : step.to };
    // One node has two replicas among the voters only while the new one takes the place of the other.
    const isOther = (voter: ReplicaId) => voter !== what.replica && nodeOf(voter) === nodeOf(what.replica);
    const takesPlace = step.kind !== "transfer" && voters.some(isOther);
    switch (step.kind) {
      case "add":
        await found.change([...voters, step.replica]);
        break;
      case "remove":
        await found.change(voters.filter((voter) => voter !== step.replica));
        if (takesPlace) this.#options.replaced();
        break;
      case "transfer":
        await found.transfer(step.to);
        break;
    }
    logger.info(what, said(found.group, step, takesPlace));
  }

  /** Where streams are held, and which of them are to end. */
  #leadMeta(meta: Group, alive: (node: NodeId) => boolean): void {
    const { streams, clock } = this.#options;
    for (const { id, isDeleting, creation } of streams.stored()) {
      if (isDeleting) this.#do(id, async () => void (await streams.delete(creation.name, id)));
    }
    this.#wanted.look(streams.stored());
    if (this.#isPlacing || !meta.log.votersAreCommitted) return;
    const groups: PlacedGroup[] = [];
    for (const stored of streams.stored()) {
      const nodes = this.#nodesOf(stored);
      if (stored.isDeleting || nodes.length === 0) continue;
      groups.push({ id: stored.id, factor: this.#wanted.factorOf(stored.id) ?? nodes.length, nodes });
    }
    const voters = [...new Set(meta.log.voters.map(nodeOf))];
    const cluster = { voters, regions: this.#regions(), alive };
    const moved = rebalance(groups, cluster, placementsMax);
    const hasCome = clock.monotonicMs() < this.#cameAtMs + evenForMs;
    const placements = moved.length === 0 && hasCome ? evenLeaders(groups, cluster, placementsMax) : moved;
    if (placements.length === 0) return;
    this.#isPlacing = true;
    streams
      .place(placements)
      .catch((error: unknown) => this.#failed("placing streams", error))
      .finally(() => {
        this.#isPlacing = false;
      });
  }

  /** That a stream is held as its settings say anybody may tell who has it; what changes it only its leader. */
  #settingsOf(stored: StoredStream): Promise<VersionedSettings> {
    const { driver, settingsOf } = this.#options;
    const voters = new Set(driver.core.group(metaGroup)?.log.voters.map(nodeOf)).size;
    const held = this.#nodesOf(stored).length;
    return settingsOf(stored, ({ replicationFactor }) => replicaCount(replicationFactor, voters) !== held);
  }

  #metaPlacement(meta: Group, alive: (node: NodeId) => boolean): readonly NodeId[] {
    const { driver, membership, streams, votersWanted: wanted } = this.#options;
    const { added, removed } = streams.chosenVoters;
    const members = membership
      .members()
      .map(({ id: node, role, region }) => ({ node, role, region, alive: alive(node) }));
    return metaPlacement({
      ...{ self: driver.options.node, voters: meta.log.voters.map(nodeOf), members, wanted },
      ...{ added: new Set(added), removed: new Set(removed) },
    });
  }

  /** A stream of a node that was alone is where its voter is. */
  #nodesOf({ id, nodes }: StoredStream): readonly NodeId[] {
    if (nodes.length > 0) return nodes;
    const voters = this.#options.driver.core.group(id)?.log.voters ?? [];
    return voters.map(nodeOf).filter((node) => node !== "");
  }

  #regions(): ReadonlyMap<NodeId, string> {
    return new Map(this.#options.membership.members().map(({ id, region }) => [id, region]));
  }

  /** Tries one after the other of those that may lead, until one does. */
  #hint(g: Group, placement: readonly NodeId[]): void {
    const { clock, driver } = this.#options;
    const nowMs = clock.monotonicMs();
    const isIdle = sourceOf(g)?.answered !== true;
    if (nowMs < (this.#hintAtMs.get(g.group) ?? 0) && !isIdle) return;
    this.#hintAtMs.set(g.group, nowMs + hintIntervalMs);
    const meta = driver.core.group(metaGroup);
    const nodes = [...placement, ...(meta?.log.voters ?? []).map(nodeOf)];
    const others = [...new Set(nodes)].filter((node) => node !== driver.options.node && node !== "");
    this.#hints += 1;
    const node = others[this.#hints % others.length];
    if (node === undefined) return;
    const from: ReplicaId = replicaId(node, "", 0);
    driver.feed({ kind: "group", group: g.group, input: { kind: "hint", from } });
  }

  #do(group: number, work: () => Promise<void>): void {
    if (this.#busy.has(group)) return;
    this.#busy.add(group);
    work()
      .catch((error: unknown) => this.#failed(`group ${group}`, error))
      .finally(() => this.#busy.delete(group));
  }

  /** It is tried again; a fault of ours ends the node. */
  #failed(what: string, error: unknown): void {
    const { logger, driver } = this.#options;
    if (this.#isStopped) return;
    if (isBug(error)) driver.broken(error);
    else if (!(error instanceof DiskError) && !(error instanceof TailraceError)) {
      logger.debug({ why: String(error) }, `Not now: ${what}`);
    }
  }
}

/** @param takesPlace Another replica of its node is a voter, too: the node was wiped, or its log lost. */
function said(group: number, step: Step, takesPlace: boolean): string {
  const of = group === metaGroup ? "the cluster" : `the stream with id ${group}`;
  switch (step.kind) {
    case "add": {
      const node = nodeOf(step.replica);
      return takesPlace
        ? `${node} came back as a new replica, wiped or without its log: that one is a voter of ${of} now`
        : `${node} is a voter of ${of} now`;
    }
    case "remove": {
      const node = nodeOf(step.replica);
      return takesPlace
        ? `The replica that ${node} was before it came back as a new one is no voter of ${of} any more`
        : `${node} is no voter of ${of} any more`;
    }
    case "transfer":
      return `${nodeOf(step.to)} leads ${of} now`;
  }
}
