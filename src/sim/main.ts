/**
 * `npm run sim:disk -- --seeds N --from S`: runs of the log on the simulated disk. A run that fails is shrunk, and the
 * command that replays it is printed. With `--trace` all that happens is told; with `--lives` one seed does what the word
 * says, as that command has it; with `--profile` runs are steered towards what others meet seldom.
 * @module
 */
import { parseArgs } from "node:util";
import { countsText, runSeeds } from "./campaign.ts";
import { profileNamed } from "./log-profiles.ts";
import { runLog } from "./log-run.ts";
import { readScript } from "./run-script.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    lives: { type: "string" },
    profile: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const { lives } = values;
const from = Number(values.from);
const options = {
  profile: values.profile === undefined ? undefined : profileNamed(values.profile),
  ...(values.trace && { trace: (line: string) => console.log(line) }),
};
if (lives === undefined) {
  const { counts, failed, seconds } = await runSeeds({ from, seeds: Number(values.seeds), ...options });
  console.log(countsText(counts));
  console.log(
    `${Number(values.seeds) - failed.length} runs passed, ${failed.length} failed, in ${seconds.toFixed(1)} s`,
  );
  process.exitCode = failed.length > 0 ? 1 : 0;
} else {
  const { failure } = await runLog(from, { script: readScript(lives), ...options });
  console.log(failure ? `seed ${from} fails: ${failure.message}` : `seed ${from} passes`);
  process.exitCode = failure ? 1 : 0;
}
