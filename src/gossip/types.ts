/**
 * What goes in and out of the gossip machine, and what members tell each other. Everything here is immutable: a record
 * may be shared by messages, tables and, in the simulator, by whole clusters.
 * @module
 */

/** Names a node for as long as its data lives; an address never does. */
export type NodeId = string;

/** What a member says of itself. It changes only together with the member's incarnation. */
export interface MemberInfo extends Tags {
  readonly id: NodeId;
  /** Drawn at random when the process starts: tells a node's lives, and two nodes of one id, apart. */
  readonly instance: string;
  /** Where its gossip is to be sent. */
  readonly peerAddress: string;
}

/** The part of it that is for others than the machine. */
export interface Tags {
  readonly apiAddress: string;
  readonly region: string;
  readonly role: string;
  readonly version: string;
}

/** One thing about one member, passed on by gossip. */
export type Rumor =
  | { readonly kind: "alive"; readonly info: MemberInfo; readonly incarnation: number }
  | (Claim & { readonly kind: "suspect"; readonly by: NodeId })
  | (Claim & { readonly kind: "dead"; readonly by: NodeId })
  | (Claim & { readonly kind: "left" });

/** Whom a rumor is about: this incarnation of this process. */
export interface Claim {
  readonly id: NodeId;
  readonly instance: string;
  readonly incarnation: number;
}

/** All that one member knows of another, for a sync. `ageMs`: how long it has been gone; 0 for those who are not. */
export interface Entry {
  readonly info: MemberInfo;
  readonly incarnation: number;
  readonly is: "alive" | "suspect" | "dead" | "left";
  readonly ageMs: number;
}

/** Two views with equal digests are equal, up to who is suspected. */
export interface Digest {
  readonly high: number;
  readonly low: number;
}

/** Begins every message. */
export interface Sender extends Claim {
  /** Members of another cluster are strangers, whatever address they came by. */
  readonly cluster: string;
  readonly address: string;
}

/** Sent by one member to the address of another. */
export type Message = { readonly sender: Sender } & (
  | { readonly kind: "ping"; readonly sequence: number; readonly target: NodeId; readonly rumors: readonly Rumor[] }
  | {
      readonly kind: "pingRequest";
      readonly sequence: number;
      readonly target: NodeId;
      readonly address: string;
      readonly rumors: readonly Rumor[];
    }
  /** `upMs`: for how long the process has run that was pinged. */
  | { readonly kind: "ack"; readonly sequence: number; readonly upMs: number; readonly rumors: readonly Rumor[] }
  | { readonly kind: "nack"; readonly sequence: number }
  | { readonly kind: "gossip"; readonly rumors: readonly Rumor[] }
  /** Say who you are: this member has missed it. */
  | { readonly kind: "who" }
  | {
      readonly kind: "syncAsk";
      readonly sequence: number;
      readonly digest: Digest;
      readonly entries: readonly Entry[];
    }
  | { readonly kind: "syncSame"; readonly sequence: number }
  /** Of the ids behind `after` all those up to `upTo`, in order; `undefined`: to the end. */
  | {
      readonly kind: "syncPage";
      readonly sequence: number;
      readonly after: NodeId;
      readonly upTo: NodeId | undefined;
      readonly entries: readonly Entry[];
    }
  /** What the page lacked, and the wish for the next one. */
  | {
      readonly kind: "syncNext";
      readonly sequence: number;
      readonly after: NodeId;
      readonly entries: readonly Entry[];
    }
  /** What the last page lacked. Nothing answers it. */
  | { readonly kind: "syncRest"; readonly entries: readonly Entry[] }
);

/** What happens to a member. `nowMs`: a clock that does not go back; where it begins means nothing. */
export type Input = { readonly nowMs: number } /** Time passed: due at `wakeAtMs()`. */ & (
  | { readonly kind: "tick" }
  | { readonly kind: "message"; readonly message: Message }
  /** Addresses where members may be found, as names resolve now. They replace those given before. */
  | { readonly kind: "seeds"; readonly addresses: readonly string[] }
  /** What this member says of itself from now on. */
  | { readonly kind: "change"; readonly tags: Tags; readonly peerAddress: string }
  /** Go, and say so: `gone` follows. */
  | { readonly kind: "leave" }
);

/** What the driver is to do, in this order. */
export type Effect =
  | { readonly kind: "send"; readonly to: string; readonly message: Message }
  | { readonly kind: "event"; readonly event: MemberEvent }
  /** Another process uses this member's id. At most once in `conflictIntervalMs`, on either side. */
  | { readonly kind: "conflict"; readonly conflict: Conflict }
  /** Something was not taken, or dropped, as a limit was met. At most once a minute for each limit. */
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** This member has left: it does and answers nothing any more. */
  | { readonly kind: "gone" };

/** A change of who is there. For each member `join` comes first, then any number of `update`, then `leave` or `fail`. */
export type MemberEvent = { readonly member: MemberInfo; readonly incarnation: number } & (
  | { readonly kind: "join" | "leave" | "fail" }
  | { readonly kind: "update"; readonly before: MemberInfo }
);

/** One id, two living processes. */
export interface Conflict {
  readonly id: NodeId;
  readonly ownAddress: string;
  readonly otherAddress: string;
  /** Who has the name now. The other one takes no part in the cluster's life under it. */
  readonly heldBy: "self" | "other";
}

/** Which limit was met, and what it kept out. */
export interface Refusal {
  readonly limit: "membersMax" | "tombstonesMax" | "broadcastsMax" | "relaysMax" | "tagsMaxBytes" | "seedsMax";
  readonly value: number;
  /** The id or address that it was about. */
  readonly what: string;
}
