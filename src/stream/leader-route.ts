/**
 * The way of a request to the node that leads its group: here, or by way of another node, which is asked once and asks nobody
 * else. Where nobody leads, or who was asked leads no more, it is waited for another leader and asked again.
 * - It is asked again only if the tries before surely did nothing, or it may be done twice: an append with a producer's
 *   sequence is stored once. Otherwise the answer is that its fate is unknown.
 * - Who leads is known from the group here, from a refusal that names another, or found by asking nodes that hold it.
 * @module
 */
import { TailraceError } from "../base/errors.ts";
import type { Limits } from "../base/limits.ts";
import type { Clock } from "../host/clock.ts";
import type { Leadership, LogDoor } from "../replica/log-door.ts";
import { ClosedError, FateUnknownError, NotLeaderError, RefusedError } from "../replica/replica-errors.ts";
import type { LogStream } from "./log-stream.ts";
import { LostError, type Patience, type Peers, UnreachableError } from "./peers.ts";
import type { Polls } from "./polls.ts";
import { type Asked, fateUnknown, noLeader, notLeader, withUnknownFate } from "./routed-refusals.ts";
import type { Client } from "./types.ts";

/** What all routes of a node share. */
export interface RouteHome {
  readonly peers: Peers;
  readonly clock: Clock;
  readonly limits: Limits;
  readonly polls: Polls;
  /** Nodes that hold a group, the one to ask first in front; this one may be among them. */
  readonly holders: (group: number) => readonly string[];
  /** Who was last found to lead groups that are not here. */
  readonly leaders: Map<number, string>;
}

/** A group that has a leader somewhere. */
export interface RoutedGroup {
  readonly id: number;
  /** Its log, where it is here. */
  readonly door: LogDoor | undefined;
  /** The stream that was meant is deleted. */
  gone(): TailraceError;
}

/** Something that a leader is to do. */
export interface LeaderWork<T> {
  readonly asked: Asked;
  readonly here: () => Promise<T>;
  readonly there: (node: string, patience: Patience) => Promise<T>;
  /** Whether it may be asked for again though it may have been done. */
  readonly repeats: boolean;
}

/** What is known of a try that failed. */
export type Failure =
  /** It did nothing; `leader` was named instead. */
  | { readonly kind: "not done"; readonly leader?: string | undefined }
  | { readonly kind: "unknown" }
  | { readonly kind: "refused" };

/** Whom to ask; the name of this node: here. */
type Target = string;

/** A follower hears who leads within this, or asks others. */
const askOthersAfterMs = 200;
const firstPauseMs = 10;
const lastPauseMs = 200;

export class LeaderRoute {
  readonly #home: RouteHome;
  readonly #group: RoutedGroup;
  readonly #client: Client;

  constructor(home: RouteHome, group: RoutedGroup, client: Client) {
    this.#home = home;
    this.#group = group;
    this.#client = client;
  }

  /** Whether this node leads it now. */
  get isHere(): boolean {
    return this.#leadership.kind === "here";
  }

