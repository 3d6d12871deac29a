/**
 * `bun test/sim/rules/main.ts [PART OF A NAME]`: undoes rules, one after the other, and says who noticed.
 * @module
 */
import { rules } from "./rules.ts";
import { tryWithout } from "./undo.ts";

const [, , part = "", verbose] = process.argv;
for (const rule of rules.filter(({ undone }) => undone.includes(part))) {
  const outcome = await tryWithout(rule).catch((error: Error) => console.log(error.message));
  if (!outcome) continue;
  const { execution, seed, output } = outcome;
  const random =
    rule.seeds === undefined
      ? ""
      : `; random: ${seed === undefined ? "NOT " : ""}caught at ${seed ?? "any"} of ${rule.seeds}`;
  console.log(`${execution ? "caught" : "NOT CAUGHT"}  ${rule.undone}  by "${rule.execution}"${random}`);
  if (verbose || !execution)
    console.log(
      output
        .split("\n")
        .filter((line) => !/begins$/.test(line))
        .slice(0, 60)
        .join("\n"),
    );
}
