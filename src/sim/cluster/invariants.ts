/**
 * What must hold in every moment of a cluster's life (raft.md, "Invariants"), looked at after each step of each node.
 * Elsewhere: chains of batches (`chain.ts`), promises (`promise-watch.ts`), sessions (`session-watch.ts`), what disks would
 * keep (`audit.ts`), what checkpoints say (`checkpoints.ts`), what clients saw (`history/`).
 * @module
 */

import type { Group } from "../../raft/group.ts";
import type { Input } from "../../raft/inputs.ts";
import type { Effect } from "../../raft/turn.ts";
import {
  type Call,
  type FollowerMessage,
  type LeaderMessage,
  type NodeId,
  nodeOf,
  type RaftSettings,
  type ReplicaId,
} from "../../raft/types.ts";
import { hexOf } from "../../replica/core-batch.ts";
import { must } from "../must.ts";
import type { Timeline } from "../timeline.ts";
import { Chain } from "./chain.ts";
import { checkPreVotes } from "./pre-votes.ts";
import { keptOf, PromiseWatch } from "./promise-watch.ts";
import { SessionWatch } from "./session-watch.ts";

/** All that is known of one group, of all nodes. */
class GroupFacts {
  readonly chain: Chain;
  readonly promises = new PromiseWatch();
  readonly leaders = new Map<number, ReplicaId>();
  /** All below was acknowledged to some client. */
  acknowledgedEnd = 0;
  /** What replicas were counted for, of which an old copy came back. */
  readonly forgot = new Map<ReplicaId, Counted>();

  constructor(group: number) {
    this.chain = new Chain(group);
  }
}

/** What a leader counted a replica for, before an old copy of its disk came back. */
export interface Counted {
  readonly group: number;
  readonly replica: ReplicaId;
  readonly term: number;
  readonly end: number;
}

/** A replica in one life of its process. */
interface Watched {
  term: number;
  commit: number;
  base: number;
  /** Its disk has all below. */
  durable: number;
  /** Digests by index, as far as they were seen. */
  digests: (string | undefined)[];
  /** Reads that wait, and what had been acknowledged when each began. */
  readonly reads: Map<number, number>;
  /** How often it fetched since a time. */
  fetches: { sinceMs: number; count: number };
}

/** Most replicas of a group: nodes, and disks that they had. */
const replicasMax = 32;

/** Most fetches of one group in a second: who is refused, or finds nobody, waits before it asks again. */
const fetchesMax = 40;

/** A group of a process that steps. */
type GroupOf = (group: number) => Group | undefined;

/** Watches a cluster. */
export class Invariants {
  readonly #settings: RaftSettings;
  readonly #timeline: Timeline;
  readonly #groups = new Map<number, GroupFacts>();
  readonly #watched = new Map<string, Watched>();
  readonly #sessions = new Map<NodeId, SessionWatch>();

  constructor(settings: RaftSettings, timeline: Timeline) {
    this.#settings = settings;
    this.#timeline = timeline;
  }

  /** A process begins. */
  started(node: NodeId): void {
    this.#sessions.set(node, new SessionWatch(node));
  }

  /** A group is opened by a process: with these digests, by index. `kept`: the commit index that its disk kept. */
  opened(node: NodeId, g: Group, digests: (string | undefined)[], kept: number): void {
    const { chain, promises, forgot } = this.#factsOf(g.group);
    const name = `${node}, group ${g.group}`;
    const { commit, base, durable } = g.log;
    // Only who has less than it was counted for has forgotten something.
    if ((forgot.get(g.self)?.end ?? 0) <= durable) forgot.delete(g.self);
    const watched = {
      term: g.term,
      commit,
      base: base.index,
      durable,
      digests,
      reads: new Map(),
      fetches: { sinceMs: 0, count: 0 },
    };
    this.#watched.set(keyOf(node, g), watched);
    for (const [index, digest] of digests.entries()) {
      if (digest === undefined) continue;
      chain.link({ index, term: g.log.termAt(index) ?? -1, before: digests[index - 1] }, digest);
    }
    must(commit >= kept, `invariant 4: ${name} had committed ${kept}, and after a start ${commit}`);
    chain.committedTo(name, { term: g.term, commit }, digests);
    promises.found(name, g.self, keptOf(g, digests));
  }