  /** The node that is thought to lead; undefined: nobody is. Not asked of what may not be passed on. */
  get elsewhere(): string | undefined {
    if ((this.#client.routing ?? "pass_on") !== "pass_on") return undefined;
    const known = this.#known() ?? (this.#group.door ? undefined : this.#home.leaders.get(this.#group.id));
    return known === this.#home.peers.self ? undefined : known;
  }

  /** Does it where the leader is. @throws {TailraceError} */
  async lead<T>(work: LeaderWork<T>): Promise<T> {
    switch (this.#client.routing ?? "pass_on") {
      case "forwarded":
        return await this.#hereOnly(work);
      case "refuse":
        // Where its log is not here nobody ever says who leads: who holds it is told at once.
        if (this.#group.door) await this.#home.polls.until(() => this.#isKnown(), this.#patienceMs);
        return await this.#hereOnly(work);
      case "pass_on":
        return await this.#anywhere(work);
    }
  }

  /** A try at the log here; what it fails with `explain` makes an answer. */
  async here<T>({ here }: Pick<LeaderWork<T>, "here">): Promise<T> {
    try {
      return await this.#unlessStuck(here());
    } catch (error) {
      if (!(error instanceof ClosedError)) throw error;
      // That it is closed is told once it is committed: what was judged by may be cut off.
      await this.#group.door?.settled(error.end - 1);
      throw this.#group.gone();
    }
  }

  /** What a failed try here is to a client. */
  explain(asked: Asked, error: unknown): unknown {
    const failure = failureHere(error);
    switch (failure.kind) {
      case "not done":
        return this.#notLeader(asked, failure.leader);
      case "unknown":
        return fateUnknown(asked);
      case "refused":
        return error;
    }
  }

  async #hereOnly<T>(work: LeaderWork<T>): Promise<T> {
    if (!this.isHere) throw this.#notLeader(work.asked, undefined);
    try {
      return await this.here(work);
    } catch (error) {
      throw this.explain(work.asked, error);
    }
  }

  async #anywhere<T>(work: LeaderWork<T>): Promise<T> {
    const { clock, limits, peers, polls } = this.#home;
    const endMs = clock.monotonicMs() + this.#patienceMs;
    let mayBeDone = false;
    let named: Target | undefined;
    for (let tries = 0; ; tries++) {
      const target = named ?? (await this.#find(endMs, tries));
      named = undefined;
      if (target === undefined) break;
      try {
        return await (target === peers.self ? this.here(work) : this.#there(target, work));
      } catch (error) {
        const failure = target === peers.self ? failureHere(error) : failureThere(error);
        if (failure.kind === "refused") {
          throw mayBeDone && error instanceof TailraceError ? withUnknownFate(error) : error;
        }
        if (failure.kind === "unknown") {
          if (!work.repeats) throw fateUnknown(work.asked);
          mayBeDone = true;
        } else if (failure.leader !== target) {
          // Who says that it is this node, which does not have the stream, says what was so once.
          const isStale = failure.leader === peers.self && this.#group.door === undefined;
          named = isStale ? undefined : failure.leader;
        }
      }
      if (clock.monotonicMs() >= endMs || polls.isEnded) break;
      // The first that is named is asked at once; where they name each other in turn none knows yet.
      if (named === undefined || tries > 0) await this.#pause(target, tries);
    }
    throw mayBeDone ? fateUnknown(work.asked) : noLeader(work.asked, limits);
  }

  /** Whom to ask next; undefined: nobody is found in time. */
  async #find(endMs: number, tries: number): Promise<Target | undefined> {
    const { clock, polls, leaders } = this.#home;
    const { door, id } = this.#group;
    door?.want();
    const leftMs = () => Math.max(endMs - clock.monotonicMs(), 0);
    const found = this.#known() ?? leaders.get(id);
    if (found !== undefined) return found;
    if (door !== undefined) await polls.until(() => this.#isKnown(), Math.min(leftMs(), askOthersAfterMs));
    const known = this.#known();
    if (known !== undefined) return known;
    const others = othersWith(this.#home, this.#group);
    const next = others[tries % Math.max(others.length, 1)];
    if (next !== undefined && leftMs() > 0) return next;
    await polls.until(() => this.#isKnown(), leftMs());
    return this.#known();
  }

  /** Who leads no more, and hears from nobody who does, can't say what became of it. */
  #unlessStuck<T>(work: Promise<T>): Promise<T> {
    const { clock, polls, limits } = this.#home;
    let sinceMs: number | undefined;
    const isStuck = () => {
      if (this.isHere) sinceMs = undefined;
      else sinceMs ??= clock.monotonicMs();
      return sinceMs !== undefined && clock.monotonicMs() - sinceMs >= limits.leaderMaxWaitMs;
    };
    return new Promise((resolve, reject) => {
      const stop = polls.watch(isStuck, () => reject(new FateUnknownError("no leader says what became of it")));
      work.then(resolve, reject).finally(stop);
    });
  }

  async #there<T>(node: string, { there, repeats }: LeaderWork<T>): Promise<T> {
    const { polls, limits, leaders, peers } = this.#home;
    const abort = new AbortController();
    const isAnother = () => {
      const known = this.#known();
      return known !== undefined && known !== node;
    };
    // What may be done twice need not wait for an answer that may never come: another leads by now.
    const startedAs = this.#known();
    const stop = repeats && startedAs === node ? polls.watch(isAnother, () => abort.abort()) : () => {};
    const timeoutMs = Math.min(limits.forwardMaxMs, this.#client.remainingMs ?? Number.POSITIVE_INFINITY);
    try {
      const answer = await there(node, { client: this.#client.address, timeoutMs, signal: abort.signal });
      if (this.#group.door === undefined && node !== peers.self) this.#remember(node);
      return answer;
    } catch (error) {
      if (leaders.get(this.#group.id) === node) leaders.delete(this.#group.id);
      throw error;
    } finally {
      stop();
    }
  }

  /** Streams come and go, and nobody tells of those that are gone: who leads the ones that were asked for last is kept. */
  #remember(node: string): void {
    const { leaders, limits } = this.#home;
    leaders.delete(this.#group.id);
    leaders.set(this.#group.id, node);
    const [oldest] = leaders.keys();
    if (leaders.size > limits.streamsMax && oldest !== undefined) leaders.delete(oldest);
  }

  /** Some time before the next try, unless somebody else leads before. */
  async #pause(asked: Target, tries: number): Promise<void> {
    const isAnother = () => {
      const known = this.#known();
      return known !== undefined && known !== asked;
    };
    await this.#home.polls.until(isAnother, Math.min(firstPauseMs * 2 ** tries, lastPauseMs));
  }

  #notLeader(asked: Asked, named: string | undefined): TailraceError {
    const { peers, leaders, limits } = this.#home;
    const { door, id } = this.#group;
    door?.want();
    const likely = door === undefined ? (leaders.get(id) ?? othersWith(this.#home, this.#group)[0]) : undefined;
    const known = this.#known() ?? named ?? likely;
    if (known !== undefined && known !== peers.self) return notLeader(asked, peers.addressOf(known));
    return this.#client.routing === "refuse" ? noLeader(asked, limits) : notLeader(asked, undefined);
  }

  get #patienceMs(): number {
    return Math.min(this.#home.limits.leaderMaxWaitMs, this.#client.remainingMs ?? Number.POSITIVE_INFINITY);
  }

  get #leadership(): Leadership {
    return this.#group.door?.leadership ?? { kind: "unknown" };
  }

  #isKnown(): boolean {
    return this.#leadership.kind !== "unknown";
  }

  /** Who leads, as the group here knows. */
  #known(): Target | undefined {
    const leadership = this.#leadership;
    switch (leadership.kind) {
      case "here":
        return this.#home.peers.self;
      case "elsewhere":
        return leadership.node;
      case "unknown":
        return undefined;
    }
  }
}

/** The group of a stream as this node knows it. */
export function groupOf({ id, log }: LogStream): RoutedGroup {
  return {
    id,
    get door() {
      return log.door;
    },
    gone: () => log.gone(),
  };
}

/** Other nodes that have a group, the one to ask first in front. */
export function othersWith({ peers, holders }: RouteHome, { id }: RoutedGroup): readonly string[] {
  return holders(id).filter((node) => node !== peers.self);
}

/** What a try here says by its failure. */
export function failureHere(error: unknown): Failure {
  if (error instanceof NotLeaderError) return { kind: "not done", leader: error.leaderNode };
  if (error instanceof RefusedError) return { kind: "not done" };
  return error instanceof FateUnknownError ? { kind: "unknown" } : { kind: "refused" };
}

/** What another node's answer says, or that there is none. */
export function failureThere(error: unknown): Failure {
  if (error instanceof UnreachableError) return { kind: "not done" };
  if (error instanceof LostError) return { kind: "unknown" };
  if (!(error instanceof TailraceError)) return { kind: "refused" };
  const { reason, facts } = error;
  switch (reason) {
    case "not_leader":
      return { kind: "not done", leader: facts.leader?.nodeId };
    case "not_ready":
      return { kind: facts.fate === "unknown" ? "unknown" : "not done" };
    case "fate_unknown":
      return { kind: "unknown" };
    default:
      return { kind: "refused" };
  }
}
