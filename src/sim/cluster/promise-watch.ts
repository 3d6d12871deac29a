/**
 * What replicas promised to others, of one group: terms, votes, and how much of the log is durable. A promise is kept
 * across restarts, and each vote is given once.
 * @module
 */
import type { Group } from "../../raft/group.ts";
import { type NodeId, nodeOf, type ReplicaId } from "../../raft/types.ts";
import { must } from "../must.ts";

/** What a replica said. */
interface Said {
  /** The highest term that it named. */
  term: number;
  /** To whom it gave its vote, by term. */
  readonly votes: Map<number, ReplicaId>;
  /** What it last said to be durable ends here, and the digest before that. */
  durable: { end: number; digest: string | undefined } | undefined;
}

/** The promises of a group's replicas. */
export class PromiseWatch {
  readonly #said = new Map<ReplicaId, Said>();

  /** It named a term. */
  term(replica: ReplicaId, term: number): void {
    const said = this.#of(replica);
    said.term = Math.max(said.term, term);
  }

  /** It gave its vote. */
  vote(replica: ReplicaId, group: number, term: number, to: ReplicaId): void {
    const { votes } = this.#of(replica);
    const given = votes.get(term) ?? to;
    votes.set(term, to);
    must(given === to, `invariant 5: ${replica} gave its vote in term ${term} of group ${group} to ${given} and ${to}`);
  }

  /** It said that all below `end` is durable. */
  durable(replica: ReplicaId, end: number, digest: string | undefined): void {
    this.#of(replica).durable = { end, digest };
  }

  /** The most that it said to be durable, and did not take back. */
  durableEnd(replica: ReplicaId): number {
    return this.#said.get(replica)?.durable?.end ?? 0;
  }

  /** It took back what is from `end` on. */
  cut(replica: ReplicaId, end: number, digest: string | undefined): void {
    const { durable } = this.#of(replica);
    if (durable && durable.end > end) durable.end = end;
    if (durable && durable.end === end) durable.digest = digest;
  }

  /** It began its log anew: what it held before counts for nothing any more, as it said by its floor. */
  restarted(replica: ReplicaId): void {
    this.#of(replica).durable = undefined;
  }

  /** An old copy of a node's disk is there again: what it said since, it can't know. */
  forget(node: NodeId): void {
    for (const replica of [...this.#said.keys()]) if (nodeOf(replica) === node) this.#said.delete(replica);
  }

  /** A start found this: all that was promised is there. */
  found(name: string, replica: ReplicaId, on: Kept): void {
    const said = this.#said.get(replica);
    if (!said) return;
    const { term, votedFor, end, digestAt } = on;
    must(said.term <= term, `invariant 5: ${name} was in term ${said.term}, and after a start is in ${term}`);
    const vote = said.votes.get(term);
    // The journal keeps a disk and a life: whose they are may not be known any more.
    const isKept = vote === undefined || (votedFor !== null && endOf(votedFor) === endOf(vote));
    must(isKept, `invariant 5: ${name} gave its vote of term ${term} to ${vote}, and after a start to ${votedFor}`);
    if (!said.durable) return;
    const { end: durable, digest } = said.durable;
    must(durable <= end, `invariant 13: ${name} told that it had all below ${durable}, and after a start has ${end}`);
    const found = digestAt(durable - 1);
    const isSame = digest === undefined || found === undefined || found === digest;
    must(isSame, `invariant 13: ${name} has another batch ${durable - 1}`);
  }

  #of(replica: ReplicaId): Said {
    const known = this.#said.get(replica);
    if (known) return known;
    const said: Said = { term: 0, votes: new Map(), durable: undefined };
    this.#said.set(replica, said);
    return said;
  }
}

/** What a start finds of a group. */
export interface Kept {
  readonly term: number;
  readonly votedFor: ReplicaId | null;
  readonly end: number;
  /** Digest of the batch at an index, if it is known. */
  readonly digestAt: (index: number) => string | undefined;
}

/** The same of a group that is open. */
export function keptOf({ term, votedFor, log }: Group, digests: readonly (string | undefined)[]): Kept {
  return { term, votedFor, end: log.durable, digestAt: (index) => digests[index] };
}

function endOf(replica: ReplicaId): string {
  return replica.split("/").slice(-2).join("/");
}
