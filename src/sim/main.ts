/**
 * `npm run sim:disk -- --seeds N --from S [--trace]`: runs of the log on the simulated disk.
 * @module
 */
import { parseArgs } from "node:util";
import { runLog } from "./log-run.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    trace: { type: "boolean", default: false },
  },
});
const [seeds, from] = [Number(values.seeds), Number(values.from)];
const tally = new Map<string, number>();
const failures = new Map<number, Error>();
for (let seed = from; seed < from + seeds; seed++) {
  const report = await runLog(seed, values.trace ? { trace: (line) => console.log(line) } : {});
  for (const [what, count] of report.tally) tally.set(what, (tally.get(what) ?? 0) + count);
  if (!report.failure) continue;
  failures.set(seed, report.failure);
  console.log(`seed ${seed}: ${report.failure.message}`);
  console.log(`  replay it: npm run -s sim:disk -- --seeds 1 --from ${seed} --trace`);
}
for (const [what, count] of [...tally].sort()) console.log(`${String(count).padStart(9)}  ${what}`);
console.log(`${seeds - failures.size} runs passed, ${failures.size} failed`);
process.exitCode = failures.size > 0 ? 1 : 0;
