/**
 * Flags that several commands share, and how their values are checked.
 * @module
 */
import { InvalidArgumentError, Option } from "commander";
import { exitCodes } from "./exit.ts";
import { parseBytes, parseDurationMs } from "./units.ts";

/** Tells a command's exit code; called once, at its end. */
export type Ended = (exitCode: number) => void;

const fenceMaxBytes = 64;

/** For the foot of each command's help. */
export const exitCodeHelp = `
Exit codes:
  ${exitCodes.ok}    done; also when whoever reads the output goes away (| head)
  ${exitCodes.failed}    refused or failed: the line on stderr says why and what to do; verify, repair: something is damaged
  ${exitCodes.usage}    the command line itself is wrong
  ${exitCodes.unreachable}    the node is not there, or the connection to it was lost
  ${exitCodes.notFound}    no such stream
  ${exitCodes.fateUnknown}    append: the connection was lost in the middle; what became of some records is not known
  ${exitCodes.interrupted}  ended by SIGINT (Ctrl-C), ${exitCodes.terminated} by SIGTERM; serve, dev: 0 when it closed cleanly
`;

/** The node to talk to. */
export function serverOption(): Option {
  return new Option("--server <url>", "the node to talk to")
    .env("TAILRACE_SERVER")
    .default("http://127.0.0.1:8400")
    .argParser(parseServer);
}

function parseServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw new InvalidArgumentError("Give a URL such as http://127.0.0.1:8400.");
  }
  return text.replace(/\/+$/, "");
}

/** A whole number from 1 on. */
export function parseCount(text: string): number {
  const count = /^\d+$/.test(text) ? Number(text) : 0;
  if (count < 1 || !Number.isSafeInteger(count)) throw new InvalidArgumentError("Give a whole number from 1 on.");
  return count;
}

/** An offset, or another whole number from 0 on. */
export function parseOffset(text: string): number {
  const offset = /^\d+$/.test(text) ? Number(text) : -1;
  if (offset < 0 || !Number.isSafeInteger(offset)) throw new InvalidArgumentError("Give a whole number from 0 on.");
  return offset;
}

/** A producer's epoch. */
export function parseEpoch(text: string): number {
  const epoch = parseOffset(text);
  if (epoch >= 2 ** 32) throw new InvalidArgumentError("Give a whole number below 4294967296.");
  return epoch;
}

/** A fence token: UTF-8. */
export function parseFence(text: string): Uint8Array {
  const token = new TextEncoder().encode(text);
  if (token.length === 0 || token.length > fenceMaxBytes) {
    throw new InvalidArgumentError(`Give a text of 1 to ${fenceMaxBytes} bytes.`);
  }
  return token;
}

/** A size in bytes. */
export function parseSize(text: string): number {
  const bytes = parseBytes(text);
  if (bytes === undefined) throw new InvalidArgumentError("Give a size such as 64MiB or 1000000.");
  return bytes;
}

/** A time in whole seconds. */
export function parseSeconds(text: string): number {
  const ms = parseDurationMs(text);
  if (ms === undefined || ms % 1000 !== 0) throw new InvalidArgumentError("Give a time such as 90s, 12h or 7d.");
  return ms / 1000;
}

/** What a limit is that can be left out: 0, which `none` says too. */
export function orNone(parse: (text: string) => number): (text: string) => number {
  return (text) => (text === "none" || text === "0" ? 0 : parse(text));
}
