import assert from "node:assert/strict";
import { type ErrorFacts, type Reason, TailraceError } from "../../src/base/errors.ts";

/** What a test wants of a refusal; what is left out may be anything. */
export interface ExpectedRefusal {
  readonly reason: Reason;
  readonly message?: RegExp;
  readonly facts?: ErrorFacts;
}

/** Checks that a promise is refused, in words and with what to do. */
export async function assertRefused(work: Promise<unknown>, expected: ExpectedRefusal): Promise<void> {
  await assert.rejects(work, (error) => isRefusal(error, expected));
}

/** Checks that a call is refused, in words and with what to do. */
export function assertRefuses(work: () => unknown, expected: ExpectedRefusal): void {
  assert.throws(work, (error) => isRefusal(error, expected));
}

function isRefusal(error: unknown, { reason, message, facts }: ExpectedRefusal): boolean {
  assert.ok(error instanceof TailraceError, `a refusal, not ${String(error)}`);
  assert.equal(error.reason, reason);
  assert.notEqual(error.todo, "");
  if (message !== undefined) assert.match(error.message, message);
  if (facts !== undefined) assert.deepEqual({ ...error.facts, ...facts }, error.facts);
  return true;
}
