/**
 * `npm run bench -- [PART...] [--folder FOLDER]`: the parts named, or all of them, with files in a folder of their own there.
 * @module
 */
import os from "node:os";
import { parseArgs } from "node:util";
import { benchFreeing } from "./freeing.ts";
import { benchLog } from "./log.ts";
import { benchStart } from "./start.ts";

const parts = new Map([
  ["log", benchLog],
  ["freeing", benchFreeing],
  ["start", benchStart],
]);

const { values, positionals } = parseArgs({
  options: { folder: { type: "string", default: os.tmpdir() } },
  allowPositionals: true,
});
for (const name of positionals.length > 0 ? positionals : parts.keys()) {
  const part = parts.get(name);
  if (!part) throw new Error(`there is no part "${name}": ${[...parts.keys()].join(", ")}`);
  await part(values.folder);
}
