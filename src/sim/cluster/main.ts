/**
 * `npm run sim -- --seeds N [--from S] [--nodes K] [--profile NAME]`: runs of whole clusters, each from its seed. One that
 * fails is shortened, and the command that replays it printed. With `--hours H` it goes on for that long and keeps what
 * fails in the file `--keep FILE`. With `--run WORD` one seed does what the word says; with `--trace` all is told.
 * @module
 */
import { parseArgs } from "node:util";
import { countsText } from "../campaign.ts";
import { runClusters } from "./campaign.ts";
import { profileNamed } from "./profiles.ts";
import { runCluster } from "./run.ts";
import { readScript } from "./run-word.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    nodes: { type: "string" },
    profile: { type: "string" },
    hours: { type: "string" },
    keep: { type: "string", default: "sim-failures.txt" },
    run: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const { hours, run, trace } = values;
const from = wholeNumber("--from", values.from);
const options = {
  ...(values.nodes === undefined ? {} : { nodes: wholeNumber("--nodes", values.nodes) }),
  ...(values.profile === undefined ? {} : { profile: profileNamed(values.profile) }),
};
if (run !== undefined || trace) {
  const script = run === undefined ? {} : { script: readScript(run) };
  const { failure } = await runCluster(from, {
    ...options,
    ...script,
    ...(trace ? { trace: (line: string) => console.log(line) } : {}),
  });
  console.log(failure ? `seed ${from} fails: ${failure.message}` : `seed ${from} passes`);
  process.exitCode = failure ? 1 : 0;
} else {
  const seeds = hours === undefined ? wholeNumber("--seeds", values.seeds) : Number.POSITIVE_INFINITY;
  const limits = hours === undefined ? {} : { withinMs: hoursOf(hours) * 3_600_000, keep: values.keep };
  const { counts, failed, runs, operations, seconds } = await runClusters({ from, seeds, ...limits, ...options });
  console.log(countsText(counts));
  console.log(
    `${runs - failed.length} runs passed, ${failed.length} failed, ${operations} operations, in ${seconds.toFixed(1)} s`,
  );
  process.exitCode = failed.length > 0 ? 1 : 0;
}

function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 0) throw new RangeError(`${option} is a whole number, not "${text}"`);
  return number;
}

function hoursOf(text: string): number {
  const hours = Number(text);
  if (!(hours > 0)) throw new RangeError(`--hours is a number above 0, not "${text}"`);
  return hours;
}
