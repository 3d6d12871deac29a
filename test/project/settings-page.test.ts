/** docs/settings.md names each setting, limit and flag of a cluster that there is, with its default, and no other. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { test } from "node:test";
import { Command, Option } from "commander";
import { defaultLimits, type Limits, limitName } from "../../src/base/limits.ts";
import { settingName } from "../../src/base/stream-settings.ts";
import { addClusterFlags } from "../../src/cli/cluster-flags.ts";
import { builtInSettings, settingNames } from "../../src/stream/settings.ts";

const page = fs.readFileSync(new URL("../../docs/settings.md", import.meta.url), "utf8");

/** Names and defaults of the table with this head. */
function table(head: string): [string, number][] {
  const at = page.indexOf(`| ${head} | default | what |`);
  assert.ok(at >= 0, `there is no table of each ${head}`);
  const [, , ...rows] = page.slice(at).split("\n\n", 1)[0]?.split("\n") ?? [];
  return rows.map((row) => {
    const [, name = "", value = ""] = /^\| `(\w+)` \| (\d+) \|/.exec(row) ?? [];
    return [name, Number(value)];
  });
}

test("settings of a stream", () => {
  assert.deepEqual(
    table("setting"),
    settingNames.map((name) => [settingName(name), builtInSettings[name]]),
  );
});

test("limits of a node", () => {
  const limits = Object.keys(defaultLimits) as (keyof Limits)[];
  assert.deepEqual(
    table("limit"),
    limits.map((limit) => [limitName(limit), defaultLimits[limit]]),
  );
});

test("flags of a node of a cluster", () => {
  const command = new Command();
  addClusterFlags(command, (flags, help) => new Option(flags, help));
  const [, rows = ""] = page.split("| flag | default | what |\n| --- | --- | --- |\n");
  const named = rows.split("\n\n", 1)[0]?.split("\n") ?? [];
  assert.deepEqual(
    named.map((row) => /^\| `(--[a-z-]+)` \|/.exec(row)?.[1]),
    command.options.map(({ long }) => long),
  );
});
