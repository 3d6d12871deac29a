/**
 * The README's five-minute tour, command by command, on a node of its own. In the page a line that begins with "$ " is a
 * command, what follows is its output; "…" stands for anything within a line, and alone for any lines.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import fs from "node:fs";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "./support/data-folder.ts";
import { type NodeProcess, startNode } from "./support/node-process.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

interface Step {
  readonly command: string;
  readonly expected: readonly string[];
}

describe("the README's tour", () => {
  const folder = temporaryFolder();
  let node: NodeProcess;
  before(async () => {
    node = await startNode({ data: `${folder}/data` });
  });
  after(async () => {
    await node.end("SIGTERM");
  });

  for (const step of tour(fs.readFileSync(`${root}/README.md`, "utf8"))) {
    test(step.command, { timeout: 60_000 }, async () => {
      const { host } = new URL(node.url);
      const command = step.command.replaceAll("127.0.0.1:8400", host);
      const output = await run(command, { ...process.env, TAILRACE_SERVER: node.url });
      const told = `${step.command}\n${output.join("\n")}\n--- the README has\n${step.expected.join("\n")}`;
      assert.ok(matches(output, step.expected), told);
    });
  }
});

/** The steps of all console blocks, in order. */
function tour(page: string): Step[] {
  const steps: { command: string; expected: string[] }[] = [];
  for (const [, block = ""] of page.matchAll(/```console\n(.*?)```/gs)) {
    for (const line of block.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) steps.push({ command: line.slice(2), expected: [] });
      else steps.at(-1)?.expected.push(line);
    }
  }
  assert.ok(steps.length >= 10, "the README's tour was not found");
  return steps;
}

/** Runs a command as a person would, and gives the lines that it printed, errors too. */
function run(command: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const shell = spawn("bash", ["-c", `exec 2>&1; ${command}`], { cwd: root, env });
    const chunks: Buffer[] = [];
    shell.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    shell.on("error", reject);
    shell.on("close", () => resolve(Buffer.concat(chunks).toString().trimEnd().split("\n")));
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
