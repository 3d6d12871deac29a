/**
 * `bun test/sim/cluster-rules/first-failing-seed.ts RUN SEEDS SAYS [FROM]`: runs of the cluster until one fails and says
 * what is looked for.
 * @module
 */
import { runCluster } from "../../../src/sim/cluster/run.ts";
import { runNamed } from "./runs.ts";

const [, , name = "", count = "1", says = "", from = "1"] = process.argv;
const { plan, direct } = runNamed(name);
const looked = new RegExp(says);
for (let seed = Number(from); seed < Number(from) + Number(count); seed++) {
  console.log(`seed ${seed} begins`);
  const { failure } = await runCluster(seed, { plan: plan(seed), direct });
  if (!failure) continue;
  const isIt = looked.test(failure.message);
  console.log(`seed ${seed} ${isIt ? "fails" : "fails otherwise"}: ${failure.message}`);
  if (isIt) break;
}
