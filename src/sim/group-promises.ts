/**
 * What a replica promised: its vote, its floor and its note. What was saved is there after every start, or what was on its
 * way to follow it; never something older, and nothing else.
 * @module
 */
import { sameBytes } from "../base/bytes.ts";
import type { Floor, GroupLog, Promised, Vote } from "../log/types.ts";
import { must } from "./must.ts";

/** A value that is saved again and again. */
class Saved<T> {
  #now: T;
  /** Asked for, and not known to be saved. Only one at a time is. */
  #coming: T[] = [];
  readonly #same: (a: T, b: T) => boolean;

  constructor(first: T, same: (a: T, b: T) => boolean) {
    this.#now = first;
    this.#same = same;
  }

  get now(): T {
    return this.#now;
  }

  get isComing(): boolean {
    return this.#coming.length > 0;
  }

  /** It is asked for. */
  begin(value: T): void {
    this.#coming.push(value);
  }

  /** It is saved. */
  done(value: T): void {
    this.#now = value;
    this.#coming = [];
  }

  /** It is not, and never will be. */
  refused(): void {
    this.#coming = [];
  }

  /** Whether what a start found is right; from now on it is that. */
  found(value: T): boolean {
    const isRight = this.#same(value, this.#now) || this.#coming.some((coming) => this.#same(value, coming));
    this.done(value);
    return isRight;
  }
}

/** The promises of one group's replica. */
export class GroupPromises {
  readonly #group: number;
  readonly #vote = new Saved<Vote>({ term: 0 }, sameVote);
  readonly #floor = new Saved<Floor>({ term: 0, index: 0 }, sameFloor);
  readonly #note: Saved<Uint8Array>;

  constructor(group: number, note: Uint8Array) {
    this.#group = group;
    this.#note = new Saved(note, sameBytes);
  }

  get vote(): Vote {
    return this.#vote.now;
  }

  get floor(): Floor {
    return this.#floor.now;
  }

  /** Whether one is on its way. */
  get isComing(): boolean {
    return this.#vote.isComing || this.#floor.isComing || this.#note.isComing;
  }

  begin({ vote, floor, note }: Promised): void {
    if (vote) this.#vote.begin(vote);
    if (floor) this.#floor.begin(floor);
    if (note) this.#note.begin(note);
  }

  done({ vote, floor, note }: Promised): void {
    if (vote) this.#vote.done(vote);
    if (floor) this.#floor.done(floor);
    if (note) this.#note.done(note);
  }

  refused(): void {
    for (const saved of [this.#vote, this.#floor, this.#note]) saved.refused();
  }

  /** What a start found. */
  found(log: Pick<GroupLog, "vote" | "floor" | "note">): void {
    const { term } = this.vote;
    const name = `group ${this.#group}`;
    const before = JSON.stringify(this.#floor.now);
    must(this.#vote.found(log.vote), `${name}: the vote in term ${term} is another, or of term ${log.vote.term}`);
    must(this.#floor.found(log.floor), `${name}: the floor is ${JSON.stringify(log.floor)}, and was ${before}`);
    must(this.#note.found(log.note.slice()), `${name}: the note is not what was saved`);
  }

  /** What the log says while it runs. */
  check(log: Pick<GroupLog, "vote" | "floor" | "note">): void {
    if (this.isComing) return;
    const same =
      sameVote(log.vote, this.vote) && sameFloor(log.floor, this.floor) && sameBytes(log.note, this.#note.now);
    must(same, `group ${this.#group}: it has other promises than were made`);
  }
}

function sameVote(a: Vote, b: Vote): boolean {
  if (a.term !== b.term) return false;
  const [to, other] = [a.votedFor, b.votedFor];
  if (!to || !other) return to === other;
  return to.life === other.life && sameBytes(to.diskId, other.diskId);
}

function sameFloor(a: Floor, b: Floor): boolean {
  return a.term === b.term && a.index === b.index;
}
