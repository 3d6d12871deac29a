/**
 * A process that appends until it is killed: `appender FOLDER SEED`. It prints a line for each batch when that is durable:
 * group, index, digest.
 */
import * as fs from "node:fs";
import { seeded } from "../support/seeded.ts";
import { appendSomething, openLogs, openSmall } from "./folder.ts";

const [path = "", seed = ""] = process.argv.slice(2);
const random = seeded(Number(seed), 100_000);
const logs = openLogs(await openSmall(path), random);
await Promise.all(Array.from({ length: 24 }, append));

async function append(): Promise<void> {
  for (;;) {
    const { group, appended } = appendSomething(logs, random);
    const { index, digest } = await appended;
    fs.writeSync(1, `${group} ${index} ${Buffer.from(digest).toString("hex")}\n`);
  }
}
