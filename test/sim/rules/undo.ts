/**
 * Undoes a rule in a copy of the source, and lets executions and random runs show that something breaks.
 * @module
 */
import { escaped, failingSeed, onPatchedCopy, runThere } from "../patched-copy.ts";
import type { Rule } from "./rule.ts";

const places = { folders: ["src/log"], rules: "test/sim/rules/" };

/** What runs on a copy without a rule did. */
export interface Outcome {
  /** Whether the execution failed, as it must. */
  readonly execution: boolean;
  /** The first seed that failed; `undefined`: none did, or none was asked for. */
  readonly seed: number | undefined;
  /** What broke, in a line. */
  readonly why: string;
  readonly output: string;
}

/** What works without any one rule, as long as nothing goes wrong. A patch that breaks this shows nothing. */
const calm = "without trouble every rule could be broken";

/** @throws {Error} The patch does not fit the source any more: says what to do. */
export function tryWithout(rule: Rule): Promise<Outcome> {
  return onPatchedCopy(rule, places, async (folder) => {
    const names = [calm, rule.execution].map(escaped);
    const executions = ["test", "test/sim/executions", "test/sim/faults", "-t", `(?:${names.join("|")})$`];
    const directed = await runThere(folder, executions);
    // A name that nobody has would be no failure either.
    const count = (what: string) => Number(new RegExp(`^ *(\\d+) ${what}$`, "m").exec(directed.output)?.[1] ?? 0);
    if (!directed.hung && count("pass") + count("fail") < 2) {
      throw new Error(`No execution is called "${rule.execution}":\n${directed.output}`);
    }
    if (!directed.output.includes(`(pass) ${calm}`)) {
      throw new Error(`Without "${rule.undone}" nothing works at all: the patch is wrong:\n${directed.output}`);
    }
    const found = { execution: directed.status !== 0, why: directed.hung ? "it never ends" : whyOf(directed.output) };
    if (rule.seeds === undefined) return { ...found, seed: undefined, output: directed.output };
    const random = await runThere(folder, [
      "test/sim/rules/first-failing-seed.ts",
      ...[String(rule.seeds), "1"],
      ...(rule.profile ? [rule.profile] : []),
    ]);
    return { ...found, seed: failingSeed(random), output: directed.output + random.output };
  });
}

/** What became of a rule that was undone, in a line. */
export function lineOf(rule: Rule, { execution, seed, why }: Outcome): string {
  const directed = execution ? `"${rule.execution}" fails (${why})` : `"${rule.execution}" DOES NOT FAIL`;
  if (rule.seeds === undefined) return `without "${rule.undone}": ${directed}; random runs meet it too seldom`;
  const caught = seed === undefined ? "NO RANDOM RUN FAILS" : `random: seed ${seed}`;
  const runs = rule.profile ? `${rule.seeds} of the profile ${rule.profile}` : `${rule.seeds}`;
  return `without "${rule.undone}": ${directed}; ${caught} of at most ${runs}`;
}

/** What a failed test says first: what was wrong, and with which values. */
function whyOf(output: string): string {
  const said =
    output.slice(Math.max(output.search(/^\w*[eE]rror: /m), 0)).split(/ generatedMessage|\n {6}at /)[0] ?? "";
  const [line = "", ...rest] = said.split("\n").map((text) => text.trim());
  const values = rest.filter((text) => (/^[+-] /.test(text) && !/actual/.test(text)) || text.includes("!=="));
  return [line.replace(/^\w*[eE]rror: /, ""), ...values].join(" ").slice(0, 200);
}
