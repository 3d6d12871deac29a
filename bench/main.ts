/**
 * `npm run bench -- [PART...] [--folder FOLDER]`: the parts named, or all of them but the cluster, with files in a folder of their
 * own there. `--cluster` is the same as its name.
 * @module
 */
import os from "node:os";
import { parseArgs } from "node:util";
import { benchCluster } from "./cluster.ts";
import { benchFreeing } from "./freeing.ts";
import { benchGossip } from "./gossip.ts";
import { benchLog } from "./log.ts";
import { benchRaft } from "./raft.ts";
import { benchStart } from "./start.ts";

const parts = new Map<string, (folder: string) => Promise<void> | void>([
  ["log", benchLog],
  ["freeing", benchFreeing],
  ["start", benchStart],
  ["raft", benchRaft],
  ["gossip", benchGossip],
  ["cluster", benchCluster],
]);

const { values, positionals } = parseArgs({
  options: { folder: { type: "string", default: os.tmpdir() }, cluster: { type: "boolean", default: false } },
  allowPositionals: true,
});
const named = [...positionals, ...(values.cluster ? ["cluster"] : [])];
// It takes minutes and all of the machine, so it is run when it is asked for.
const usual = [...parts.keys()].filter((name) => name !== "cluster");
for (const name of named.length > 0 ? named : usual) {
  const part = parts.get(name);
  if (!part) throw new Error(`there is no part "${name}": ${[...parts.keys()].join(", ")}`);
  await part(values.folder);
}
