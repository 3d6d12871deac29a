/**
 * What must hold after each step of any script: the invariants of Raft (Ongaro and Ousterhout 2014, figure 3) that can be
 * seen from outside, and what replication by fetching adds to them.
 * @module
 */
import assert from "node:assert/strict";
import { type Group, isMajority } from "../group.ts";
import type { Batch, Call, ReplicaId } from "../types.ts";

/** One replica that is up, and what its disk holds. */
export interface Seen {
  readonly group: Group;
  /** What it wrote, synced or not. */
  readonly log: readonly Batch[];
}

/** What was true once, and stays true. */
export class Invariants {
  /** The script has replicas disagree: that is looked at no more. */
  isBroken = false;
  readonly #leaders = new Map<string, ReplicaId>();
  readonly #digests = new Map<string, string>();
  readonly #votes = new Map<string, ReplicaId>();
  /** Digests of the committed batches of a group, by index. */
  readonly #committed = new Map<number, string[]>();
  readonly #positions = new Map<string, { commit: number; term: number; base: number }>();

  /** How far a group is committed, as any replica knows. */
  committed(group: number): number {
    return this.#committed.get(group)?.length ?? 0;
  }

  /** A call leaves a replica: it may say whom that one votes for, itself too. */
  called(call: Call): void {
    const isVote = (call.kind === "voted" && call.granted && !call.pre) || (call.kind === "vote" && !call.pre);
    if (!isVote) return;
    const { group, from } = call;
    const [term, to] = call.kind === "voted" ? [call.asked, call.to] : [call.term, from];
    const known = setOnce(this.#votes, `${group} ${term} ${from}`, to);
    assert.equal(known, to, `${from} votes twice in term ${term}`);
  }

  /** A replica starts again, with what its disk kept. */
  restarted(group: number, self: ReplicaId, kept: { readonly commit: number; readonly term: number }): void {
    const key = `${group} ${self}`;
    const before = this.#positions.get(key);
    if (before) this.#positions.set(key, { ...before, ...kept, base: 0 });
  }

  /** A message leaves a replica. */
  sent(message: object, node: string, promised: number): void {
    const { term } = { term: 0, ...message };
    assert.ok(term <= promised, `${node} speaks of term ${term}, and its disk knows ${promised}`);
  }

  /** Looks at all replicas of a group that are up. `durable`: the digest that a replica's disk holds at an index. */
  check(
    group: number,
    replicas: readonly Seen[],
    durable: (replica: ReplicaId, index: number) => string | undefined,
  ): void {
    if (this.isBroken) return;
    for (const seen of replicas) {
      this.#checkLeader(seen.group);
      this.#checkLog(group, seen);
      this.#checkPositions(seen.group);
    }
    for (const seen of replicas) this.#checkCommitted(group, seen, durable);
    for (const seen of replicas) this.#checkHolds(group, seen);
  }

  #checkLeader({ role, group, term, self }: Group): void {
    if (role.kind !== "leader") return;
    const leader = setOnce(this.#leaders, `${group} ${term}`, self);
    assert.equal(leader, self, `term ${term} has two leaders`);
  }

  #checkLog(group: number, { group: { log, self, role }, log: batches }: Seen): void {
    assert.equal(batches.at(-1)?.index, log.end - 1, `${self} ends where its log does`);
    assert.equal(batches[0]?.index, log.base.index, `${self} begins where its log does`);
    for (const { index, term, digest } of batches) {
      assert.equal(log.termAt(index), term, `${self} knows the term of batch ${index}`);
      // A leader may take back what it neither synced nor sent.
      if (role.kind === "leader" && index >= log.durable) break;
      const key = `${group} ${index} ${term}`;
      const known = setOnce(this.#digests, key, hex(digest));
      assert.equal(known, hex(digest), `${self} holds another batch ${index} of term ${term}`);
    }
  }

  #checkPositions({ group, self, log, term }: Group): void {
    const key = `${group} ${self}`;
    // What is not durable here was not told to anybody, and may have to be fetched again.
    const base = log.base.index;
    const commit = Math.min(log.commit, Math.max(log.durable, base + 1));
    const before = this.#positions.get(key) ?? { commit, term, base };
    assert.ok(commit >= before.commit, `the commit index of ${self} went from ${before.commit} to ${commit}`);
    assert.ok(term >= before.term, `the term of ${self} went from ${before.term} to ${term}`);
    assert.ok(base >= before.base, `the base of ${self} went from ${before.base} to ${base}`);
    this.#positions.set(key, { commit, term, base });
  }

  /** What is committed stays so; what a leader commits is durable on a majority of those it counts. */
  #checkCommitted(
    group: number,
    { group: { log, self, role }, log: batches }: Seen,
    durable: (replica: ReplicaId, index: number) => string | undefined,
  ): void {
    const known = this.#committed.get(group) ?? [];
    this.#committed.set(group, known);
    for (const { index, digest } of batches) {
      if (index >= log.commit) break;
      if (index === known.length) {
        known.push(hex(digest));
        if (role.kind !== "leader") continue;
        const isHeld = (voter: ReplicaId) => durable(voter, index) === hex(digest);
        // A set that was written in the same moment was not counted with.
        const isHeldByMost = isMajority(log.voters, isHeld) || isMajority(log.committedVoters, isHeld);
        assert.ok(isHeldByMost, `${self} commits batch ${index}, which no majority holds`);
      }
      assert.equal(known[index], hex(digest), `${self} has another committed batch ${index}`);
    }
  }

  /** A leader holds all that was ever committed. */
  #checkHolds(group: number, { group: { log, self, role, term }, log: batches }: Seen): void {
    const known = this.#committed.get(group) ?? [];
    // One that was replaced and does not know it yet may lack what came after.
    const isNewest = ![...this.#leaders.keys()].some((key) => isLater(key, group, term));
    if (role.kind !== "leader" || !isNewest) return;
    const held = new Map(batches.map(({ index, digest }) => [index, hex(digest)]));
    for (let index = log.base.index; index < known.length; index++) {
      assert.equal(held.get(index), known[index], `${self} leads term ${term} without committed batch ${index}`);
    }
  }
}

/** A digest, to compare. */
export function hex(digest: Uint8Array): string {
  return Buffer.from(digest).toString("hex");
}

function isLater(key: string, group: number, term: number): boolean {
  const [ofGroup, ofTerm] = key.split(" ").map(Number);
  return ofGroup === group && ofTerm !== undefined && ofTerm > term;
}

function setOnce<V>(map: Map<string, V>, key: string, value: V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  map.set(key, value);
  return value;
}
