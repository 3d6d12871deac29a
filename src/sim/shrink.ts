/**
 * Makes a failing run shorter, as long as it fails in the same way.
 * @module
 */

/** A run, and what came of it. */
export interface ScriptedRun<Script> {
  readonly script: Script;
  readonly failure: Error | undefined;
}

/** Most runs that shrinking one takes. */
const runsMax = 400;

/**
 * The shortest failing run that is found.
 * @param run Runs a script with the seed of the failed one.
 * @param shorterThan Scripts a little shorter than this one; those that take away most come first.
 */
export async function shrink<Script, Run extends ScriptedRun<Script>>(
  failed: Run,
  run: (script: Script) => Promise<Run>,
  shorterThan: (script: Script) => Iterable<Script>,
): Promise<Run> {
  const kind = kindOf(failed.failure);
  let [best, runs] = [failed, 0];
  for (let found = true; found && runs < runsMax; ) {
    found = false;
    for (const script of shorterThan(best.script)) {
      runs += 1;
      if (runs > runsMax) return best;
      const report = await run(script);
      if (kindOf(report.failure) !== kind) continue;
      best = report;
      found = true;
      break;
    }
  }
  return best;
}

/** The same failure has the same words in its first line, whatever the numbers and the random names in it. */
export function kindOf(failure: Error | undefined): string | undefined {
  return failure?.message
    .split("\n")[0]
    ?.replace(/\b[0-9a-f]{16,}\b/g, "#")
    .replace(/\d[\d ]*/g, "#");
}
