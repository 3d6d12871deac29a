/**
 * `npm run sim:cluster-rules -- [PART OF A RULE]`: undoes rules of replication, one after the other, and says what broke.
 * @module
 */
import { rules } from "./rules.ts";
import { lineOf, tryWithout } from "./undo.ts";

const [, , part = ""] = process.argv;
let missed = 0;
for (const rule of rules.filter(({ undone }) => undone.includes(part))) {
  try {
    const outcome = await tryWithout(rule);
    console.log(lineOf(rule, outcome));
    if (outcome.missed.length === 0) continue;
    console.log(outcome.output.replace(/^seed \d+ begins\n/gm, ""));
  } catch (error) {
    console.log(error instanceof Error ? error.message : error);
  }
  missed += 1;
}
console.log(`${missed} missed`);
process.exitCode = missed > 0 ? 1 : 0;
