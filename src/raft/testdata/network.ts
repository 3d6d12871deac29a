/**
 * What is on its way between nodes. Sessions keep their order and lose nothing but by breaking; calls are lost on a cut
 * link. The script, or `settle`, says when each message arrives.
 * @module
 */
import type { Hello } from "../inputs.ts";
import type { Call, FollowerMessage, LeaderMessage, NodeId } from "../types.ts";

/** One session: `up` goes from the follower to the leader. */
export interface Session {
  readonly follower: NodeId;
  readonly leader: NodeId;
  readonly hello: Hello;
  /** The side can still read and write. */
  followerIsOpen: boolean;
  leaderIsOpen: boolean;
  /** The leader's process that it was accepted by; 0: none did. */
  acceptedBy: number;
}

/** What travels. `open`, `opened`, `close`: the session itself. */
export type Cargo =
  | { readonly lane: "up"; readonly session: Session; readonly message: FollowerMessage }
  | { readonly lane: "up"; readonly session: Session; readonly control: "open" | "close" }
  | { readonly lane: "down"; readonly session: Session; readonly message: LeaderMessage }
  | { readonly lane: "down"; readonly session: Session; readonly control: "opened" | "close" }
  | { readonly lane: "call"; readonly message: Call };

/** Something on its way. */
export interface Parcel {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly cargo: Cargo;
}

interface Hold {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly kind: string | undefined;
}

/** All that is on its way, oldest first. */
export class Network {
  #parcels: Parcel[] = [];
  readonly #cuts = new Set<string>();
  #holds: Hold[] = [];

  send(parcel: Parcel): void {
    // A call on a cut link is lost; what is in a session waits until the link is whole or the session breaks.
    if (parcel.cargo.lane === "call" && this.isCut(parcel.from, parcel.to)) return;
    this.#parcels.push(parcel);
  }

  cut(from: NodeId, to: NodeId): void {
    this.#cuts.add(`${from}>${to}`);
    this.drop(({ cargo, ...way }) => cargo.lane === "call" && way.from === from && way.to === to);
  }

  heal(): void {
    this.#cuts.clear();
  }

  isCut(from: NodeId, to: NodeId): boolean {
    return this.#cuts.has(`${from}>${to}`);
  }

  /** What goes from one node to another waits until it is released. `kind`: only messages of that kind. */
  hold(hold: Hold): void {
    this.#holds.push(hold);
  }

  release(from: NodeId | undefined, to: NodeId | undefined): void {
    this.#holds = this.#holds.filter((hold) => from !== undefined && (hold.from !== from || hold.to !== to));
  }

  /** Takes out the oldest that can arrive now. */
  next(): Parcel | undefined {
    return this.#take((parcel) => !this.#isHeld(parcel) && !this.#isBehind(parcel));
  }

  /** Takes out the newest of a kind on a link. */
  last(from: NodeId, to: NodeId, kind: string): Parcel | undefined {
    const newest = this.#parcels.findLast(
      (parcel) => parcel.from === from && parcel.to === to && kindOf(parcel) === kind,
    );
    return this.#take((parcel) => parcel === newest && !this.#isSecond(parcel));
  }

  /** Takes out the first of a kind, or the first of all, on a link: held or not, but in the order that sessions keep. */
  first(from: NodeId, to: NodeId, kind: string | undefined): Parcel | undefined {
    const isMeant = (parcel: Parcel) =>
      parcel.from === from && parcel.to === to && (kind === undefined || kindOf(parcel) === kind);
    return this.#take((parcel) => isMeant(parcel) && (parcel.cargo.lane !== "up" || !this.#isSecond(parcel)));
  }

  /** Loses what `isLost` says, and tells what that was. */
  drop(isLost: (parcel: Parcel) => boolean): Parcel[] {
    const lost = this.#parcels.filter(isLost);
    this.#parcels = this.#parcels.filter((parcel) => !lost.includes(parcel));
    return lost;
  }

  /** All that is on its way. */
  waiting(): readonly Parcel[] {
    return this.#parcels;
  }

  #take(isWanted: (parcel: Parcel) => boolean): Parcel | undefined {
    const at = this.#parcels.findIndex((parcel) => !this.isCut(parcel.from, parcel.to) && isWanted(parcel));
    return at < 0 ? undefined : this.#parcels.splice(at, 1)[0];
  }

  #isHeld(parcel: Parcel): boolean {
    const { from, to } = parcel;
    return this.#holds.some(
      (hold) => hold.from === from && hold.to === to && (hold.kind ?? kindOf(parcel)) === kindOf(parcel),
    );
  }

  /** Something before it in its session is held. From a leader, small messages overtake batches, and others wait for no beat. */
  #isBehind(parcel: Parcel): boolean {
    const blocks = (earlier: Parcel) => {
      if (parcel.cargo.lane === "up") return true;
      const kind = kindOf(earlier);
      return kind === "batches" ? kindOf(parcel) === "batches" : kind !== "beat";
    };
    return this.#before(parcel).some((earlier) => this.#isHeld(earlier) && blocks(earlier));
  }

  #isSecond(parcel: Parcel): boolean {
    return this.#before(parcel).length > 0;
  }

  #before(parcel: Parcel): Parcel[] {
    const { cargo } = parcel;
    if (cargo.lane === "call") return [];
    const at = this.#parcels.indexOf(parcel);
    return this.#parcels.filter(
      ({ cargo: other }, i) => i < at && other.lane === cargo.lane && other.session === cargo.session,
    );
  }
}

/** What kind of message a parcel is; pre-votes apart from votes. */
export function kindOf({ cargo }: Parcel): string {
  if (!("message" in cargo)) return cargo.control;
  const { message } = cargo;
  const isPre = (message.kind === "vote" || message.kind === "voted") && message.pre;
  return isPre ? `pre${message.kind}` : message.kind;
}
