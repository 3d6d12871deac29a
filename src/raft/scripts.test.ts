/**
 * The scripts of testdata/: each shows one rule, or one execution, from which a reader learns the protocol. In a script, what
 * stands below ---- is what happened; `UPDATE_SCRIPTS=1` rewrites that, and the difference is to be read. The commands are in
 * testdata/commands.ts.
 *
 * `why/` has the executions for which the rules are as they are, by number. Those that are not the core's are elsewhere:
 * - the log's: 7 (ii) and (iii), what was read back or failed to sync is not believed; 8, torn or damaged; 28, what opening
 *   reads (what a group takes in memory is in memory.test.ts); and of 5 that no file is dropped above the commit index;
 * - the stream layer's: 9, a retry is answered when the first copy is committed, and 13, a refusal that shows state is a read,
 *   are directed runs of the simulator (test/sim/cluster-rules.test.ts); 23, limits of a checkpoint; 31, retention and settings;
 * - the start of a cluster, 24: bootstrap.test.ts;
 * - of what is not built yet: 14, what is forwarded twice; 15, what the cluster's own log says of a group.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Session } from "./testdata/commands.ts";
import { readScript, type Script, writeScript } from "./testdata/script.ts";

const folder = fileURLToPath(new URL("./testdata/", import.meta.url));
/** A script takes milliseconds; a machine that is busy is given time. */
const timeoutMs = 60_000;
const rewrites = process.env["UPDATE_SCRIPTS"] === "1";

for (const part of ["rules", "why", "cases"]) {
  describe(part, () => {
    const files = fs.readdirSync(`${folder}${part}`).sort();
    for (const file of files) {
      const path = `${folder}${part}/${file}`;
      const script = readScript(fs.readFileSync(path, "utf8"));
      test(`${file.replace(".txt", "")}: ${script.title}`, { timeout: timeoutMs }, () => {
        const found = run(script);
        if (rewrites) fs.writeFileSync(path, writeScript(found));
        else assert.equal(writeScript(found), writeScript(script));
      });
    }
  });
}

function run(script: Script): Script {
  const session = new Session();
  const blocks = script.blocks.map((block) => ({
    ...block,
    said: block.lines.flatMap((line) => line.commands.flatMap((command) => doOne(session, command, line.text))),
  }));
  return { ...script, blocks };
}

function doOne(session: Session, command: string, line: string): string[] {
  try {
    return session.run(command);
  } catch (error) {
    throw new Error(`at "${line}"`, { cause: error });
  }
}
