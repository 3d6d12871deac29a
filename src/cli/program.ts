/**
 * The command line as a whole: which commands there are, and how each ends.
 * @module
 */
import fs from "node:fs";
import { Command, CommanderError } from "commander";
import { addCluster } from "./cluster-commands.ts";
import { addAppend, addRead } from "./commands.ts";
import { addDev } from "./dev-command.ts";
import { CommandError, exitCodes, OutputClosedError } from "./exit.ts";
import { addInspect, addRepair, addVerify } from "./offline-commands.ts";
import { type Ended, exitCodeHelp } from "./options.ts";
import { addServe } from "./serve-command.ts";
import { addStreams } from "./streams-commands.ts";

/** Runs one command line; resolves with the exit code when all is said. Never rejects. */
export async function runProgram(args: readonly string[]): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = createProgram((code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    const ending = await endingOf(error);
    if (ending.message !== "") process.stderr.write(`tailrace: ${ending.message}\n`);
    return ending.exitCode;
  }
}

/** What an error means, without loading the client where that is not needed. */
async function endingOf(error: unknown): Promise<{ message: string; exitCode: number }> {
  if (error instanceof OutputClosedError) return { message: "", exitCode: exitCodes.ok };
  if (error instanceof CommandError) return error;
  const { endingOf: endingOfOther } = await import("./failure.ts");
  return endingOfOther(error);
}

function createProgram(ended: Ended): Command {
  const program = new Command("tailrace")
    .description("A durable, replicated log that lives at the edge: gRPC, gRPC-Web and JSON from one port.")
    .version(version(), "--version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(usageLine(text)) });
  addServe(program, ended);
  addDev(program, ended);
  addAppend(program, ended);
  addRead(program, ended);
  addStreams(program, ended);
  addCluster(program, ended);
  addInspect(program, ended);
  addVerify(program, ended);
  addRepair(program, ended);
  return program.addHelpText(
    "after",
    `
Examples:
  tailrace serve                              a node on 127.0.0.1:8400, its data in ./data
  tailrace dev                                a cluster of three on this machine
  tailrace append app.log /var/log/app.log    a record a line
  tailrace read app.log --follow              what is there, then what comes
  tailrace COMMAND --help                     more on one of them
${exitCodeHelp}`,
  );
}

/** Commander's words as one line of ours. */
function usageLine(text: string): string {
  const [line = "", ...more] = text
    .replace(/^error: /, "")
    .trim()
    .split("\n");
  const message = line.replace(/\.$/, "");
  return `tailrace: ${[message, ...more].join(" ")}. Add --help to see what there is.\n`;
}

function version(): string {
  const { version } = JSON.parse(fs.readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return version;
}
