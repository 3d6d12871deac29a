/**
 * `npm run build`: the published form, which Node runs without any step before: dist/, JavaScript and declarations.
 */
import { chmod, rm } from "node:fs/promises";
import { join } from "node:path";
import { root, run } from "./run.mjs";

const dist = join(root, "dist");
await rm(dist, { recursive: true, force: true });
const { status, output } = await run("tsc", ["-p", "tsconfig.build.json"]);
if (status !== 0) {
  console.error(output.trimEnd());
  process.exit(1);
}
await chmod(join(dist, "cli", "main.js"), 0o755);
console.log("Built dist/");
