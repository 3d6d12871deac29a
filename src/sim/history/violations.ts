/**
 * How a checker says what it found.
 * @module
 */
import type { Operation } from "./history.ts";

/** What may be broken: an invariant of replication by its number, or a word for the others. */
export type Rule =
  /** What is acknowledged is durable, and its offsets go to no other. */
  | "invariant 6"
  /** Consumers see what is committed, and see it again. */
  | "invariant 7"
  /** A linearizable read, or a refusal that shows state, knows all that was over before it began. */
  | "invariant 8"
  /** A producer's batches are accepted once each, in order. */
  | "invariant 9"
  /** A batch stands behind all that was over before it was appended. */
  | "real time"
  /** What surely failed was not written, and nothing is in the log that nobody wrote. */
  | "fate"
  /** An append is taken where its conditions hold, and refused where they do not. */
  | "condition"
  /** The log that replicas agree on is one. */
  | "log";

/** One thing that is not as it must be. */
export interface Violation {
  readonly rule: Rule;
  /** Says who did what, and when. */
  readonly sentence: string;
}

/** Takes down a violation. */
export type Report = (rule: Rule, sentence: string) => void;

/** An operation, by which it is found in a run: what, where, who and when. */
export function nameOf(operation: Operation): string {
  const { stream, client, invoked, outcome } = operation;
  const times = `t=${invoked.ms}..${outcome.returned?.ms ?? ""}`;
  return `${what(operation)} stream ${stream} by client ${client} (${times})`;
}

function what(operation: Operation): string {
  switch (operation.kind) {
    case "append": {
      const { value, producer } = operation;
      const of = producer ? ` of producer ${producer.id} (${producer.epoch}/${producer.sequence})` : "";
      return `append "${value}"${of} to`;
    }
    case "fence":
      return `fence "${operation.token}" of`;
    case "read": {
      const { consistency, from } = operation;
      const kind = consistency.kind === "atLeast" ? `at-least-${consistency.offset}` : consistency.kind;
      return `${kind} read from ${from} of`;
    }
  }
}
