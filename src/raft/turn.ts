/**
 * What a group may do in one step, and what the driver then does. The node machine (`node.ts`) gives it; a group knows no
 * other group.
 * @module
 */
import type { Group } from "./group.ts";
import type { Held } from "./held.ts";
import type { Hello } from "./inputs.ts";
import type {
  Batch,
  Call,
  ControlBatch,
  FollowerMessage,
  LeaderMessage,
  NodeId,
  RaftSettings,
  ReplicaId,
} from "./types.ts";

/** What happened to a replica, for logs, metrics and the simulator's coverage. */
export type RaftEvent =
  | "adopted a term"
  | "asked for pre-votes"
  | "stood for election"
  | "granted a pre-vote"
  | "refused a pre-vote: a leader is alive"
  | "refused a pre-vote: the log is behind"
  | "refused a pre-vote: the term is old"
  | "granted a vote"
  | "refused a vote: given to another"
  | "refused a vote: the log is behind"
  | "refused a vote: below the floor"
  | "refused a vote: the term is old"
  | "refused a vote: meant for another replica"
  | "became leader"
  | "became leader without a batch"
  | "stepped down: higher term"
  | "stepped down: no majority stands"
  | "stepped down: a majority left"
  | "stepped down: cannot write"
  | "stepped down: damaged"
  | "follows"
  | "fetched from another than the leader"
  | "lost its leader"
  | "diverged"
  | "cut its log"
  | "told to restart"
  | "restarted at a checkpoint"
  | "a follower forgot what it had"
  | "committed"
  | "answered a read"
  | "refused a read"
  | "handed over"
  | "handing over failed"
  | "stepped up"
  | "changed voters"
  | "refused a change of voters"
  | "found a bad batch"
  | "found its log damaged"
  | "repaired"
  | "left its damage to a trim"
  | "stopped: the leader forgot"
  | "stopped: nobody can tell who is wrong"
  | "stopped: two leaders of a term"
  | "stopped: a committed batch was to be cut"
  | "stopped: it is gone";

/** What the driver does, in this order. */
export type Effect =
  /** Durable before what was held for it goes out: `saved` says so. */
  | {
      readonly kind: "save";
      readonly group: number;
      readonly term: number;
      readonly votedFor: ReplicaId | null;
      readonly floor: { readonly term: number; readonly index: number };
    }
  /** Appends a control batch of the own term: comes back by `appended`. */
  | { readonly kind: "append"; readonly group: number; readonly term: number; readonly batch: ControlBatch }
  /** Appends batches as they are; `synced` or `refused` says what came of it. */
  | { readonly kind: "write"; readonly group: number; readonly generation: number; readonly batches: readonly Batch[] }
  /** Cuts off all from `index` on; `voters` count then. */
  | { readonly kind: "cut"; readonly group: number; readonly index: number; readonly voters: readonly ReplicaId[] }
  /** Begins the log anew; `synced` says when it is there. */
  | { readonly kind: "install"; readonly group: number; readonly generation: number; readonly checkpoint: Batch }
  /** Reads batches for one that fetches: comes back by `read`. */
  | {
      readonly kind: "read";
      readonly group: number;
      readonly to: ReplicaId;
      readonly id: number;
      /** Comes back with what was read: of what was there before a cut nothing is sent. */
      readonly generation: number;
      readonly from: number;
      readonly below: number;
      readonly maxBytes: number;
    }
  /** All below is committed, and durable here. */
  | { readonly kind: "commit"; readonly group: number; readonly index: number }
  /** A linearizable read may be answered from what is below `index`. */
  | { readonly kind: "answerRead"; readonly group: number; readonly read: number; readonly index: number }
  | { readonly kind: "refuseRead"; readonly group: number; readonly read: number; readonly why: string }
  /** A change of voters is committed, or why not. */
  | {
      readonly kind: "changed";
      readonly group: number;
      readonly refusal: string | undefined;
      readonly fateUnknown: boolean;
    }
  /** Leadership went over, or why not. */
  | { readonly kind: "transferred"; readonly group: number; readonly refusal: string | undefined }
  /** Recomputes the chain from the base on: comes back by `checked`. */
  | { readonly kind: "selfCheck"; readonly group: number }
  /** Replaces the damaged range that begins at `index` by bytes of another replica: comes back by `repaired`. */
  | { readonly kind: "repair"; readonly group: number; readonly index: number }
  | { readonly kind: "event"; readonly group: number; readonly event: RaftEvent; readonly term: number }
  /** Sessions, and what goes out. */
  | { readonly kind: "openSession"; readonly to: NodeId; readonly number: number }
  | { readonly kind: "closeSession"; readonly to: NodeId; readonly number: number }
  | { readonly kind: "endSession"; readonly hello: Hello }
  | {
      readonly kind: "toLeader";
      readonly to: NodeId;
      readonly number: number;
      readonly messages: readonly FollowerMessage[];
    }
  | { readonly kind: "toFollower"; readonly hello: Hello; readonly messages: readonly LeaderMessage[] }
  | { readonly kind: "call"; readonly to: NodeId; readonly calls: readonly Call[] }
  /** Steps again at this time at the latest; Infinity: only by other inputs. */
  | { readonly kind: "wake"; readonly atMs: number };

