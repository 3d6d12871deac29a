import { type Command, Option } from "commander";
import { defaultLimits, type Limits, limitName, optionalLimits } from "../base/limits.ts";
import { addClusterFlags, checkAddress, parseName } from "./cluster-flags.ts";
import { type Ended, exitCodeHelp, orNone, parseCount, parseSeconds, parseSize } from "./options.ts";
import type { ServeOptions } from "./serve.ts";

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"];

/** Each limit of a node is a flag of its own name. */
const limitHelp: Record<keyof Limits, string> = {
  batchMaxBytes: "largest batch",
  recordMaxBytes: "largest record: key, value, headers and time",
  batchMaxRecords: "most records in a batch",
  recordMaxHeaders: "most headers of a record",
  readMaxBytes: "most bytes in one answer",
  readMaxWaitMs: "longest wait of a read for a first record",
  tailMaxStreams: "most streams that one tail follows",
  tailHeartbeatMs: "longest silence of a tail",
  requestMaxBytes: "largest body of a request",
  streamsMax: "most streams",
  streamCreationsMaxPerS: "most streams that one client creates in a second; none",
  storedMaxBytes: "most bytes of all streams together, as they are stored; none",
  appendQueueMaxBytes: "most bytes of appends that wait to be written",
  appendStreamMaxInFlight: "most appends of one call that wait for their answer",
  leaderMaxWaitMs: "longest wait of a request for a node that leads its stream",
  forwardMaxMs: "longest wait for another node's answer to a request that was passed on",
};

/** Adds `serve`. */
export function addServe(program: Command, ended: Ended): void {
  const command = program.command("serve").summary("run a node").description(description);
  addSettings(command);
  addClusterFlags(command, setting);
  addLimits(command);
  command.addHelpText("after", examples).action(async (options: ServeOptions) => {
    const { serve } = await import("./serve.ts");
    ended(await serve(options));
  });
}

const description = [
  "Runs a node: keeps streams in a data folder, and serves gRPC, gRPC-Web, Connect and plain HTTP on one port.",
  "",
  "Ends cleanly at SIGINT or SIGTERM. A second one ends it at once, and what was acknowledged is safe then too. " +
    "Logs go to stdout: for people on a terminal, as JSON elsewhere. Sizes can be given as 64MiB or 1000000.",
].join("\n");

const examples = `
Examples:
  tailrace serve
  tailrace serve --data /var/lib/tailrace --listen 0.0.0.0:8400
  tailrace serve --listen 10.0.0.1:8400 --peer-listen 10.0.0.1:8401 --seeds 10.0.0.2,10.0.0.3 --bootstrap-expect 3
  TAILRACE_LOG_LEVEL=debug tailrace serve --create-on-append off
${exitCodeHelp}`;

function addSettings(command: Command): void {
  const data = setting("--data <folder>", "where the data is, made if it is not there");
  const listen = setting("--listen <host:port>", "address to listen on; port 0: any that is free");
  const logLevel = setting("--log-level <level>", "what to log, and above");
  const create = setting("--create-on-append <switch>", "whether an append creates a stream that is not there");
  const journalFiles = setting("--journal-files <n>", "most files of the journal, 2 or more");
  command
    .addOption(data.default("./data"))
    .addOption(listen.default("127.0.0.1:8400").argParser(checkAddress))
    .addOption(logLevel.choices(logLevels).default("info"))
    .addOption(create.choices(["on", "off"]).default("on"))
    .addOption(sizeOption("segment-max-bytes", "of new streams: a segment ends at this size", 64))
    .addOption(timeOption("segment-max-age", "of new streams: a segment ends at this age", 7 * 86_400, "7d"))
    .addOption(
      noneOption("retention-bytes", "size", "of new streams: the oldest segments go while this much stays", parseSize),
    )
    .addOption(noneOption("retention-age", "time", "of new streams: records go when they are older", parseSeconds))
    .addOption(timeOption("retention-interval", "how often retention looks at each stream, at most", 10, "10s"))
    .addOption(journalFiles.default(4).argParser(parseCount))
    .addOption(sizeOption("journal-file-bytes", "size of each of them, whole MiB", 64))
    .addOption(timeOption("shutdown-grace", "how long stopping may take", 25, "25s"))
    .addOption(
      setting("--node-id <id>", "the node's name, given at the first start of its data (random)").argParser(parseName),
    );
}

/** An option that the environment can give too. Commander wants to know that before the option is added. */
function setting(flags: string, help: string): Option {
  const option = new Option(flags, help);
  return option.env(`TAILRACE_${option.name().replaceAll("-", "_").toUpperCase()}`);
}

function sizeOption(name: string, help: string, mebibytes: number): Option {
  return setting(`--${name} <size>`, help)
    .default(mebibytes << 20, `${mebibytes}MiB`)
    .argParser(parseSize);
}

function timeOption(name: string, help: string, seconds: number, asText: string): Option {
  return setting(`--${name} <time>`, help).default(seconds, asText).argParser(parseSeconds);
}

function noneOption(name: string, unit: string, help: string, parse: (text: string) => number): Option {
  return setting(`--${name} <${unit}>`, help).default(0, "none").argParser(orNone(parse));
}

function addLimits(command: Command): void {
  command.optionsGroup("Limits, by whose names a client is refused:");
  for (const limit of Object.keys(limitHelp).filter(isLimit)) {
    const flag = `--${limitName(limit).replaceAll("_", "-")} <n>`;
    const parse = limit.endsWith("Bytes") ? parseSize : parseCount;
    const value = defaultLimits[limit];
    const option = setting(flag, limitHelp[limit]).default(value, value === 0 ? "none" : undefined);
    command.addOption(option.argParser(optionalLimits.includes(limit) ? orNone(parse) : parse));
  }
}

function isLimit(name: string): name is keyof Limits {
  return name in limitHelp;
}
