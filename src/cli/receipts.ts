/**
 * Receipts: what an append is answered with, and what proves later that it is still there.
 * @module
 */
import fs from "node:fs";
import { CommandError, exitCodes } from "./exit.ts";

/** What an append was answered. */
export interface Receipt {
  readonly streamId: number;
  readonly index: number;
  readonly nextOffset: number;
  /** 32 bytes. */
  readonly digest: Uint8Array;
}

/** Most bytes of a file of receipts. */
const fileMaxBytes = 256 << 20;

/**
 * Reads receipts, JSON, one a line: as `append --json` prints them, as an answer over HTTP has them, or as the proto names
 * its fields. Other members may be there.
 * @param path `-` is standard input.
 * @throws {CommandError} One is none.
 */
export function readReceipts(path: string): Receipt[] {
  const receipts = textOf(path)
    .split("\n")
    .map((line, at) => ({ line: line.trim(), place: `${path}, line ${at + 1},` }))
    .filter(({ line }) => line !== "")
    .map(({ line, place }) => parseReceipt(line, place));
  if (receipts.length === 0) throw new CommandError(`${path} has no receipt in it. Give what "append --json" prints.`);
  return receipts.sort((a, b) => a.index - b.index);
}

function textOf(path: string): string {
  try {
    const file = path === "-" ? 0 : path;
    if (path !== "-" && fs.statSync(path).size > fileMaxBytes)
      throw new Error(`it has more than ${fileMaxBytes} bytes`);
    return fs.readFileSync(file, "utf8");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CommandError(`cannot read ${path}: ${why}`, exitCodes.usage);
  }
}

function parseReceipt(line: string, place: string): Receipt {
  const members = membersOf(line, place);
  const number = (...names: string[]): number => {
    const value = Number(names.map((name) => members.get(name)).find((member) => member !== undefined) ?? Number.NaN);
    if (!Number.isSafeInteger(value) || value < 0) throw noReceipt(place, `it has no ${names[0]}`);
    return value;
  };
  return {
    streamId: number("stream_id", "streamId"),
    index: number("index"),
    nextOffset: number("next_offset", "nextOffset"),
    digest: digestOf(members.get("digest")) ?? fail(place),
  };
}

function membersOf(line: string, place: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null) return new Map(Object.entries(value));
  } catch {
    // Told below, as for any other JSON that is no object.
  }
  throw noReceipt(place, "it is no JSON object");
}

/** 32 bytes in hexadecimal or base64. */
function digestOf(text: unknown): Uint8Array | undefined {
  if (typeof text !== "string") return undefined;
  const bytes = Buffer.from(text, /^[0-9a-f]{64}$/i.test(text) ? "hex" : "base64");
  return bytes.length === 32 ? bytes : undefined;
}

function fail(place: string): never {
  throw noReceipt(place, "it has no digest of 32 bytes, in hexadecimal or base64");
}

function noReceipt(place: string, why: string): CommandError {
  const form = `{"stream_id":2,"index":7,"next_offset":40,"digest":"..."}`;
  return new CommandError(`${place} is no receipt: ${why}. Give lines of the form ${form}.`, exitCodes.usage);
}
