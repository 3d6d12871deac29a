/**
 * Makes a failing run shorter: fewer lives, earlier deaths, fewer steps, as long as it fails in the same way.
 * @module
 */
import type { RunReport } from "./log-run.ts";
import type { LifeScript, RunScript } from "./run-script.ts";

/** Most runs that shrinking one takes. */
const runsMax = 400;

/** The shortest failing run that is found. `run`: runs a script with the seed of the failed one. */
export async function shrink(failed: RunReport, run: (script: RunScript) => Promise<RunReport>): Promise<RunReport> {
  const kind = kindOf(failed);
  let [best, runs] = [failed, 0];
  for (let found = true; found && runs < runsMax; ) {
    found = false;
    for (const script of shorterThan(best.script)) {
      runs += 1;
      if (runs > runsMax) return best;
      const report = await run(script);
      if (kindOf(report) !== kind) continue;
      best = report;
      found = true;
      break;
    }
  }
  return best;
}

/** The same failure has the same words, whatever the numbers in it. */
function kindOf({ failure }: RunReport): string | undefined {
  return failure?.message.split("\n")[0]?.replace(/\d[\d ]*/g, "#");
}

/** Scripts a little shorter than this one; those that take away most come first. */
function* shorterThan(script: RunScript): Generator<RunScript> {
  for (let i = script.length - 1; i >= 0; i--) yield script.toSpliced(i, 1);
  for (const [i, life] of script.entries()) {
    for (const shorter of shorterLives(life)) yield script.with(i, shorter);
  }
}

function* shorterLives(life: LifeScript): Generator<LifeScript> {
  const { steps, atCall } = life;
  for (let part = Math.ceil(steps.length / 2); part >= 1; part = part > 1 ? Math.ceil(part / 2) : 0) {
    for (let from = steps.length - part; from > -part; from -= part) {
      yield { ...life, steps: steps.toSpliced(Math.max(from, 0), part + Math.min(from, 0)) };
    }
  }
  if (!Number.isFinite(atCall)) return;
  for (const call of new Set([atCall >> 1, atCall - (atCall >> 2), atCall - 1])) {
    if (call > 0 && call < atCall) yield { ...life, atCall: call };
  }
}
