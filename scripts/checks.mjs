/**
 * What must hold of the sources without running them, each as a step that says nothing when it does.
 */
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run } from "./run.mjs";

const generatedFolder = join("src", "wire", "gen");

/** Each step resolves with what is wrong, in words; empty when nothing is. */
export const staticChecks = [
  { name: "types", wrong: () => tool("tsc", ["-p", "."]) },
  { name: "lint and format", wrong: () => tool("biome", ["check", "--error-on-warnings", "."]) },
  { name: "buf lint", wrong: () => tool("buf", ["lint"]) },
  { name: "generated code", wrong: generatedIsStale },
];

async function tool(command, args) {
  const { status, output } = await run(command, args);
  return status === 0 ? "" : output || `${command} ended with ${status}`;
}

/** Generates into a folder of its own and compares: the checkout is not touched. */
async function generatedIsStale() {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-generated-"));
  try {
    const wrong = await tool("buf", ["generate", "--output", folder]);
    if (wrong !== "") return wrong;
    const [fresh, committed] = await Promise.all([
      filesBelow(join(folder, generatedFolder)),
      filesBelow(join(root, generatedFolder)),
    ]);
    const names = [...new Set([...fresh.keys(), ...committed.keys()])].sort();
    const stale = names.filter((name) => fresh.get(name) !== committed.get(name));
    if (stale.length === 0) return "";
    return [
      "Generated code is not what the .proto files give. Run `npm run generate` and commit:",
      ...stale.map((name) => `  ${join(generatedFolder, name)}`),
    ].join("\n");
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function filesBelow(folder) {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(
    await Promise.all(files.map(async (file) => [file.slice(folder.length + 1), await readFile(file, "utf8")])),
  );
}
