/**
 * `bun test/sim/gossip-rules/first-failing-seed.ts N`: random runs of gossip until one fails; says which.
 * @module
 */
import { runGossip } from "../../../src/sim/gossip-run.ts";

const [, , count = "1"] = process.argv;
for (let seed = 1; seed <= Number(count); seed++) {
  const { failure } = runGossip(seed);
  if (!failure) continue;
  console.log(`seed ${seed} fails: ${failure.message}`);
  break;
}
