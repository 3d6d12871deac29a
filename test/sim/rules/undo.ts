/**
 * Undoes a rule in a copy of the source, and lets executions and random runs show that something breaks.
 * @module
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Rule } from "./rule.ts";

const root = join(import.meta.dirname, "..", "..", "..");

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
export async function tryWithout(rule: Rule): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-rule-"));
  try {
    for (const part of ["src", "test/sim", "test/support", "package.json"]) {
      await cp(join(root, part), join(folder, part), { recursive: true });
    }
    await symlink(join(root, "node_modules"), join(folder, "node_modules"));
    for (const change of rule.patch) await apply(folder, rule, change);
    const names = [calm, rule.execution].map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const executions = ["test", "test/sim/executions", "test/sim/faults", "-t", `(?:${names.join("|")})$`];
    const directed = await run(folder, executions);
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
    const random = await run(folder, [
      "test/sim/rules/first-failing-seed.ts",
      ...[String(rule.seeds), "1"],
      ...(rule.profile ? [rule.profile] : []),
    ]);
    const failing = /^seed (\d+) fails/m.exec(random.output)?.[1];
    // A run that never ends is caught as well: at the seed that was begun last.
    const begun = random.hung ? [...random.output.matchAll(/^seed (\d+) begins$/gm)].at(-1)?.[1] : undefined;
    const seed = failing ?? begun;
    const output = directed.output + random.output;
    return { ...found, seed: seed === undefined ? undefined : Number(seed), output };
  } finally {
    await rm(folder, { recursive: true });
  }
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

async function apply(folder: string, rule: Rule, { find, replace }: Rule["patch"][number]): Promise<void> {
  const log = join(folder, "src", "log");
  const names = (await readdir(log)).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const found: { path: string; source: string }[] = [];
  for (const path of names.map((name) => join(log, name))) {
    const source = await readFile(path, "utf8");
    for (let times = source.split(find).length - 1; times > 0; times--) found.push({ path, source });
  }
  const [only] = found;
  if (!only || found.length > 1) {
    throw new Error(
      `The patch that undoes "${rule.undone}" does not fit any more: what it looks for stands ${found.length} times in ` +
        `src/log/, not once. Find where that rule is kept now and mend the patch in test/sim/rules/; if it is kept by ` +
        `something else, or needed no more, change or remove the entry and say so in the commit.\n` +
        `It looks for:\n${find}`,
    );
  }
  // A function, or "$" would mean something.
  await writeFile(
    only.path,
    only.source.replace(find, () => replace),
  );
}

interface Ran {
  readonly status: number | null;
  readonly output: string;
  /** It said nothing for so long that we ended it: a microtask that never ends. */
  readonly hung: boolean;
}

/** How long a run may say nothing, on a busy machine. */
const silenceMs = 60_000;

function run(folder: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, "node_modules", ".bin", "bun"), args, { cwd: folder });
    let output = "";
    let hung = false;
    const end = () => {
      hung = true;
      // What never ends hears no other signal.
      child.kill("SIGKILL");
    };
    let silence = setTimeout(end, silenceMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
        clearTimeout(silence);
        silence = setTimeout(end, silenceMs);
      });
    }
    child.on("error", reject);
    child.on("close", (status) => {
      clearTimeout(silence);
      resolve({ status, output, hung });
    });
  });
}
