/** Thrown when an invariant of ours does not hold: a bug, never a user's error. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Checks an invariant, in production too. A failure is a bug of ours: let it crash what it concerns. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

/** Returns `value`, which by an invariant named in `message` is there. */
export function present<T>(value: T | undefined, message: string): T {
  if (value === undefined) throw new AssertionError(message);
  return value;
}

/** Makes the compiler refuse a `switch` that forgot a member. */
export function unreachable(value: never): never {
  throw new AssertionError(`unreachable: ${String(value)}`);
}

/** Whether something failed by a bug, not by what the world says: it ends the process, and is answered to nobody. */
export function isBug(error: unknown): boolean {
  return error instanceof AssertionError || error instanceof TypeError || error instanceof RangeError;
}
