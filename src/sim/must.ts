/** What a run says when something does not hold. */
export class Broken extends Error {
  override readonly name = "Broken";
}

/** Fails the run. */
export function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Broken(what);
}
