/**
 * Takes down what clients of a running cluster did and were told, as the checker of histories wants it.
 * All clients are in this process: what comes before what is known.
 * @module
 */
import type { Moment, Operation } from "../../../src/sim/history/history.ts";

export class Recorder {
  readonly operations: Operation[] = [];
  readonly #beginMs = performance.now();
  #order = 0;

  /** Now, which comes after all that were asked for before. */
  moment(): Moment {
    return { ms: Math.round(performance.now() - this.#beginMs), order: this.#order++ };
  }

  add(operation: Operation): void {
    this.operations.push(operation);
  }

  /** How many operations of each kind had which outcome, in words. */
  get summary(): string {
    const counts = new Map<string, number>();
    for (const { kind, outcome } of this.operations) {
      const name = `${kind} ${outcome.kind}`;
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts]
      .sort()
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  }
}
