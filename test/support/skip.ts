/**
 * Options for a test that this machine may not be able to run: `test("...", { ...unless(can, "why not") }, ...)`.
 * The reason is printed as a line of its own, which `npm test` repeats at its end: `bun test` does not tell it.
 */
export function unless(possible: boolean, reason: string): { skip?: string } {
  if (possible) return {};
  console.log(`# skip: ${reason}`);
  return { skip: reason };
}
