/**
 * A group whose leader a test names, and other nodes that answer as they are told.
 * @module
 */
import { defaultLimits, type Limits } from "../../base/limits.ts";
import { systemClock } from "../../host/clock.ts";
import type { Leadership, LogDoor } from "../../replica/log-door.ts";
import type { RouteHome } from "../leader-route.ts";
import { type Patience, type Peers, UnreachableError } from "../peers.ts";
import { Polls } from "../polls.ts";
import { streamNotFound } from "../refusals.ts";

/** Time enough for all that is to come, and short where nothing does. */
export const quickLimits: Limits = { ...defaultLimits, leaderMaxWaitMs: 300, forwardMaxMs: 1000 };

const notAsked = () => Promise.reject(new Error("no test asks for it"));

/** Peers that refuse everything but what a test gives. */
export function peersOf(given: Partial<Peers>): Peers {
  return {
    self: "here",
    addressOf: (nodeId) => ({ nodeId, url: `http://${nodeId}:8400` }),
    openSeries: () => {
      throw new Error("no test asks for it");
    },
    ...{ append: notAsked, fence: notAsked, trim: notAsked, update: notAsked, read: notAsked, describe: notAsked },
    ...{ confirm: notAsked, create: notAsked, delete: notAsked, endLog: notAsked },
    ...given,
  };
}

/** What routes stand on. */
export function homeOf(peers: Partial<Peers>, holders: readonly string[] = [], limits = quickLimits): RouteHome {
  return {
    peers: peersOf(peers),
    clock: systemClock,
    limits,
    polls: new Polls(systemClock),
    holders: () => holders,
    leaders: new Map(),
  };
}

/** A group, and who leads it by now. */
export class ScriptedGroup {
  readonly id = 7;
  leadership: Leadership = { kind: "unknown" };
  /** How often somebody was wanted to lead. */
  wanted = 0;
  /** Up to which batch it was waited for that all is committed. */
  settledIndex: number | undefined;
  /** How often the log here confirmed what is committed. */
  confirmed = 0;
  /** What a read of the log here waits for. */
  reading: Promise<void> = Promise.resolve();
  /** What appends to the log here come to. */
  appending: Promise<never> | undefined;
  /** Whether others have more of it. */
  isIncomplete = false;
  #commit = { index: 0, offset: 0 };
  readonly #listeners = new Set<() => void>();
  readonly door: LogDoor | undefined;

  /** @param isHeld Whether its log is here. */
  constructor(isHeld = true) {
    const leadership = () => this.leadership;
    const commit = () => this.#commit;
    const isIncomplete = () => this.isIncomplete;
    const never = () => {
      throw new Error("no test asks for it");
    };
    const door: LogDoor = {
      group: this.id,
      get leadership() {
        return leadership();
      },
      want: () => {
        this.wanted += 1;
      },
      get commit() {
        return commit();
      },
      get isIncomplete() {
        return isIncomplete();
      },
      ...{ lagMs: 0, storedBytes: 0, isDamaged: false, baseIndex: 0 },
      settled: async (index) => {
        this.settledIndex = index;
      },
      confirm: async () => {
        this.confirmed += 1;
      },
      read: async () => {
        await this.reading;
        return [];
      },
      ready: () => undefined,
      onCommit: (listener) => {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
      },
      append: () => this.appending ?? never(),
      ...{ committed: never, findTime: never },
      ...{ endSegmentsBy: never, baseIndexFor: never, segmentSizes: never, dropBefore: never, lastCheckpoint: never },
    };
    this.door = isHeld ? door : undefined;
  }

  gone() {
    return streamNotFound("s", "it was deleted (its id was 7)", { fate: "nothing_written" });
  }

  /** Another node leads from now on; undefined: nobody. */
  follow(node: string | undefined): void {
    this.leadership = node === undefined ? { kind: "unknown" } : { kind: "elsewhere", node };
  }

  /** So much is committed now. */
  commit(index: number, offset: number): void {
    this.#commit = { index, offset };
    for (const listener of [...this.#listeners]) listener();
  }

  lead(): void {
    this.leadership = { kind: "here" };
  }
}

/** What a node answers, one request after the other; then it is not there any more. */
export class Answers {
  /** Nodes that were asked, in order. */
  readonly asked: string[] = [];
  readonly #answers = new Map<string, (() => Promise<string>)[]>();

  /** A node's next answer. */
  of(node: string, answer: () => Promise<string>): this {
    this.#answers.set(node, [...(this.#answers.get(node) ?? []), answer]);
    return this;
  }

  readonly ask = (node: string, _patience?: Patience): Promise<string> => {
    this.asked.push(node);
    const next = this.#answers.get(node)?.shift();
    return next === undefined ? Promise.reject(new UnreachableError(`${node} is down`)) : next();
  };
}
