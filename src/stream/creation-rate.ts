/**
 * How fast each client may create streams: as many at once as in a second, then evenly. What a client is, is said by who
 * takes its calls; of many that create at the same time the last ones share one allowance, so the table stays small.
 * @module
 */
import { limitPassed } from "../base/errors.ts";
import { limitName } from "../base/limits.ts";
import type { Clock } from "../host/clock.ts";

/** Clients that have an allowance of their own; one that did not create for a second needs none. */
const clientsMax = 1000;

interface Allowance {
  left: number;
  atMs: number;
}

export class CreationRate {
  readonly #perSecond: number;
  readonly #clock: Pick<Clock, "monotonicMs">;
  /** The one that created last is the last. */
  readonly #clients = new Map<string, Allowance>();
  readonly #others: Allowance;

  /** @param perSecond 0: no limit. */
  constructor(perSecond: number, clock: Pick<Clock, "monotonicMs">) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#others = { left: perSecond, atMs: clock.monotonicMs() };
  }

  /** Clients with an allowance of their own. */
  get clients(): number {
    return this.#clients.size;
  }

  /** Takes note of a creation. @throws {TailraceError} `limit`: too many came from the client, with when to try again. */
  take(client: string, stream: string): void {
    const perSecond = this.#perSecond;
    if (perSecond === 0) return;
    const nowMs = this.#clock.monotonicMs();
    const allowance = this.#of(client, nowMs);
    allowance.left = this.#left(allowance, nowMs);
    allowance.atMs = nowMs;
    if (allowance.left < 1) {
      const retryAfterMs = Math.ceil(((1 - allowance.left) * 1000) / perSecond);
      const limit = { name: limitName("streamCreationsMaxPerS"), value: perSecond };
      const todo = `Wait ${retryAfterMs} ms, then create it; appends to streams that are there go on`;
      throw limitPassed(`Cannot create stream "${stream}"`, limit, todo, {
        stream,
        retryAfterMs,
        fate: "nothing_written",
      });
    }
    allowance.left -= 1;
  }

  #of(client: string, nowMs: number): Allowance {
    const known = this.#clients.get(client);
    this.#clients.delete(client);
    if (known === undefined && !this.#makeRoom(nowMs)) return this.#others;
    const allowance = known ?? { left: this.#perSecond, atMs: nowMs };
    this.#clients.set(client, allowance);
    return allowance;
  }

  /** Whether the table has room: those go that would begin with the same allowance as they have. */
  #makeRoom(nowMs: number): boolean {
    for (const [client, allowance] of this.#clients) {
      if (this.#left(allowance, nowMs) < this.#perSecond) break;
      this.#clients.delete(client);
    }
    return this.#clients.size < clientsMax;
  }

  #left({ left, atMs }: Allowance, nowMs: number): number {
    return Math.min(this.#perSecond, left + ((nowMs - atMs) * this.#perSecond) / 1000);
  }
}
