/**
 * A process with a data folder, as its parent has it: hears what it says, and kills it.
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { runtimeCommand } from "../../support/runtime.ts";
import type { Orders, Said } from "./said.ts";

const command = runtimeCommand("./subject", import.meta.url);

/** A test that fails leaves its process running: it ends with the tests. */
const running = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** How a process ended. */
export interface End {
  /** Exit code, or the signal's name. */
  readonly how: number | string;
  /** What it was in the middle of, and how often it had begun each. */
  readonly underWay: ReadonlySet<string>;
  readonly begun: ReadonlyMap<string, number>;
}

/**
 * Runs a process to its end. `hear` is called with all that it says, in order; what it gives is when to kill: so many
 * microseconds later.
 */
export async function runSubject(
  orders: Orders,
  hear: (said: Said, begun: ReadonlyMap<string, number>) => number | undefined,
): Promise<End> {
  const [runtime, ...args] = command;
  const child = spawn(runtime, [...args, JSON.stringify(orders)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, UV_THREADPOOL_SIZE: "16" },
  });
  running.add(child);
  const underWay = new Set<string>();
  const begun = new Map<string, number>();
  let killed = false;
  /** What was said can't be. */
  let wrong: unknown;
  let rest: Buffer = Buffer.alloc(0);
  child.stdout.on("data", (chunk: Buffer) => {
    const all = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const end = all.lastIndexOf(0x0a) + 1;
    rest = all.subarray(end);
    let killAfterMicros: number | undefined;
    try {
      for (const line of all.toString("utf8", 0, end).split("\n")) {
        if (line === "" || wrong !== undefined) continue;
        const said: Said = JSON.parse(line);
        note(said, underWay, begun);
        killAfterMicros = hear(said, begun) ?? killAfterMicros;
      }
    } catch (error) {
      wrong = error;
      killAfterMicros = 0;
    }
    if (killAfterMicros === undefined || killed) return;
    killed = true;
    killLater(child, killAfterMicros);
  });
  const how = await new Promise<number | string>((resolve) => {
    child.once("close", (code, signal) => resolve(code ?? signal ?? "unknown"));
  });
  running.delete(child);
  if (wrong !== undefined) throw wrong;
  return { how, underWay, begun };
}

/** Timers are too coarse for what takes less than a millisecond. */
function killLater(child: ChildProcess, micros: number): void {
  const at = performance.now() + micros / 1000;
  if (micros < 2000) {
    while (performance.now() < at);
    child.kill("SIGKILL");
  } else setTimeout(() => child.kill("SIGKILL"), micros / 1000);
}

/** How changes begin and end. */
const changes = new Map([
  ["making", "made"],
  ["removing", "removed"],
  ["cutting", "cut"],
  ["trimming", "trimmed"],
  ["installing", "installed"],
]);
const endings = new Map([...changes].map(([begins, over]) => [over, begins]));

function note(said: Said, underWay: Set<string>, begun: Map<string, number>): void {
  assert.notEqual(said[0], "failed", said[0] === "failed" ? said[1] : "");
  const begins = said[0] === "begins" ? said[1] : changes.has(said[0]) || said[0] === "opening" ? said[0] : undefined;
  const over = said[0] === "over" ? said[1] : said[0] === "open" ? "opening" : endings.get(said[0]);
  if (begins !== undefined) {
    underWay.add(begins);
    begun.set(begins, (begun.get(begins) ?? 0) + 1);
  }
  if (over !== undefined) underWay.delete(over);
  // Which change it was, is not said.
  if (said[0] === "unchanged") for (const change of changes.keys()) underWay.delete(change);
}
