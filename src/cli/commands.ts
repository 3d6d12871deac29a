/**
 * The commands that append and read: their flags and help. What they do is imported when they run.
 * @module
 */
import type { Command } from "commander";
import type { AppendOptions } from "./append.ts";
import { type Ended, exitCodeHelp, parseCount, serverOption } from "./options.ts";
import type { ReadCommandOptions } from "./read.ts";

/** Adds `append`. */
export function addAppend(program: Command, ended: Ended): void {
  program
    .command("append")
    .summary("append lines to a stream, a record a line")
    .description(
      [
        "Appends to a stream, a record a line, and ends when all are durable.",
        "",
        "A record is the line without its newline; a \\r stays, and any bytes will do. Lines travel in large batches, " +
          "many at a time; one that trickles in waits 5 ms at most. Each batch is appended whole or not at all, and " +
          "nothing is sent twice. Ctrl-C stops reading and ends when what was read is durable; a second one ends at once.",
      ].join("\n"),
    )
    .argument("<stream>", "name of the stream; the node makes it if it is not there, unless it was told not to")
    .argument("[file...]", "what to append, one after the other; - or none: standard input")
    .addOption(serverOption())
    .option("-q, --quiet", "no progress bar, no summary")
    .option("--json", "print the summary as JSON: offsets, stream id, index and digest are the receipt")
    .addHelpText(
      "after",
      `
Examples:
  tailrace append app.log /var/log/app.log
  tail -F /var/log/app.log | tailrace append app.log
  echo hello | tailrace append greetings
  tailrace append logs/web access.log.1 access.log --json
${exitCodeHelp}`,
    )
    .action(async (stream: string, files: string[], options: AppendOptions) => {
      const { append } = await import("./append.ts");
      ended(await append(stream, files, options));
    });
}

/** Adds `read`. */
export function addRead(program: Command, ended: Ended): void {
  program
    .command("read")
    .summary("print a stream, a record a line")
    .description(
      [
        "Prints records of a stream, a line each, from the first that is kept to the last that is there now.",
        "",
        'What "tailrace append" took from a file comes out as the same bytes. With --follow it goes on with what comes, ' +
          "and connects again when the node restarts, with no record twice and none left out.",
      ].join("\n"),
    )
    .argument("<stream>", "name of the stream")
    .addOption(serverOption())
    .option("--from <position>", "where to begin (see below)", "earliest")
    .option("-f, --follow", "go on with what comes, until Ctrl-C")
    .option("-n, --count <records>", "end after so many records", parseCount)
    .option("--json", "print JSON, an object a line (see below)")
    .addHelpText(
      "after",
      `
Positions:
  earliest              the first record that is kept
  latest                after the last record: with --follow, only what comes
  4711                  the record with this offset
  -10                   10 records before the end
  2026-05-01T12:00:00Z  the first record appended at this time or later; without a zone: local time
  10m                   10 minutes ago; also 90s, 2h, 7d

JSON: {"offset":0,"time":"2026-05-01T12:00:00.000Z","value":"hello"}
  "time" is the record's own, with "appendTime" beside it, or else when it was appended. "key" and "headers"
  (a list of {"name","value"}) are there if the record has them. What is not UTF-8 is given in base64, as "valueBase64"
  or "keyBase64" instead.

Examples:
  tailrace read app.log
  tailrace read app.log --follow --from latest
  tailrace read app.log --from -10
  tailrace read app.log --from 10m --json | jq -r .value
${exitCodeHelp}`,
    )
    .action(async (stream: string, options: ReadCommandOptions) => {
      const { read } = await import("./read.ts");
      ended(await read(stream, options));
    });
}
