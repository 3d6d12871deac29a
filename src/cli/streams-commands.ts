/**
 * `tailrace streams` and what is below it: flags and help. What they do is imported when they run.
 * @module
 */
import type { Command } from "commander";
import { CommandError, exitCodes } from "./exit.ts";
import {
  type Ended,
  exitCodeHelp,
  orNone,
  parseCount,
  parseFence,
  parseOffset,
  parseSeconds,
  parseSize,
  serverOption,
} from "./options.ts";
import type { CreateOptions, ListOptions, SetOptions, StreamsOptions } from "./streams.ts";

/** Adds `streams` and what is below it. */
export function addStreams(program: Command, ended: Ended): void {
  const streams = program
    .command("streams")
    .summary("list, create, describe, change, fence, trim and delete streams")
    .description("Lists, creates, describes, changes, fences, trims and deletes streams.")
    .addHelpText(
      "after",
      `
Examples:
  tailrace streams ls
  tailrace streams create orders --segment-max-bytes 256MiB
  tailrace streams describe orders
  tailrace streams set orders --retention-bytes 10GiB
  tailrace streams fence orders writer-2
  tailrace streams trim orders 1000000
  tailrace streams rm orders
${exitCodeHelp}`,
    );
  addList(streams, ended);
  addCreate(streams, ended);
  streams
    .command("describe")
    .summary("tell of a stream")
    .description("Tells all that the node knows of a stream.")
    .argument("<stream>", "name of the stream")
    .addOption(serverOption())
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  tailrace streams describe orders --json | jq .highWatermark\n${exitCodeHelp}`)
    .action(async (stream: string, options: StreamsOptions) => {
      const { describeStream } = await import("./streams.ts");
      ended(await describeStream(stream, options));
    });
  addSet(streams, ended);
  addFence(streams, ended);
  addTrim(streams, ended);
  streams
    .command("rm")
    .summary("delete streams with all their records")
    .description("Deletes streams with all their records. It does not ask.")
    .argument("<stream...>", "names of the streams")
    .addOption(serverOption())
    .addHelpText("after", `\nExample:\n  tailrace streams rm orders logs/old\n${exitCodeHelp}`)
    .action(async (names: string[], options: Pick<StreamsOptions, "server">) => {
      const { deleteStreams } = await import("./streams.ts");
      ended(await deleteStreams(names, options));
    });
}

function addList(streams: Command, ended: Ended): void {
  streams
    .command("ls")
    .summary("list the streams")
    .description("Lists the streams in the order of their names; all but the system's, whose names begin with _.")
    .option("--prefix <text>", "only names that begin so; _ shows the system's", "")
    .addOption(serverOption())
    .option("--json", "print JSON, an object a line")
    .addHelpText("after", `\nExample:\n  tailrace streams ls --prefix logs/\n${exitCodeHelp}`)
    .action(async (options: ListOptions) => {
      const { listStreams } = await import("./streams.ts");
      ended(await listStreams(options));
    });
}

function addFence(streams: Command, ended: Ended): void {
  streams
    .command("fence")
    .summary("let one writer take a stream over")
    .description(
      [
        "Sets the stream's fence token: from then on an append is taken only if it names this token, and refused if it " +
          "names another or none. Another call takes the stream over with a token of its own.",
        "",
        "What was appended before stays. It is answered with the offset from which on the token holds. describe shows " +
          "the token: it keeps writers apart that mean well, and is no secret.",
      ].join("\n"),
    )
    .argument("<stream>", "name of the stream")
    .argument("[token]", "text of at most 64 bytes, which appends give by --fence", parseFence)
    .addOption(serverOption())
    .option("--clear", "no token from now on: appends that name none are taken again")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  tailrace streams fence orders writer-2
  tailrace append orders day.log --fence writer-2
  tailrace streams fence orders --clear
${exitCodeHelp}`,
    )
    .action(async (stream: string, token: Uint8Array | undefined, options: FenceOptions) => {
      if ((token === undefined) !== (options.clear === true)) {
        throw new CommandError("give either a token or --clear. Add --help to see what there is.", exitCodes.usage);
      }
      const { fenceStream } = await import("./streams.ts");
      ended(await fenceStream(stream, token ?? new Uint8Array(0), options));
    });
}