  /** An old copy of a node's disk is there again: what it said before, it can't know, and who counted it must see that. */
  putBack(node: NodeId, counted: readonly Counted[]): void {
    for (const { promises } of this.#groups.values()) promises.forget(node);
    for (const one of counted) this.#factsOf(one.group).forgot.set(one.replica, one);
  }

  /** What was promised in a group. */
  promisesOf(group: number): PromiseWatch {
    return this.#factsOf(group).promises;
  }

  /** A step was taken, and this comes of it. */
  stepped(node: NodeId, input: Input, effects: readonly Effect[], groupOf: GroupOf): void {
    this.#sessions.get(node)?.stepped(input, effects);
    const touched = new Set<number>();
    if (input.kind === "group") {
      touched.add(input.group);
      this.#input(node, groupOf(input.group), input.input);
    }
    if (input.kind === "called") checkPreVotes(node, input.calls, effects, groupOf);
    for (const effect of effects) {
      this.#effect(node, effect, groupOf);
      if ("group" in effect) touched.add(effect.group);
    }
    for (const group of touched) {
      const g = groupOf(group);
      if (g) this.#check(node, g);
    }
  }

  /** An append was acknowledged: it is committed there. */
  acknowledged(group: number, index: number, digest: Uint8Array): void {
    const facts = this.#factsOf(group);
    must(
      facts.chain.committedAt(index) === hexOf(digest),
      `invariant 6: batch ${index} of group ${group} was acknowledged, and is not committed`,
    );
    facts.acknowledgedEnd = Math.max(facts.acknowledgedEnd, index + 1);
  }

  /** First index of a group that was not acknowledged to any client. */
  acknowledgedEnd(group: number): number {
    return this.#factsOf(group).acknowledgedEnd;
  }

  /** Whether an old copy of a disk made a replica of a group forget what it had. */
  hasForgotten(group: number): boolean {
    return this.#factsOf(group).forgot.size > 0;
  }

  /** The digest of what is committed at an index. */
  committedAt(group: number, index: number): string | undefined {
    return this.#factsOf(group).chain.committedAt(index);
  }

  /** First index of a group that is not known to be committed. */
  committedEnd(group: number): number {
    return this.#factsOf(group).chain.committedEnd;
  }

  #input(node: NodeId, g: Group | undefined, input: Extract<Input, { kind: "group" }>["input"]): void {
    if (input.kind === "appended") this.#appended(node, g, input.batch);
    const watched = g && this.#watchedOf(node, g);
    if (input.kind === "linearize") watched?.reads.set(input.read, this.#factsOf(g?.group ?? 0).acknowledgedEnd);
  }

  #effect(node: NodeId, effect: Effect, groupOf: GroupOf): void {
    switch (effect.kind) {
      case "toLeader":
        for (const message of effect.messages) this.#told(node, message, groupOf);
        return;
      case "toFollower":
        for (const message of effect.messages) this.#said(message, groupOf);
        return;
      case "call":
        for (const call of effect.calls) this.#called(call, groupOf);
        return;
      case "openSession":
      case "closeSession":
      case "endSession":
      case "wake":
        return;
      default: {
        const g = groupOf(effect.group);
        const watched = g && this.#watchedOf(node, g);
        if (g && watched) this.#inGroup(node, g, watched, effect);
      }
    }
  }

