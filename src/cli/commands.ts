/**
 * The commands that append and read: their flags and help. What they do is imported when they run.
 * @module
 */
import { type Command, Option } from "commander";
import type { AppendCommandOptions } from "./append.ts";
import { type Ended, exitCodeHelp, parseCount, parseEpoch, parseFence, parseOffset, serverOption } from "./options.ts";
import { parseProducerId } from "./producer.ts";
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
          "nothing is sent twice, unless --producer makes that safe. Ctrl-C stops reading and ends when what was read is " +
          "durable; a second one ends at once.",
      ].join("\n"),
    )
    .argument("<stream>", "name of the stream; the node makes it if it is not there, unless it was told not to")
    .argument("[file...]", "what to append, one after the other; - or none: standard input")
    .addOption(serverOption())
    .option("--producer <id>", "who appends: the same input again stores nothing twice (see below)", parseProducerId)
    .option(
      "--epoch <n>",
      "of the producer: a higher one begins another input, and shuts lower ones out (0)",
      parseEpoch,
    )
    .option("--retries <n>", "with --producer: tries to connect again before it gives up (10)", parseOffset)
    .option("--expected-offset <n>", "append only if the stream's next record has this offset", parseOffset)
    .option("--fence <token>", "append only under this fence token (tailrace streams fence)", parseFence)
    .addOption(
      new Option("--routing <how>", "where another node leads the stream: pass on to it, or refuse and say who it is")
        .choices(["pass-on", "refuse"])
        .default("pass-on"),
    )
    .option("-q, --quiet", "no progress bar, no summary")
    .option("--json", "print the summary as JSON: offsets, stream id, index and digest are the receipt")
    .addHelpText(
      "after",
      `
With --producer a second run of the same command stores nothing twice, wherever the first one ended: killed, without a
connection, or done. It appends what is missing and counts the rest as there already. A connection that is lost is made
again, and what was on its way is sent again.
  - The id is a UUID, or 32 hexadecimal digits, or any text: of that the first 16 bytes of its SHA-256 are taken.
  - Batches are known by their number, so the input must be the same: the same bytes, of the same files in the same
    order. One that has grown since it was appended whole is refused; more input takes another id, or a higher --epoch.
  - Batches are cut by size and never by time: a batch goes when it is full (256 KiB, 10,000 records) or the input ends.
    So lines from a pipe wait until then. Ctrl-C leaves out the batch that is not full; another run appends it.
  - With --expected-offset or --fence give the same again too. Each batch must follow the one before it then.
  - A stream remembers 10,000 producers, each for 7 days of append time after its last batch; not longer.

Examples:
  tailrace append app.log /var/log/app.log
  tailrace append app.log app.log.1 --producer app.log.1@host7
  tailrace append accounts day.csv --expected-offset 1200
  tail -F /var/log/app.log | tailrace append app.log
  echo hello | tailrace append greetings
  tailrace append logs/web access.log.1 access.log --json
${exitCodeHelp}`,
    )
    .action(async (stream: string, files: string[], options: AppendCommandOptions) => {
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
    .addOption(
      new Option("--consistency <which>", "how much of what was acknowledged is there (see below)")
        .choices(["local", "linearizable"])
        .default("local"),
    )
    .option("--at-least-offset <n>", "first wait until the node has what is below it: 10 s at most", parseOffset)
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

Consistency, where several nodes have the stream:
  local                 what the node knows to be committed: it may be old
  linearizable          all that was acknowledged, by any node, before the command began
With --follow both flags are about where it begins.

JSON: {"offset":0,"time":"2026-05-01T12:00:00.000Z","value":"hello"}
  "time" is the record's own, with "appendTime" beside it, or else when it was appended. "key" and "headers"
  (a list of {"name","value"}) are there if the record has them. What is not UTF-8 is given in base64, as "valueBase64"
  or "keyBase64" instead.

Examples:
  tailrace read app.log
  tailrace read app.log --follow --from latest
  tailrace read app.log --from -10
  tailrace read app.log --consistency linearizable
  tailrace read app.log --from 10m --json | jq -r .value
${exitCodeHelp}`,
    )
    .action(async (stream: string, options: ReadCommandOptions) => {
      const { read } = await import("./read.ts");
      ended(await read(stream, options));
    });
}
