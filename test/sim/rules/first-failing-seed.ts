/**
 * `bun test/sim/rules/first-failing-seed.ts N [FROM]`: random runs of the log until one fails; says which.
 * @module
 */
import { runLog } from "../../../src/sim/log-run.ts";

const [, , count = "1", from = "1"] = process.argv;
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  console.log(`seed ${seed} begins`);
  const { failure } = await runLog(seed);
  if (!failure) continue;
  console.log(`seed ${seed} fails: ${failure.message}`);
  break;
}
