/**
 * How a run of the log is made a little shorter: fewer lives, earlier deaths, fewer steps.
 * @module
 */
import type { LifeScript, RunScript } from "./run-script.ts";

/** Scripts a little shorter than this one; those that take away most come first. */
export function* shorterRuns(script: RunScript): Generator<RunScript> {
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
