/**
 * `npm run check`: the fast loop. Stops at the first step that fails, with what is wrong.
 */
import { staticChecks } from "./checks.mjs";
import { report, run, testTimeout } from "./run.mjs";

const steps = [...staticChecks, { name: "layers and unit tests", wrong: unitTests }];

for (const { name, wrong } of steps) {
  const begin = performance.now();
  const said = await wrong();
  report(said === "", name, "", (performance.now() - begin) / 1000);
  if (said !== "") {
    console.error(said.trimEnd());
    process.exit(1);
  }
}

async function unitTests() {
  const { status, output } = await run("bun", ["test", "./src", "./test/project/layers.test.ts", testTimeout]);
  return status === 0 ? "" : output;
}
