const waitMaxMs = 30_000;

/** Resolves when it holds. @throws {Error} It did not come to hold. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const beginMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - beginMs > waitMaxMs) throw new Error(`it did not come to hold: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
