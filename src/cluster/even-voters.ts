/**
 * Warns of an even number of voters while the cluster runs, on the node that leads it: once for each set of them that stays. One
 * that is passed through while voters are added and replaced is none.
 * Elsewhere: the same in `tailrace cluster status` (`cli/cluster-findings.ts`), and at the beginning (`membership/`).
 * @module
 */
import type { Logger } from "pino";
import type { NodeId } from "../raft/types.ts";

/** A set of voters that is there for so long is meant to stay, milliseconds: a change takes some seconds. */
const staysMs = 10_000;

/** See the module's description. */
export class EvenVoters {
  readonly #logger: Logger;
  #seen: { readonly voters: string; readonly sinceMs: number; isTold: boolean } | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Looks at the voters of the cluster; undefined: it is not led here. */
  look(nodes: readonly NodeId[] | undefined, nowMs: number): void {
    if (nodes === undefined) {
      this.#seen = undefined;
      return;
    }
    const voters = [...new Set(nodes)].sort();
    const names = voters.join(", ");
    if (this.#seen?.voters !== names) this.#seen = { voters: names, sinceMs: nowMs, isTold: false };
    if (voters.length % 2 === 1 || this.#seen.isTold || nowMs < this.#seen.sinceMs + staysMs) return;
    this.#seen.isTold = true;
    this.#logger.warn({ voters }, warning(voters.length, names));
  }
}

function warning(count: number, names: string): string {
  const add =
    'Add one: start another node with --seeds that name these, and run "tailrace cluster add NODE" unless it votes by itself';
  if (count === 2) return `The cluster has two voters, ${names}: while either is down nothing is appended. ${add}`;
  const what = `The cluster has ${count} voters, ${names}: no more of them may be down than of ${count - 1}`;
  return `${what}. ${add}; or "tailrace cluster remove" one that is not needed`;
}
