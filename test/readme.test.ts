/**
 * The README's tour, command by command: five minutes on a node, two more on a cluster. In the page a line that begins with
 * "$ " is a command, what follows is its output; "…" stands for anything within a line, and alone for any lines.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "./support/data-folder.ts";
import { type DevCluster, startDev } from "./support/dev-cluster.ts";
import { type NodeProcess, startNode } from "./support/node-process.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Step {
  readonly command: string;
  readonly expected: readonly string[];
}

const page = fs.readFileSync(`${root}/README.md`, "utf8");
const folder = temporaryFolder();

describe("five minutes", () => {
  let node: NodeProcess;
  before(async () => {
    node = await startNode({ data: `${folder}/data` });
  });
  after(async () => {
    await node.end("SIGTERM");
  });

  const steps = tour("Five minutes");
  test("has its steps", () => assert.ok(steps.length >= 10));
  for (const step of steps) {
    test(step.command, { timeout: 60_000 }, async () => {
      const { host } = new URL(node.url);
      await check(step, step.command.replaceAll("127.0.0.1:8400", host), node.url);
    });
  }
});

describe("two more minutes: a cluster", () => {
  const data = `${folder}/cluster`;
  let cluster: DevCluster;
  test("npm run cluster", { timeout: 60_000 }, async () => {
    cluster = await startDev({ nodes: 3, data });
  });

  const steps = tour("Two more minutes: a cluster");
  test("has its steps", () => assert.ok(steps.length >= 5));
  for (const step of steps) {
    test(step.command, { timeout: 60_000 }, async () => {
      const command = cluster.urls.reduce(
        (text, url, i) => text.replaceAll(`http://127.0.0.1:${8400 + 10 * i}`, url),
        step.command.replaceAll("data/cluster", data),
      );
      await check(step, command, cluster.urls[0] ?? "");
    });
  }
  test("Ctrl-C", { timeout: 60_000 }, async () => assert.equal(await cluster.end("SIGINT"), 0));
});

async function check({ command, expected }: Step, adapted: string, server: string): Promise<void> {
  const output = await run(adapted, { ...process.env, TAILRACE_SERVER: server });
  const told = `${command}\n${output.join("\n")}\n--- the README has\n${expected.join("\n")}`;
  assert.ok(matches(output, expected), told);
}

/** The steps of all console blocks of a chapter, in order. */
function tour(chapter: string): Step[] {
  const [, rest = ""] = page.split(`\n## ${chapter}\n`);
  const [text = ""] = rest.split("\n## ");
  const steps: { command: string; expected: string[] }[] = [];
  for (const [, block = ""] of text.matchAll(/```console\n(.*?)```/gs)) {
    for (const line of block.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), expected: [] });
      else steps.at(-1)?.expected.push(line);
    }
  }
  return steps;
}

/** Runs a command as a person would, and gives the lines that it printed, errors too. */
function run(command: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const shell = spawn("bash", ["-c", `exec 2>&1; ${command}`], { cwd: root, env });
    const chunks: Buffer[] = [];
    shell.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    shell.on("error", reject);
    shell.on("close", () => {
      const text = Buffer.concat(chunks).toString().trimEnd();
      resolve(text === "" ? [] : text.split("\n"));
    });
  });
}

function matches(output: readonly string[], expected: readonly string[]): boolean {
  const [first, ...rest] = expected;
  if (first === undefined) return output.length === 0;
  if (first === "…") return output.some((_, i) => matches(output.slice(i), rest)) || matches([], rest);
  const [line, ...more] = output;
  return line !== undefined && lineMatches(line, first) && matches(more, rest);
}

function lineMatches(line: string, pattern: string): boolean {
  const parts = pattern.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`).test(line);
}