interface FenceOptions extends StreamsOptions {
  readonly clear?: boolean;
}

function addTrim(streams: Command, ended: Ended): void {
  streams
    .command("trim")
    .summary("drop the first records of a stream")
    .description(
      [
        "Gives readers nothing below an offset any more. It does not ask, and there is no way back.",
        "",
        "Disk space comes back by whole segments, never the one that grows. An offset below the first record that is " +
          "kept changes nothing; the high watermark, which describe tells, leaves no record.",
      ].join("\n"),
    )
    .argument("<stream>", "name of the stream")
    .argument("<offset>", "the first record to keep", parseOffset)
    .addOption(serverOption())
    .option("--json", "print JSON")
    .addHelpText("after", `\nExample:\n  tailrace streams trim orders 1000000\n${exitCodeHelp}`)
    .action(async (stream: string, offset: number, options: StreamsOptions) => {
      const { trimStream } = await import("./streams.ts");
      ended(await trimStream(stream, offset, options));
    });
}

function addCreate(streams: Command, ended: Ended): void {
  const command = streams
    .command("create")
    .summary("create a stream")
    .description("Creates a stream. That it is there already, with the same settings, is no error.")
    .argument("<stream>", "name: 1 to 255 of a-z A-Z 0-9 . _ / -, not beginning with _")
    .addOption(serverOption());
  addSettings(command)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
What is left out is the node's default, kept with the stream from then on.

Example:
  tailrace streams create orders --retention-age 30d
${exitCodeHelp}`,
    )
    .action(async (stream: string, options: CreateOptions) => {
      const { createStream } = await import("./streams.ts");
      ended(await createStream(stream, options));
    });
}

function addSet(streams: Command, ended: Ended): void {
  const command = streams
    .command("set")
    .summary("change settings of a stream")
    .description(
      [
        "Changes the settings that are given, and no others. They are in force when the command ends.",
        "",
        "Each change gives the settings their next version, which describe tells.",
      ].join("\n"),
    )
    .argument("<stream>", "name of the stream")
    .addOption(serverOption());
  addSettings(command)
    .option("--expect-version <n>", "change them only if they have this version now", parseCount)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      `
Examples:
  tailrace streams set orders --retention-bytes 10GiB --retention-age 7d
  tailrace streams set orders --retention-age none
  tailrace streams set orders --record-max-bytes 64KiB --expect-version 3
${exitCodeHelp}`,
    )
    .action(async (stream: string, options: SetOptions) => {
      const { setStream } = await import("./streams.ts");
      ended(await setStream(stream, options));
    });
}

/** A flag a setting, of the setting's name. */
function addSettings(command: Command): Command {
  const orNode = "none: the node's limit";
  return command
    .option("--retention-bytes <size>", "the oldest segments go while this much stays: 1MiB or more; none", sizeOrNone)
    .option("--retention-age <time>", "records go when they are older, by whole segments: 1s or more; none", timeOrNone)
    .option("--segment-max-bytes <size>", "a segment ends at this size: 1MiB to 1GiB", parseSize)
    .option("--segment-max-age <time>", "a segment ends at this age: 60s to 366d", parseSeconds)
    .option("--record-max-bytes <size>", `largest record, at most what the node takes; ${orNode}`, sizeOrNone)
    .option("--batch-max-bytes <size>", `largest batch, at most what the node takes; ${orNode}`, sizeOrNone)
    .option(
      "--replication-factor <n>",
      "on how many nodes it is kept, 1 to 7; none: three, or all voters where there are fewer",
      orNone(parseCount),
    );
}

const sizeOrNone = orNone(parseSize);
const timeOrNone = orNone(parseSeconds);
