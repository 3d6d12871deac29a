/**
 * What docs/replication.md, docs/gossip.md and docs/cluster.md name is there: files, folders and commands; and the 16 invariants are those
 * that a failing run names.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const root = path.resolve(fileURLToPath(new URL("../..", import.meta.url)));
const read = (name: string) => fs.readFileSync(path.join(root, name), "utf8");
const scripts: Record<string, string> = JSON.parse(read("package.json")).scripts;

for (const page of ["docs/replication.md", "docs/gossip.md", "docs/cluster.md"]) {
  describe(page, () => {
    const text = read(page);

    test("names files and folders that are there", () => {
      const paths = [...text.matchAll(/`((?:src|test|docs|bench)\/[\w./-]+)`/g)].map(([, found]) => found ?? "");
      const links = [...text.matchAll(/\]\((?!https?:)([\w./-]+)(?:#[\w-]+)?\)/g)].map(([, found]) => `docs/${found}`);
      const missing = [...paths, ...links].filter((name) => !fs.existsSync(path.join(root, name)));
      assert.deepEqual(missing, []);
      assert.ok(paths.length + links.length > 0);
    });

    test("names commands that are there", () => {
      const named = [...text.matchAll(/npm run (?:-s )?([\w:-]+)/g)].map(([, name]) => name ?? "");
      assert.deepEqual(
        named.filter((name) => scripts[name] === undefined),
        [],
      );
      assert.ok(named.length > 0);
    });
  });
}

test("docs/replication.md has each invariant that a run of the simulator may name", () => {
  const numbered = [...read("docs/replication.md").matchAll(/^(\d+)\. \*\*/gm)].map(([, number]) => Number(number));
  assert.deepEqual(
    numbered,
    Array.from({ length: 16 }, (_, i) => i + 1),
  );
});
