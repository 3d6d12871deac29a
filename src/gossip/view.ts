/**
 * Who is there and who was: one member's view of all others.
 * - A member is in one of two tables: `members`, alive or suspected, or `tombstones`, dead or left.
 * - What is known of an id only grows: a higher incarnation, or within one the order alive, suspect, dead, left.
 * - The digest stands for both tables. Who is suspected is left out: it passes by itself.
 * Elsewhere: what a rumor changes (`hear.ts`), what of it is told to whom.
 * @module
 */
import { assert, present } from "../base/assert.ts";
import type { Digest, MemberInfo, NodeId } from "./types.ts";

/** A suspicion, on its way to a death. */
export interface Suspicion {
  readonly kind: "suspect";
  readonly sinceMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** So many confirmations make it the shortest. */
  readonly confirmationsMax: number;
  /** Who suspects, the first one too. */
  readonly by: Set<NodeId>;
  deadlineMs: number;
}

/** A living member, as far as is known. */
export interface Member {
  info: MemberInfo;
  incarnation: number;
  standing: { readonly kind: "alive" } | Suspicion;
  /** Its place in the list that random choices are made from. */
  place: number;
}

/** One that is gone. */
export interface Tombstone {
  readonly info: MemberInfo;
  readonly incarnation: number;
  readonly how: "dead" | "left";
  readonly sinceMs: number;
}

/** The one standing of all who are not suspected. */
export const alive = { kind: "alive" } as const;

/** Both tables. */
export class View {
  readonly #members = new Map<NodeId, Member>();
  readonly #tombstones = new Map<NodeId, Tombstone>();
  readonly #suspects = new Set<NodeId>();
  /** Living members in no order. */
  readonly #living: Member[] = [];
  readonly #random: () => number;
  #sortedIds: readonly NodeId[] | undefined;
  #high = 0;
  #low = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** How many are alive or suspected. */
  get size(): number {
    return this.#living.length;
  }

  get members(): ReadonlyMap<NodeId, Readonly<Member>> {
    return this.#members;
  }

  get tombstones(): ReadonlyMap<NodeId, Tombstone> {
    return this.#tombstones;
  }

  get suspects(): ReadonlySet<NodeId> {
    return this.#suspects;
  }

  /** Stands for both tables and for this member itself. */
  digestWith(self: MemberInfo, incarnation: number): Digest {
    const { high, low } = hashOf(self, incarnation, "alive");
    return { high: (this.#high ^ high) >>> 0, low: (this.#low ^ low) >>> 0 };
  }

  /** Every id in either table, sorted. */
  sortedIds(): readonly NodeId[] {
    this.#sortedIds ??= [...this.#members.keys(), ...this.#tombstones.keys()].sort(compareIds);
    return this.#sortedIds;
  }

  /** Puts a living member in. What was known of it before is forgotten. */
  add(info: MemberInfo, incarnation: number): void {
    this.forget(info.id);
    const member = { info, incarnation, standing: alive, place: this.#living.length };
    this.#living.push(member);
    this.#members.set(info.id, member);
    this.#fold(info, incarnation, "alive");
    this.#sortedIds = undefined;
  }

  /** A living member says something new of itself; that ends a suspicion. */
  renew(info: MemberInfo, incarnation: number): void {
    const member = this.#member(info.id);
    assert(incarnation > member.incarnation, "an incarnation goes up");
    this.#fold(member.info, member.incarnation, "alive");
    member.info = info;
    member.incarnation = incarnation;
    member.standing = alive;
    this.#suspects.delete(info.id);
    this.#fold(info, incarnation, "alive");
  }

  /** A living member is suspected in this incarnation, at or above the one known. */
  suspect(id: NodeId, incarnation: number, suspicion: Suspicion): void {
    const member = this.#member(id);
    assert(incarnation >= member.incarnation, "a suspicion is about what is known, or newer");
    this.#fold(member.info, member.incarnation, "alive");
    member.incarnation = incarnation;
    member.standing = suspicion;
    this.#suspects.add(id);
    this.#fold(member.info, incarnation, "alive");
  }

  /** Someone is gone, who may have been known before. */
  bury(tombstone: Tombstone): void {
    const { info, incarnation, how } = tombstone;
    this.forget(info.id);
    this.#tombstones.set(info.id, tombstone);
    this.#fold(info, incarnation, how);
    this.#sortedIds = undefined;
  }

  /** Takes an id out of the table that it is in. */
  forget(id: NodeId): void {
    const tombstone = this.#tombstones.get(id);
    if (tombstone) {
      this.#tombstones.delete(id);
      this.#fold(tombstone.info, tombstone.incarnation, tombstone.how);
    }
    const member = this.#members.get(id);
    if (member) {
      this.#members.delete(id);
      this.#suspects.delete(id);
      this.#fold(member.info, member.incarnation, "alive");
      const last = present(this.#living.pop(), "who is in the table is in the list");
      if (last !== member) this.#put(last, member.place);
    }
    this.#sortedIds = undefined;
  }

  /** Up to `count` living members that `fits`, each as likely as the other. */
  pick(count: number, fits: (member: Readonly<Member>) => boolean): Readonly<Member>[] {
    const picked: Readonly<Member>[] = [];
    const living = this.#living;
    for (let at = 0; at < living.length && picked.length < count; at++) {
      const other = at + Math.floor(this.#random() * (living.length - at));
      const [one, drawn] = [this.#at(at), this.#at(other)];
      this.#put(one, other);
      this.#put(drawn, at);
      if (fits(drawn)) picked.push(drawn);
    }
    return picked;
  }

  #put(member: Member, place: number): void {
    member.place = place;
    this.#living[place] = member;
  }

  #at(place: number): Member {
    return present(this.#living[place], "a place in the list");
  }

  #member(id: NodeId): Member {
    return present(this.#members.get(id), `${id} is a living member`);
  }

  /** Puts into the digest, or takes out. */
  #fold(info: MemberInfo, incarnation: number, is: "alive" | "dead" | "left"): void {
    const { high, low } = hashOf(info, incarnation, is);
    this.#high ^= high;
    this.#low ^= low;
  }
}

/** The order of ids: by UTF-16 units, the same everywhere. */
export function compareIds(a: NodeId, b: NodeId): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Twice FNV-1a with different beginnings, each mixed at its end: for telling views apart, not for secrecy. */
function hashOf({ id, instance }: MemberInfo, incarnation: number, is: string): Digest {
  const text = `${id}\n${instance}\n${incarnation}\n${is}`;
  let [high, low] = [0x811c9dc5, 0x050c5d1f];
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    high = Math.imul(high ^ code, 0x01000193);
    low = Math.imul(low ^ code, 0x01000193);
  }
  return { high: mixed(high), low: mixed(low ^ (high >>> 7)) };
}

function mixed(hash: number): number {
  const once = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (once ^ (once >>> 13)) >>> 0;
}
