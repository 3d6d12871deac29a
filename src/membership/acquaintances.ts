/**
 * Nodes that this one has met by greetings: before gossip runs there is no other way to know them.
 * - One that this node reached is *present* for some seconds; who only came here may be somewhere where nobody reaches it.
 * - A name is the first process's that has it here, as long as that answers at its address.
 * Pure: times come in.
 * @module
 */
import type { NodeId } from "../raft/types.ts";
import type { Greeting } from "./types.ts";

/** A node, as it said itself. */
export interface Met {
  readonly greeting: Greeting;
  /** When it last said something. */
  readonly heardMs: number;
  /** When it was last reached at the address that it says. */
  readonly reachedMs: number;
}

/** How many are remembered; the one that was silent longest goes. */
export const acquaintancesMax = 256;

/** See the module's description. */
export class Acquaintances {
  readonly #met = new Map<NodeId, Met>();

  /** Another process that has the name of this one, at another address; `undefined`: none. */
  rivalOf({ node, instance, peerAddress }: Greeting): Met | undefined {
    const met = this.#met.get(node);
    const isSame = met === undefined || met.greeting.instance === instance || met.greeting.peerAddress === peerAddress;
    return isSame ? undefined : met;
  }

  /**
   * Takes note of what a node said of itself.
   * @returns Whether anything but its clock is new.
   */
  heard(greeting: Greeting, nowMs: number, isReached: boolean): boolean {
    const before = this.#met.get(greeting.node);
    const isSame = before !== undefined && facts(before.greeting) === facts(greeting);
    const reachedMs = isReached ? nowMs : isSame ? before.reachedMs : Number.NEGATIVE_INFINITY;
    this.#met.set(greeting.node, { greeting, heardMs: nowMs, reachedMs });
    if (this.#met.size > acquaintancesMax) this.#forgetOne();
    return !isSame || (isReached && before.reachedMs === Number.NEGATIVE_INFINITY);
  }

  get(node: NodeId): Met | undefined {
    return this.#met.get(node);
  }

  /** All, reached or not, as they said themselves. */
  all(): Greeting[] {
    return [...this.#met.values()].map(({ greeting }) => greeting);
  }

  /** All that were reached within so many milliseconds, in order of their names. */
  reached(nowMs: number, withinMs: number): Greeting[] {
    return [...this.#met.values()]
      .filter(({ reachedMs }) => nowMs - reachedMs <= withinMs)
      .map(({ greeting }) => greeting)
      .sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  #forgetOne(): void {
    let silent: [NodeId, Met] | undefined;
    for (const entry of this.#met) if (!silent || entry[1].heardMs < silent[1].heardMs) silent = entry;
    if (silent) this.#met.delete(silent[0]);
  }
}

function facts({ nowMicros: _, acquaintances: __, ...greeting }: Greeting): string {
  return JSON.stringify(greeting);
}
