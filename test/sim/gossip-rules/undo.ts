/**
 * Undoes a rule of gossip in a copy of the source, and lets a script and random runs show that something breaks.
 * @module
 */
import { spawn } from "node:child_process";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GossipRule } from "./rules.ts";

const root = join(import.meta.dirname, "..", "..", "..");

/** What runs on a copy without a rule did. */
export interface Outcome {
  /** The first seed that failed; `undefined`: none did, or none was asked for. */
  readonly seed: number | undefined;
  readonly output: string;
}

/** A script that holds without any one rule. A patch that breaks it shows nothing. */
const calm = "a member that answers is probed once in each period";

/** Longest time of one run, on a busy machine: nothing in them waits, so one that takes longer never ends. */
const runMaxMs = 180_000;

/** @throws {Error} The script does not fail without the rule, or the patch does not fit the source any more. */
export async function tryWithout(rule: GossipRule): Promise<Outcome> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-gossip-rule-"));
  try {
    for (const part of ["src/base", "src/host", "src/gossip", "src/sim", "test/sim/gossip-rules"]) {
      await cp(join(root, part), join(folder, part), { recursive: true });
    }
    await apply(folder, rule);
    const names = [calm, rule.script].map((name) => name.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    const files = ["./src/gossip/scripts.test.ts", "./src/sim/gossip-scripts.test.ts"];
    const scripts = await run(folder, ["test", ...files, "-t", `(?:${names.join("|")})$`]);
    const count = (what: string) => Number(new RegExp(`^ *(\\d+) ${what}$`, "m").exec(scripts)?.[1] ?? 0);
    if (count("pass") !== 1 || count("fail") !== 1) {
      throw new Error(
        `Without "${rule.undone}" the script "${rule.script}" must fail, and "${calm}" must not:\n${scripts}`,
      );
    }
    if (rule.seeds === undefined) return { seed: undefined, output: scripts };
    const random = await run(folder, ["test/sim/gossip-rules/first-failing-seed.ts", String(rule.seeds)]);
    const failing = /^seed (\d+) fails/m.exec(random)?.[1];
    return { seed: failing === undefined ? undefined : Number(failing), output: scripts + random };
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function apply(folder: string, { undone, find, replace }: GossipRule): Promise<void> {
  const gossip = join(folder, "src", "gossip");
  const names = (await readdir(gossip)).filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"));
  const found: { path: string; source: string }[] = [];
  for (const path of names.map((name) => join(gossip, name))) {
    const source = await readFile(path, "utf8");
    for (let times = source.split(find).length - 1; times > 0; times--) found.push({ path, source });
  }
  const [only] = found;
  if (!only || found.length > 1) {
    throw new Error(
      `The patch that undoes "${undone}" does not fit any more: what it looks for stands ${found.length} times in ` +
        `src/gossip/, not once. Mend it in test/sim/gossip-rules/rules.ts. It looks for:\n${find}`,
    );
  }
  // A function, or "$" would mean something.
  await writeFile(
    only.path,
    only.source.replace(find, () => replace),
  );
}

/** What it printed. */
function run(folder: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(join(root, "node_modules", ".bin", "bun"), args, { cwd: folder });
    let output = "";
    const end = setTimeout(() => child.kill("SIGKILL"), runMaxMs);
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", reject);
    child.on("close", () => {
      clearTimeout(end);
      resolve(output);
    });
  });
}
