/**
 * Undoes a rule of replication in a copy of the source, and lets runs of the cluster, or a script of the core, show that
 * something breaks.
 * @module
 */
import { escaped, onPatchedCopy, runThere } from "../patched-copy.ts";
import type { ClusterRule } from "./rule.ts";

/** `src/sim/cluster` stands for what wires a node. */
const places = {
  folders: ["src/raft", "src/replica", "src/log", "src/stream", "src/sim/cluster"],
  rules: "test/sim/cluster-rules/",
};

/** What ran on a copy without a rule. */
export interface Outcome {
  /** What should have failed, and did not: nothing, if all is well. */
  readonly missed: readonly string[];
  /** The first seed that failed as it must, and what that run said. */
  readonly failed: { readonly seed: number; readonly says: string } | undefined;
  readonly output: string;
}

/** @throws {Error} The patch does not fit the source any more: says what to do. */
export function tryWithout(rule: ClusterRule): Promise<Outcome> {
  return onPatchedCopy(rule, places, async (folder) => {
    const { cluster, script } = rule;
    const missed: string[] = [];
    let failed: Outcome["failed"];
    let output = "";
    if (cluster) {
      const { run, seeds, says } = cluster;
      const ran = await runThere(folder, [
        "test/sim/cluster-rules/first-failing-seed.ts",
        ...[run, String(seeds), says.source],
      ]);
      output += ran.output;
      const found = /^seed (\d+) fails: (.*)$/m.exec(ran.output);
      if (found) failed = { seed: Number(found[1]), says: found[2] ?? "" };
      else missed.push(`${seeds} runs of "${run}"`);
    }
    if (script !== undefined) {
      const ran = await runThere(folder, ["test", "./src/raft/scripts.test.ts", "-t", `(?:^| )${escaped(script)}:`]);
      output += ran.output;
      // One that found no time proves nothing.
      const isIt = /^ *1 fail$/m.test(ran.output) && !ran.output.includes("timed out");
      if (!isIt) missed.push(`the script "${script}"`);
    }
    return { missed, failed, output };
  });
}

/** What became of a rule that was undone, in a line. */
export function lineOf({ undone, cluster, script }: ClusterRule, { missed, failed }: Outcome): string {
  const by = [
    ...(cluster && failed ? [`seed ${failed.seed} of "${cluster.run}" (${failed.says.slice(0, 110)})`] : []),
    ...(script !== undefined && missed.length === 0 ? [`the script "${script}"`] : []),
  ];
  const caught = by.length > 0 ? `caught by ${by.join(" and ")}` : "";
  const lost = missed.length > 0 ? `NOT CAUGHT BY ${missed.join(" NOR ")}` : "";
  return `without "${undone}": ${[caught, lost].filter((text) => text !== "").join("; ")}`;
}
