/**
 * One cluster of a node on Bun, one on Node and one on Deno: each takes every request, and each may lead.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { freePorts } from "../../src/cli/free-ports.ts";
import { runCli } from "../support/cli.ts";
import { cliCommand, type NodeProcess, startNode } from "../support/node-process.ts";
import { unless } from "../support/skip.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const main = path.join(root, "src", "cli", "main.ts");
/** Node runs what is compiled; it finds packages from where that is. */
const compiled = path.join(root, "node_modules", ".cache", `tailrace-runtimes-${process.pid}`);
const deno = path.join(root, "node_modules", "deno", "deno");
const programs = [
  { runtime: "bun", program: cliCommand },
  { runtime: "node", program: ["node", path.join(compiled, "dist", "cli", "main.js")] },
  { runtime: "deno", program: [deno, "run", "-A", "--no-check", main] },
];
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "tailrace-runtimes-"));
after(() => {
  for (const made of [folder, compiled]) fs.rmSync(made, { recursive: true, force: true });
});

test("nodes on Bun, Node and Deno are one cluster, and any two go on without the third", {
  ...unless(fs.existsSync(deno), "npm did not install Deno"),
  timeout: 180_000,
}, async () => {
  compile();
  const ports = await freePorts("127.0.0.1", 3);
  const seeds = ports.map((port) => `127.0.0.1:${port}`);
  const start = ({ runtime, program }: (typeof programs)[number], peer: string | undefined): Promise<NodeProcess> => {
    const args = [
      "--peer-listen",
      peer ?? "",
      "--seeds",
      seeds.join(","),
      "--bootstrap-expect",
      "3",
      "--node-id",
      runtime,
    ];
    return startNode({ data: path.join(folder, runtime), program, args });
  };
  const nodes = await Promise.all(programs.map((program, i) => start(program, seeds[i])));
  const append = async (node: NodeProcess, line: string) => {
    const { code, stderr } = await runCli(node.url, ["append", "shared"], Buffer.from(`${line}\n`));
    assert.equal(code, 0, stderr);
  };
  const lines: string[] = [];
  for (const [i, node] of nodes.entries()) {
    lines.push(`by ${programs[i]?.runtime}`);
    await append(node, lines.at(-1) ?? "");
  }
  for (const [i, killed] of nodes.entries()) {
    await killed.end("SIGKILL");
    const [one] = nodes.filter((node) => node !== killed);
    assert.ok(one);
    lines.push(`without ${programs[i]?.runtime}`);
    await append(one, lines.at(-1) ?? "");
    const program = programs[i];
    assert.ok(program);
    nodes[i] = await start(program, seeds[i]);
  }
  for (const node of nodes) {
    const read = await runCli(node.url, ["read", "shared", "--consistency", "linearizable"]);
    assert.equal(read.stdout.toString(), lines.map((line) => `${line}\n`).join(""), node.output());
  }
  for (const node of nodes) assert.equal(await node.end("SIGTERM"), 0, node.output());
});

function compile(): void {
  const tsc = path.join(root, "node_modules", ".bin", "tsc");
  const outDir = path.join(compiled, "dist");
  execFileSync(tsc, ["-p", path.join(root, "tsconfig.build.json"), "--outDir", outDir], { stdio: "inherit" });
  fs.copyFileSync(path.join(root, "package.json"), path.join(compiled, "package.json"));
}