  #inGroup(node: NodeId, g: Group, watched: Watched, effect: Extract<Effect, { group: number }>): void {
    const { chain, promises } = this.#factsOf(g.group);
    switch (effect.kind) {
      case "write":
        for (const batch of effect.batches) this.#appended(node, g, batch);
        return;
      case "install": {
        const { index, digest } = effect.checkpoint;
        must(
          chain.committedAt(index) === hexOf(digest),
          `invariant 10: ${node} begins group ${g.group} anew with batch ${index}, which is not committed`,
        );
        watched.digests = [];
        watched.base = index;
        this.#appended(node, g, effect.checkpoint);
        promises.restarted(g.self);
        return;
      }
      case "cut": {
        const { index } = effect;
        must(
          index >= watched.commit,
          `invariant 15: ${node} cuts group ${g.group} to ${index}, committed to ${watched.commit}`,
        );
        // What the disk refused was never there.
        const held = watched.digests.slice(0, watched.durable);
        const cut = held.findIndex(
          (digest, at) => at >= index && digest !== undefined && digest === chain.committedAt(at),
        );
        must(cut < 0, `invariant 15: ${node} cuts group ${g.group} to ${index}, and batch ${cut} is committed`);
        watched.digests.length = Math.min(watched.digests.length, index);
        promises.cut(g.self, index, watched.digests[index - 1]);
        return;
      }
      case "answerRead": {
        const acknowledged = watched.reads.get(effect.read) ?? 0;
        watched.reads.delete(effect.read);
        must(
          effect.index >= acknowledged,
          `invariant 8: ${node} answers a read of group ${g.group} from ${effect.index}, and ${acknowledged} were acknowledged before`,
        );
        return;
      }
      case "event":
        if (effect.event === "became leader" || effect.event === "became leader without a batch")
          this.#leads(g, watched);
        must(
          !effect.event.startsWith("stopped: ") || effect.event === "stopped: it is gone",
          `${node} stops group ${effect.group} by itself, ${effect.event}`,
        );
        return;
      default:
    }
  }

  /** A follower tells what it has. */
  #told(node: NodeId, message: FollowerMessage, groupOf: GroupOf): void {
    const g = message.kind === "echo" ? undefined : groupOf(message.group);
    if (!g || message.kind === "echo") return;
    const { promises } = this.#factsOf(g.group);
    promises.term(g.self, message.term);
    if (message.kind !== "ack" && message.kind !== "fetch") return;
    const watched = this.#watchedOf(node, g);
    promises.durable(g.self, message.durable, watched?.digests[message.durable - 1]);
    if (message.kind === "ack" || !watched) return;
    must(message.replica === g.self, `invariant 14: ${g.self} fetches as ${message.replica}`);
    const nowMs = this.#timeline.nowMs;
    if (nowMs > watched.fetches.sinceMs + 1000) watched.fetches = { sinceMs: nowMs, count: 0 };
    watched.fetches.count += 1;
    must(watched.fetches.count <= fetchesMax, `invariant 11: ${node} fetches group ${g.group} over and over`);
  }

  #said(message: LeaderMessage, groupOf: GroupOf): void {
    const g = "group" in message ? groupOf(message.group) : undefined;
    if (g && "term" in message) this.#factsOf(g.group).promises.term(g.self, message.term);
  }

  #called(call: Call, groupOf: GroupOf): void {
    const g = groupOf(call.group);
    if (!g) return;
    const { promises } = this.#factsOf(call.group);
    must(call.from === g.self, `invariant 14: ${g.self} speaks as ${call.from}`);
    promises.term(g.self, call.term);
    // Its own vote counts for others once it asks for theirs: what a power cut took before that, nobody heard of.
    if (call.kind === "vote" && !call.pre) promises.vote(g.self, call.group, call.term, g.self);
    if (call.kind === "voted" && !call.pre && call.granted) promises.vote(call.from, call.group, call.asked, call.to);
  }

  #leads(g: Group, { digests }: Watched): void {
    const { leaders, chain } = this.#factsOf(g.group);
    const other = leaders.get(g.term) ?? g.self;
    must(other === g.self, `invariant 1: ${g.self} and ${other} lead term ${g.term} of group ${g.group}`);
    leaders.set(g.term, g.self);
    // One that was paused may win its old term while later ones commit: it has to hold what lower ones did, and commits nothing.
    const committedEnd = chain.committedEndBefore(g.term);
    must(
      g.log.end >= committedEnd,
      `invariant 3: ${g.self} leads term ${g.term} of group ${g.group}, ends at ${g.log.end}, and ${committedEnd} are committed`,
    );
    const last = committedEnd - 1;
    const isThere = last < g.log.base.index || digests[last] === undefined || digests[last] === chain.committedAt(last);
    must(
      isThere,
      `invariant 3: ${g.self} leads term ${g.term} of group ${g.group} without the committed batch ${last}`,
    );
  }

  #appended(node: NodeId, g: Group | undefined, batch: { index: number; term: number; digest: Uint8Array }): void {
    const watched = g && this.#watchedOf(node, g);
    if (!g || !watched) return;
    const digest = hexOf(batch.digest);
    const before = watched.digests[batch.index - 1];
    watched.digests.length = batch.index;
    watched.digests[batch.index] = digest;
    this.#factsOf(g.group).chain.link({ index: batch.index, term: batch.term, before }, digest);
  }

  #check(node: NodeId, g: Group): void {
    const watched = this.#watchedOf(node, g);
    if (!watched) return;
    const name = `${node}, group ${g.group}`;
    const { chain } = this.#factsOf(g.group);
    const { commit, base, durable } = g.log;
    must(g.term >= watched.term, `invariant 4: the term of ${name} goes from ${watched.term} to ${g.term}`);
    must(commit >= watched.commit, `invariant 4: the commit index of ${name} goes from ${watched.commit} to ${commit}`);
    must(base.index >= watched.base, `invariant 4: the base of ${name} goes from ${watched.base} to ${base.index}`);
    must(base.index < commit, `invariant 10: ${name} begins with batch ${base.index}, and ${commit} are committed`);
    watched.durable = durable;
    if (commit > watched.commit) {
      if (g.role.kind === "leader") this.#checkHeld(name, g, watched.digests);
      chain.committedTo(name, { term: g.term, commit }, watched.digests);
    }
    watched.term = g.term;
    watched.commit = commit;
    watched.base = base.index;
    this.#checkBounds(name, g);
  }

  #checkBounds(name: string, { feeds, role }: Group): void {
    const { creditBytes, messageMaxBytes, readsMax } = this.#settings;
    must(feeds.size <= replicasMax, `invariant 11: ${name} has ${feeds.size} feeds`);
    const nodes = new Set<NodeId>();
    for (const { node, inFlight, inFlightBytes } of feeds.values()) {
      must(!nodes.has(node), `invariant 16: ${name} feeds ${node} twice`);
      nodes.add(node);
      const most = creditBytes + messageMaxBytes;
      must(
        inFlight.length <= 1 || inFlightBytes <= most,
        `invariant 11: ${name} has ${inFlightBytes} bytes on their way`,
      );
    }
    if (role.kind !== "leader") return;
    must(role.reads.length <= readsMax, `invariant 11: ${role.reads.length} reads wait at ${name}`);
    must(role.progress.size <= replicasMax, `invariant 11: ${name} counts ${role.progress.size} replicas`);
  }

  /** What a leader commits is on the disks of a majority of the voters that it counts, and of none that forgot. */
  #checkHeld(name: string, { group, term, log }: Group, digests: readonly (string | undefined)[]): void {
    const { forgot } = this.#factsOf(group);
    const last = log.commit - 1;
    const without = log.voters.filter((voter) => {
      const held = this.#watched.get(`${nodeOf(voter)}/${group}/${voter}`);
      return !held || held.durable <= last || held.digests[last] !== digests[last] || forgot.get(voter)?.term === term;
    });
    must(
      2 * without.length < log.voters.length,
      `invariant 6: ${name} commits batch ${last}, which the disks of ${without.map(nodeOf).join()} do not hold`,
    );
  }

  #watchedOf(node: NodeId, g: Group): Watched | undefined {
    return this.#watched.get(keyOf(node, g));
  }

  #factsOf(group: number): GroupFacts {
    const known = this.#groups.get(group);
    if (known) return known;
    const facts = new GroupFacts(group);
    this.#groups.set(group, facts);
    return facts;
  }
}

function keyOf(node: NodeId, { group, self }: Group): string {
  return `${node}/${group}/${self}`;
}
