/**
 * What membership speaks of: nodes as others know them, what they say to each other before they are of one cluster, and what a
 * node without a cluster finds.
 * @module
 */
import type { Message } from "../gossip/types.ts";
import type { BootstrapMessage } from "../raft/bootstrap.ts";
import type { NodeId, ReplicaId } from "../raft/types.ts";

/** One node as others know it. */
export interface Member {
  readonly id: NodeId;
  /** `HOST:PORT`. */
  readonly peerAddress: string;
  readonly apiUrl: string;
  readonly region: string;
  readonly role: "voter" | "observer";
  readonly version: string;
  readonly state: "alive" | "suspect" | "dead" | "left";
  readonly isSelf: boolean;
}

/** What a fresh node is to do. */
export type Found =
  /** Bootstrapped: all of `replicas` make `_meta` from this alone. */
  | { readonly kind: "made"; readonly clusterId: string; readonly replicas: readonly ReplicaId[] }
  | {
      readonly kind: "joined";
      readonly clusterId: string;
      readonly birth: ClusterBirth;
      readonly voters: readonly ReplicaId[];
    };

/** What makes `_meta`, group 0: bytes of batch 0's checkpoint, from the node that has it. */
export interface ClusterBirth {
  readonly checkpoint: Uint8Array;
  readonly startOffset: number;
  readonly appendTimeMicros: number;
}

/** What one gives who wants to join. */
export interface JoinAnswer {
  readonly birth: ClusterBirth;
  readonly voters: readonly ReplicaId[];
}

/** What a node says of itself to one that it may not know. */
export interface Greeting {
  readonly node: NodeId;
  /** Its disk's name, hexadecimal. */
  readonly disk: string;
  /** Drawn at random when the process started. */
  readonly instance: string;
  readonly version: string;
  /** Empty: none yet. */
  readonly clusterId: string;
  readonly peerAddress: string;
  readonly apiUrl: string;
  readonly region: string;
  readonly role: "voter" | "observer";
  /** Its wall clock. */
  readonly nowMicros: number;
  /** It begins a cluster together with so many, itself counted; 0: it begins none. */
  readonly bootstrapExpect: number;
  /** Others that it has met. */
  readonly acquaintances: readonly Acquaintance[];
}

/** A node that another one has met. */
export interface Acquaintance {
  readonly node: NodeId;
  readonly peerAddress: string;
}

/** What the one that was greeted says. */
export interface GreetAnswer {
  readonly greeting: Greeting;
  /** Why the one that greets can't be reached at the peer address that it says; empty: it can. */
  readonly unreachable: string;
  /** Why it can't be known here; empty: it is. */
  readonly refused: string;
}

/** The ways to other nodes, by the address of their peer port, `HOST:PORT`. Calls end within some seconds. */
export interface MemberNet {
  /** @throws {Error} Nobody answered, or no node of this version. */
  greet(address: string, greeting: Greeting, isCallback: boolean): Promise<GreetAnswer>;
  /** May be lost. @param ownAddress Where its answer is to be sent. */
  propose(address: string, message: BootstrapMessage, ownAddress: string): void;
  /** @throws {Error} It has no answer for now. */
  join(address: string, clusterId: string, node: NodeId): Promise<JoinAnswer>;
  /** May be lost. */
  gossip(address: string, message: Message): void;
  /** Ends all connections. */
  close(): void;
}

/** What other nodes ask of this one. */
export interface MemberService {
  greeted(greeting: Greeting, isCallback: boolean): Promise<GreetAnswer>;
  proposed(message: BootstrapMessage, address: string): void;
  /** @throws {TailraceError} It is no node of that cluster, or not yet. */
  joinAsked(clusterId: string, node: NodeId): JoinAnswer;
  gossiped(message: Message): void;
}
