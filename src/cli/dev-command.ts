import { type Command, InvalidArgumentError } from "commander";
import type { DevOptions } from "./dev.ts";
import { type Ended, exitCodeHelp, parseCount, parseOffset } from "./options.ts";

/** More on one machine show nothing that fewer don't. */
const nodesMax = 25;

/** Adds `dev`. */
export function addDev(program: Command, ended: Ended): void {
  program
    .command("dev")
    .summary("run a cluster on this machine, to try things with")
    .description(
      [
        "Runs several nodes of one cluster, each a process of its own on 127.0.0.1, until Ctrl-C.",
        "",
        "It prints where they are and their logs, each line with its node's name. A node that ends or is killed is started " +
          "again after a second. Their names are n1, n2 and so on; the process of n1 is in the file n1.pid of the data folder.",
      ].join("\n"),
    )
    .option("--nodes <n>", "how many nodes", parseNodes, 3)
    .option("--port <n>", "of n1; n2 has the one that is 10 higher, and so on; 0: any that are free", parsePort, 8400)
    .option("--data <folder>", "where their data is; left out: a temporary folder, removed at the end")
    .argument("[serve-flag...]", "after --: flags of tailrace serve that each node gets")
    .addHelpText(
      "after",
      `
Each node has a second port for the others, the next one: 8401 for n1, 8411 for n2.

Examples:
  tailrace dev
  tailrace dev --nodes 5 --data ./data/five
  tailrace dev --port 0 -- --log-level warn
${exitCodeHelp}`,
    )
    .action(async (serveFlags: string[], options: Omit<DevOptions, "serveFlags">) => {
      const { dev } = await import("./dev.ts");
      ended(await dev({ ...options, serveFlags }));
    });
}

function parseNodes(text: string): number {
  const nodes = parseCount(text);
  if (nodes > nodesMax) throw new InvalidArgumentError(`Give 1 to ${nodesMax}.`);
  return nodes;
}

function parsePort(text: string): number {
  const port = parseOffset(text);
  // So that the last node's ports are some, too.
  if (port > 65_535 - 10 * nodesMax) throw new InvalidArgumentError(`Give a port below ${65_536 - 10 * nodesMax}.`);
  return port;
}
