import { fileURLToPath } from "node:url";

/**
 * The command that runs a program of ours on the runtime that runs this test.
 * @param program Path without its ending, from the test's file on.
 * @param from The test's `import.meta.url`: when it was compiled to `.js`, so was the program.
 */
export function runtimeCommand(program: string, from: string): [string, ...string[]] {
  const ending = from.endsWith(".ts") ? ".ts" : ".js";
  const path = fileURLToPath(new URL(program + ending, from));
  return "Deno" in globalThis ? [process.execPath, "run", "-A", "--no-check", path] : [process.execPath, path];
}
