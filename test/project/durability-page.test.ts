/** docs/durability.md and docs/appends.md promise nothing that no test shows. */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { describe, test } from "node:test";
import { runCli } from "../support/cli.ts";

/** Each with the least number of statements that it makes. */
const pages = [
  { name: "docs/durability.md", least: 20 },
  { name: "docs/appends.md", least: 15 },
];

/** The statements of a page, each with the tests that it names. */
function statements(page: string): { words: string; tests: { file: string; name: string }[] }[] {
  const items = page.split(/^- /m).slice(1);
  return items.map((item) => {
    const [text = ""] = item.split(/\n\n|\n(?=#)/);
    const [words = "", shownBy = ""] = text.replace(/\s+/g, " ").split("Shown by ");
    const tests: { file: string; name: string }[] = [];
    let file = "";
    for (const [, path, name] of shownBy.matchAll(/`([^`]+)`|"([^"]+)"/g)) {
      if (path !== undefined) file = path;
      else if (name !== undefined) tests.push({ file, name });
    }
    return { words, tests };
  });
}

for (const { name: pageName, least } of pages)
  describe(pageName, () => {
    const page = fs.readFileSync(new URL(`../../${pageName}`, import.meta.url), "utf8");
    const all = statements(page);

    test("says something under each heading, and nothing but statements", () => {
      assert.ok(all.length > least);
      const [, ...sections] = page.split(/^## .*$/m);
      assert.ok(sections.length >= 4);
      for (const section of sections) assert.match(section.trim(), /^- /);
    });

    for (const { words, tests } of all) {
      test(`has a test that shows: ${words.slice(0, 80)}`, () => {
        assert.notEqual(tests.length, 0, `no test is named for: ${words}`);
        for (const { file, name } of tests) {
          const source = fs.readFileSync(new URL(`../../${file}`, import.meta.url), "utf8");
          assert.ok(source.includes(name), `${file} has no test "${name}"`);
        }
      });
    }
  });

test("no flag or variable weakens an acknowledgement", async () => {
  const { stdout } = await runCli("", ["serve", "--help"]);
  const flags = [...stdout.toString().matchAll(/--([a-z-]+)/g)].map(([, name]) => name ?? "");
  assert.ok(flags.includes("journal-files"));
  assert.deepEqual(
    flags.filter((name) => /ack|sync|flush|durab|unsafe|relax/.test(name)),
    [],
  );
});
