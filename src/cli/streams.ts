/**
 * `tailrace streams`: list, create, describe, set, fence, trim, delete.
 * @module
 */
import { fenceStream as fence } from "../client/index.ts";
import { type Stream, StreamState } from "../wire/gen/tailrace/v1/stream_pb.ts";
import { toPosition } from "../wire/position.ts";
import { withClient } from "./connection.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { isoOf, textOrBase64 } from "./json-printer.ts";
import { standardOutput } from "./output.ts";
import { givenSettings, jsonOfSettings, type SettingsOptions, settingLines } from "./stream-settings.ts";
import { formatBytes, formatCount } from "./units.ts";

export interface StreamsOptions {
  readonly server: string;
  readonly json?: boolean;
}

export interface ListOptions extends StreamsOptions {
  readonly prefix: string;
}

export interface CreateOptions extends StreamsOptions, SettingsOptions {}

export interface SetOptions extends StreamsOptions, SettingsOptions {
  readonly expectVersion?: number;
}

/** `tailrace streams ls`; resolves with the exit code. A page is printed as it comes. */
export async function listStreams(options: ListOptions): Promise<number> {
  const output = standardOutput();
  await withClient(options.server, async (client) => {
    let pageToken = "";
    let isFirst = true;
    do {
      const page = await client.streams.listStreams({ prefix: options.prefix, pageToken });
      if (options.json) for (const stream of page.streams) await output.write(`${JSON.stringify(jsonOf(stream))}\n`);
      else await output.write(table(page.streams, isFirst));
      isFirst = false;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  });
  return exitCodes.ok;
}

/** `tailrace streams create`; resolves with the exit code. */
export async function createStream(name: string, options: CreateOptions): Promise<number> {
  const settings = givenSettings(options);
  const { stream, created } = await withClient(options.server, (client) =>
    client.streams.createStream({ name, settings }),
  );
  if (options.json)
    await standardOutput().write(`${JSON.stringify({ isNew: created, ...(stream && jsonOf(stream)) })}\n`);
  else await standardOutput().write(`${created ? "created" : "there already:"} ${name} (id ${stream?.id})\n`);
  return exitCodes.ok;
}

/** `tailrace streams describe`; resolves with the exit code. */
export async function describeStream(name: string, options: StreamsOptions): Promise<number> {
  const { stream } = await withClient(options.server, (client) => client.streams.getStream({ name }));
  if (stream === undefined) return exitCodes.failed;
  await standardOutput().write(options.json ? `${JSON.stringify(jsonOf(stream))}\n` : description(stream));
  return exitCodes.ok;
}

/** `tailrace streams set`; resolves with the exit code. */
export async function setStream(name: string, options: SetOptions): Promise<number> {
  const settings = givenSettings(options);
  if (Object.keys(settings).length === 0) {
    throw new CommandError("no setting is given. Add --help to see which there are.", exitCodes.usage);
  }
  const { expectVersion } = options;
  const expected = expectVersion === undefined ? {} : { expectedSettingsVersion: BigInt(expectVersion) };
  const { stream } = await withClient(options.server, (client) =>
    client.streams.updateStream({ name, settings, ...expected }),
  );
  if (stream === undefined) return exitCodes.failed;
  const line = `set ${name} (id ${stream.id}): settings version ${stream.settingsVersion}`;
  await standardOutput().write(`${options.json ? JSON.stringify(jsonOf(stream)) : line}\n`);
  return exitCodes.ok;
}

/**
 * `tailrace streams fence`; resolves with the exit code.
 * @param token Empty: none is to be in force.
 */
export async function fenceStream(name: string, token: Uint8Array, options: StreamsOptions): Promise<number> {
  const { streamId, nextOffset } = await withClient(options.server, (client) => fence(client, name, token));
  const facts = { name, id: toPosition(streamId, "stream_id"), nextOffset };
  const line = `${token.length > 0 ? "fenced" : "cleared the fence of"} ${name} (id ${facts.id}): from offset ${nextOffset} on`;
  await standardOutput().write(`${options.json ? JSON.stringify(facts) : line}\n`);
  return exitCodes.ok;
}

/** `tailrace streams trim`; resolves with the exit code. */
export async function trimStream(name: string, logStart: number, options: StreamsOptions): Promise<number> {
  const { streamId, logStart: first } = await withClient(options.server, (client) =>
    client.streams.trimStream({ name, logStart: BigInt(logStart) }),
  );
  const facts = { name, id: toPosition(streamId, "stream_id"), logStart: toPosition(first, "log_start") };
  const line = options.json ? JSON.stringify(facts) : `trimmed ${name} (id ${facts.id}): begins at ${facts.logStart}`;
  await standardOutput().write(`${line}\n`);
  return exitCodes.ok;
}

/** `tailrace streams rm`; resolves with the exit code. The first that can't be deleted ends it. */
export async function deleteStreams(names: readonly string[], options: { readonly server: string }): Promise<number> {
  const output = standardOutput();
  await withClient(options.server, async (client) => {
    for (const name of names) {
      const { streamId } = await client.streams.deleteStream({ name });
      await output.write(`deleted ${name} (id ${streamId})\n`);
    }
  });
  return exitCodes.ok;
}

/** Number of records kept. */
function recordsIn({ logStart, highWatermark }: Stream): number {
  return toPosition(highWatermark - logStart, "high_watermark");
}

function table(streams: readonly Stream[], withHead: boolean): string {
  const rows = streams.map((stream) => [
    formatCount(recordsIn(stream)),
    formatBytes(Number(stream.storedBytes)),
    stream.lastAppendTime ? isoOf(stream.lastAppendTime).replace(/\.\d+Z$/, "Z") : "-",
    stream.name,
  ]);
  const lines = withHead ? [["RECORDS", "STORED", "LAST APPEND", "NAME"], ...rows] : rows;
  return lines
    .map(([records = "", stored = "", last = "", name = ""]) =>
      [records.padStart(13), stored.padStart(9), last.padEnd(20), name].join("  "),
    )
    .join("\n")
    .concat(lines.length > 0 ? "\n" : "");
}

function description(stream: Stream): string {
  const { settings, firstAppendTime, lastAppendTime } = stream;
  const lines: [string, string][] = [
    ["name", stream.name],
    ["id", String(stream.id)],
    ["state", stateOf(stream.state)],
    ["created", stream.created ? isoOf(stream.created) : "-"],
    ["records", formatCount(recordsIn(stream))],
    ["log start", String(stream.logStart)],
    ["high watermark", String(stream.highWatermark)],
    ["first append", firstAppendTime ? isoOf(firstAppendTime) : "-"],
    ["last append", lastAppendTime ? isoOf(lastAppendTime) : "-"],
    ["stored", formatBytes(Number(stream.storedBytes))],
    ["next index", String(stream.nextIndex)],
    ["digest", Buffer.from(stream.digest).toString("hex")],
    ["fence", fenceWords(stream.fence)],
    ["settings version", String(stream.settingsVersion)],
    ...settingLines(settings),
  ];
  return lines.map(([name, value]) => `${name.padEnd(18)} ${value}\n`).join("");
}

/** A stream for a program: positions as numbers, times in ISO 8601, the digest in hexadecimal. */
function jsonOf(stream: Stream): object {
  const { settings, created, firstAppendTime, lastAppendTime } = stream;
  return {
    name: stream.name,
    id: toPosition(stream.id, "id"),
    state: stateOf(stream.state),
    created: created && isoOf(created),
    records: recordsIn(stream),
    logStart: toPosition(stream.logStart, "log_start"),
    highWatermark: toPosition(stream.highWatermark, "high_watermark"),
    firstAppendTime: firstAppendTime && isoOf(firstAppendTime),
    lastAppendTime: lastAppendTime && isoOf(lastAppendTime),
    storedBytes: toPosition(stream.storedBytes, "stored_bytes"),
    nextIndex: toPosition(stream.nextIndex, "next_index"),
    digest: Buffer.from(stream.digest).toString("hex"),
    ...(stream.fence.length > 0 ? textOrBase64("fence", stream.fence) : {}),
    settingsVersion: toPosition(stream.settingsVersion, "settings_version"),
    settings: jsonOfSettings(settings),
  };
}

/** Text as JSON quotes it, so that no control character reaches the terminal. */
function fenceWords(token: Uint8Array): string {
  if (token.length === 0) return "none";
  const [[name, text] = ["", ""]] = Object.entries(textOrBase64("token", token));
  return name === "token" ? JSON.stringify(text) : `base64 ${text}`;
}

function stateOf(state: StreamState): string {
  switch (state) {
    case StreamState.UNSPECIFIED:
      return "normal";
    case StreamState.READ_ONLY:
      return "read-only: damage was found";
    case StreamState.DELETING:
      return "being deleted";
    default:
      return `state ${state}, which this version does not know`;
  }
}