/** One step, as a group has it. */
export interface Turn {
  readonly nowMs: number;
  readonly settings: RaftSettings;
  /** At or above 0, below 1. */
  random(): number;
  /** Wants a session to a node; true: it is open. */
  follow(group: number, node: NodeId): boolean;
  /** Wants it no more. */
  unfollow(group: number, node: NodeId): void;
  /** A fetch of a group stands here, of that node; or it does no more. */
  serve(group: number, node: NodeId): void;
  unserve(group: number, node: NodeId): void;
  /** Whether one more group may ask for votes now. */
  readonly mayAsk: boolean;
  /** Whether batches may be read for a node now; otherwise the group is asked again when there is room for them (`takeTurn`). */
  mayRead(group: number, node: NodeId, isBusy: boolean): boolean;
  /** So many bytes more are read for a node or on their way there; fewer, below 0. */
  onTheWay(node: NodeId, bytes: number): void;
  /** Whether what a node says in its session here is heard. */
  isHeard(node: NodeId): boolean;
  /** A beat that was not sent before, to all that follow here. */
  newBeat(): number;
  put(message: Held): void;
  effect(effect: Effect): void;
}

/** One step, as the node's sessions have it. */
export interface NodeTurn extends Turn {
  /** Groups that lead and have reads waiting. */
  readonly readers: ReadonlySet<number>;
  /** Steps a group, if it is here. */
  inGroup(group: number, step: (group: Group) => void): boolean;
  /** Whether a group that is not here will never be again. */
  isGone(group: number): boolean;
}

/** Says a message, once the promises that it may depend on are durable: nothing of a group overtakes anything. */
export function say(g: Group, turn: Turn, message: Held): void {
  if (g.saving > 0) g.held.push(message);
  else turn.put(message);
}

/** Promises durably what the group holds now. What is said from here on waits for it. */
export function save(g: Group, turn: Turn): void {
  g.saving += 1;
  turn.effect({ kind: "save", group: g.group, term: g.term, votedFor: g.votedFor, floor: g.floor });
}

/** A promise is durable. */
export function saved(g: Group, turn: Turn): void {
  g.saving -= 1;
  if (g.saving > 0) return;
  for (const message of g.held.takeAll()) turn.put(message);
}

/** Tells what happened. */
export function event(g: Group, turn: Turn, what: RaftEvent): void {
  turn.effect({ kind: "event", group: g.group, event: what, term: g.term });
}

/** A random time from `low` to `high`. */
export function between(turn: Turn, low: number, high: number): number {
  return low + turn.random() * (high - low);
}
