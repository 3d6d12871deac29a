/**
 * Whether who greets can be reached at the address that it says: it is called back there, once, and the answer kept.
 * @module
 */
import type { Clock } from "../host/clock.ts";
import type { GreetAnswer, Greeting } from "./types.ts";

/** An address that did not work is tried again after so long. */
const tryAgainMs = 30_000;
const checksMax = 256;

interface Check {
  readonly why: Promise<string>;
  readonly beginMs: number;
}

/** See the module's description. */
export class ReachChecks {
  readonly #clock: Clock;
  readonly #callBack: (address: string) => Promise<GreetAnswer>;
  readonly #checks = new Map<string, Check>();

  constructor(clock: Clock, callBack: (address: string) => Promise<GreetAnswer>) {
    this.#clock = clock;
    this.#callBack = callBack;
  }

  /** Why it can't be reached; empty: it can. Never rejects. */
  async check(greeting: Greeting): Promise<string> {
    const key = `${greeting.instance} ${greeting.peerAddress}`;
    const nowMs = this.#clock.monotonicMs();
    const known = this.#checks.get(key);
    if (known) {
      const why = await known.why;
      if (why === "" || nowMs - known.beginMs < tryAgainMs) return why;
    }
    const check = { why: this.#try(greeting), beginMs: nowMs };
    this.#checks.delete(key);
    this.#checks.set(key, check);
    const [oldest] = this.#checks.keys();
    if (this.#checks.size > checksMax && oldest !== undefined) this.#checks.delete(oldest);
    return await check.why;
  }

  async #try({ peerAddress, instance, node }: Greeting): Promise<string> {
    try {
      const { greeting } = await this.#callBack(peerAddress);
      return greeting.instance === instance ? "" : `the node "${greeting.node}" answers there, not "${node}"`;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}
