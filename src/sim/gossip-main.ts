/**
 * `npm run sim:gossip -- --seeds N --from S [--nodes K] [--trace]`: runs of gossiping clusters, one for each seed. Of each
 * that fails the command is printed that replays it with all that happens in it.
 * @module
 */
import { parseArgs } from "node:util";
import { runGossipSeeds } from "./gossip-campaign.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    nodes: { type: "string" },
    trace: { type: "boolean", default: false },
  },
});
const { tally, failed, agreedMs, seconds } = runGossipSeeds({
  from: Number(values.from),
  seeds: Number(values.seeds),
  nodes: values.nodes === undefined ? undefined : Number(values.nodes),
  trace: values.trace ? (line) => console.log(line) : undefined,
});
for (const [what, count] of [...tally].sort(([a], [b]) => (a < b ? -1 : 1))) {
  console.log(`${String(count).padStart(9)}  ${what}`);
}
const passed = Number(values.seeds) - failed.length;
console.log(
  `${passed} runs passed, ${failed.length} failed, in ${seconds.toFixed(1)} s; agreed after ${agreedMs} ms at most`,
);
process.exitCode = failed.length > 0 ? 1 : 0;
