/**
 * `bun test/sim/rules/first-failing-seed.ts N [FROM [PROFILE]]`: random runs of the log until one fails; says which.
 * @module
 */
import { profileNamed } from "../../../src/sim/log-profiles.ts";
import { runLog } from "../../../src/sim/log-run.ts";

const [, , count = "1", from = "1", named] = process.argv;
const profile = named === undefined ? undefined : profileNamed(named);
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  console.log(`seed ${seed} begins`);
  const { failure } = await runLog(seed, { profile });
  if (!failure) continue;
  console.log(`seed ${seed} fails: ${failure.message}`);
  break;
}
